"""Why a run was stopped. The emulator stops rather than guess."""

from dataclasses import dataclass


@dataclass
class Fault(Exception):
    """A stopped run: the cycle, the cores concerned, and one sentence (or a list, for a deadlock)."""

    text: str
    epoch: int
    cycle: int
    cores: tuple[int, ...] = ()

    @property
    def category(self) -> str:
        return type(self).__name__

    def __str__(self) -> str:
        where = f" on core {self.cores[0]}" if len(self.cores) == 1 else ""
        return f"{self.category} in epoch {self.epoch} at cycle {self.cycle}{where}: {self.text}"


class SoftwareFault(Fault):
    """The program broke a rule of the machine: an address out of range, a page that was not waited for."""


class UninitializedRead(Fault):
    """The program read memory that nothing had written."""


class Deadlock(Fault):
    """No thread can go on; the text names each blocked thread and what it waits for."""


class Unimplemented(Fault):
    """The image asks for something that this emulator does not do."""


class EmulatorBug(Fault):
    """The emulator contradicts itself."""
