"""From the numbers that the engine stopped with to the sentence that a person reads."""

from collections.abc import Callable, Mapping

from compiler.diagnostics import Diagnostic, DiagnosticError, Label
from compiler.program import image as im
from compiler.program import instructions as ins
from emulator.encode import Code
from emulator.engine import columns as c
from emulator.engine.state import State
from emulator.faults import Deadlock, EmulatorBug, Fault, SoftwareFault, UninitializedRead
from emulator.profile import THREAD_NAMES


class Stopped:
    """A stopped run: what the engine left behind."""

    def __init__(self, image: im.Image, epoch: int, code: Code, state: State) -> None:
        self.image, self.epoch, self.code, self.state = image, epoch, code, state

    @property
    def machine_positions(self) -> int:
        return self.image.machine.columns

    def core_name(self, core: int) -> str:
        """A core's number and place."""
        return f"core {core} at {self.image.machine.cores[core]}"

    def position(self, number: int) -> str:
        return f"({number % self.image.machine.columns}, {number // self.image.machine.columns})"

    def buffer(self, row: int) -> str:
        """A cb by its number on its core, and its name."""
        core = int(self.state.buffers[row, c.OF_CORE])
        number = row - int(self.state.first_buffer[core])
        name = self.program(core).buffers[number].name
        return f"cb {number} (`{name}`)" if name else f"cb {number}"

    def program(self, core: int) -> im.CoreProgram:
        return next(p for p in self.image.epochs[self.epoch].programs if p.core == core)

    def tensor(self, number: int) -> str:
        return f"`{self.image.tensors[number].name}`"

    def at(self, thread: int) -> str:
        """Where a thread stands: its name, its instruction and the reason for that."""
        row = int(self.state.threads[thread, c.PC])
        number = row - self.code.starts[thread]
        instruction = self.code.instructions[row]
        origin = self.code.origins[row]
        text = f"{THREAD_NAMES[thread % 3]} thread of {self.core_name(thread // 3)}, instruction {number}"
        text += f" `{_printed(instruction)}`" if instruction is not None else ""
        return text + self._origin(origin)

    def _origin(self, number: int) -> str:
        if not 0 <= number < len(self.image.origins):
            return ""
        origin = self.image.origins[number]
        return f", of stage `{origin.stage}`" + (f" ({origin.span})" if origin.span is not None else "")

    def blocked(self, thread: int) -> str:
        """What a blocked thread waits for."""
        row = self.state.threads[thread]
        needs_of, needs = int(row[c.NEEDS_OF]), int(row[c.NEEDS])
        reason = int(row[c.STATE]) - c.BLOCKED
        if reason in (c.WAIT_CB, c.WAIT_RESERVE):
            buffer = self.state.buffers[needs_of]
            filled = int(buffer[c.VISIBLE] - buffer[c.READ_TO])
            want = f"{needs} pages" if reason == c.WAIT_CB else f"space for {needs} pages"
            return f"waits for {want} of {self.buffer(needs_of)}, which holds {filled} of {buffer[c.CAPACITY]}"
        if reason in (c.WAIT_SEMAPHORE, c.WAIT_AWAIT):
            held = int(self.state.semaphores[thread // 3 * self.image.machine.semaphores + needs_of])
            return f"waits for semaphore {needs_of} to reach {needs}; it is {held}"
        if reason == c.WAIT_BARRIER:
            return f"waits at a barrier for {row[c.OUTSTANDING]} packets"
        return "waits for earlier packets to arrive"


def _printed(instruction: ins.Instruction | None) -> str:
    text = repr(instruction)
    return text if len(text) <= 160 else text[:157] + "..."


def _kept(s: Stopped, a: int, b: int, x: int) -> str:
    return f"page {b} of {s.tensor(a)} has not been pushed by its owner"


_SENTENCES: Mapping[int, Callable[[Stopped, int, int, int], str]] = {
    c.FAULT_PAGE: lambda s, a, b, x: f"{s.tensor(a)} has no page {b}",
    c.FAULT_NOT_RESERVED: lambda s, a, b, x: f"page {b} of {s.buffer(a)} is written, but only {x} are reserved",
    c.FAULT_NOT_WAITED: lambda s, a, b, x: f"page {b} of {s.buffer(a)} is read, but only {x} were waited for",
    c.FAULT_PUSH: lambda s, a, b, x: f"{b} pages of {s.buffer(a)} are pushed, but only {x} are reserved",
    c.FAULT_POP: lambda s, a, b, x: f"{b} pages of {s.buffer(a)} are popped, but only {x} were waited for",
    c.FAULT_ROUTE: lambda s, a, b, x: f"no route on NoC {a} from {s.position(b)} to {s.position(x)}",
    c.FAULT_TREE: lambda s, a, b, x: f"no multicast tree on NoC {a} to core set {b}",
    c.FAULT_L1_RANGE: lambda s, a, b, x: f"{b} bytes at byte {a} of all L1 do not lie in the L1 of one core",
    c.FAULT_L1_UNWRITTEN: lambda s, a, b, x: f"L1 of {s.core_name(a)} was never written at address {b}",
    c.FAULT_DRAM_UNWRITTEN: lambda s, a, b, x: f"DRAM channel {a} was never written at address {b}",
    c.FAULT_UNREACHABLE: lambda s, a, b, x: f"page {b} of {s.tensor(a)} is not where the instruction looks for it",
    c.FAULT_SEMAPHORE: lambda s, a, b, x: f"there is no semaphore {a}",
    c.FAULT_CAPACITY: lambda s, a, b, x: f"{b} pages are asked of {s.buffer(a)}, which has {x}",
    c.FAULT_SHARD: lambda s, a, b, x: f"{s.buffer(a)} holds a shard, and more pages are pushed than it has",
    c.FAULT_KEPT: _kept,
    c.FAULT_SENSING: lambda s, a, b, x: f"page {b} of {s.tensor(a)} is read while its flags are still on their way",
    c.FAULT_SENSED: lambda s, a, b, x: f"page {b} of {s.tensor(a)} is read with flags that are not its own",
    c.FAULT_UNREAD: lambda s, a, b, x: f"page {b} of {s.buffer(a)} is pushed; it was sensed, but not read since",
    c.FAULT_TABLE: lambda s, a, b, x: "the table has no more values",
}


def _broken_promise(s: Stopped, thread: int, buffer: int, cycle: int) -> DiagnosticError:
    """A page that was promised to be finite is not."""
    core = thread // 3
    name = s.program(core).buffers[buffer - int(s.state.first_buffer[core])].name or s.buffer(buffer)
    declared = any(tensor.name == name and tensor.finite for tensor in s.image.tensors)
    origin = s.code.origins[int(s.state.threads[thread, c.PC])]
    span = s.image.origins[origin].span if 0 <= origin < len(s.image.origins) else None
    diagnostic = Diagnostic(
        "E0518",
        f"`{name}` is promised to be finite, but {s.core_name(core)} has computed a tile of it with NaN or an infinity",
        labels=(Label(span, "computed here"),) if span is not None else (),
        notes=(
            f"promised by `finite` at the declaration of `{name}`"
            if declared
            else "promised by `finite` at a declaration or by `--assume-finite`",
            f"at cycle {cycle} of epoch {s.epoch}, in the {s.at(thread)}",
        ),
        helps=(
            f"feed values for which `{name}` is finite",
            "or compile again without the promise: then nothing is left out because of it",
        ),
    )
    return DiagnosticError((diagnostic,), {source.name: source for source in s.image.sources})


_UNINITIALIZED = (c.FAULT_L1_UNWRITTEN, c.FAULT_DRAM_UNWRITTEN)


def fault_of(image: im.Image, epoch: int, code: Code, state: State, blocked: list[int]) -> Fault | DiagnosticError:
    """The exception for a stopped run; E0518 for a broken promise, which is no fault of the program's."""
    stopped = Stopped(image, epoch, code, state)
    status, cycle = int(state.control[c.STATUS]), int(state.control[c.NOW])
    if status == c.RUN:
        lines = [f"{stopped.at(thread)}, {stopped.blocked(thread)}" for thread in blocked]
        cores = tuple(sorted({thread // 3 for thread in blocked}))
        return Deadlock("no thread can go on:\n  " + "\n  ".join(lines), epoch, cycle, cores)
    thread = int(state.control[c.FAULT_THREAD])
    values = tuple(int(state.control[column]) for column in (c.FAULT_A, c.FAULT_B, c.FAULT_C))
    if status == c.FAULT_PROMISE:
        return _broken_promise(stopped, thread, values[0], cycle)
    if status not in _SENTENCES:
        return EmulatorBug(f"the engine stopped with {status}, {list(values)}", epoch, cycle, (thread // 3,))
    kind = UninitializedRead if status in _UNINITIALIZED else SoftwareFault
    return kind(f"{_SENTENCES[status](stopped, *values)} ({stopped.at(thread)})", epoch, cycle, (thread // 3,))
