"""Run the programs of an epoch on symbols instead of numbers, without time: which page goes where, what is multiplied.

A page in DRAM is `("page", tensor, number)`; a register holds what was done to it, in order; what is packed is a record
of the register and of the part of the tile that the mask leaves. This knows nothing of how code is emitted.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from compiler.program import instructions as ins
from compiler.program.image import Code, CoreProgram, CoreSet, Kernel

Symbol = tuple[Any, ...]


@dataclass
class _Ring:
    pages: list[Symbol | None]
    written: int = 0
    read: int = 0
    reserved: int = 0
    waited: int = 0

    @property
    def filled(self) -> int:
        return self.written - self.read


@dataclass
class Symbols:
    """The cores of an epoch. `written` is what each page in DRAM was written with, by tensor and page."""

    programs: Sequence[CoreProgram]
    core_sets: Sequence[CoreSet]
    kernels: Sequence[Kernel]
    written: dict[tuple[int, int], Symbol] = field(default_factory=dict)

    def run(self) -> None:
        """Run all threads to their end; fails on a deadlock, a misuse of a ring or tables that are not used up."""
        self.cores = {program.core: _Core(self, program) for program in self.programs}
        waiting = [thread.run() for core in self.cores.values() for thread in core.threads]
        while waiting:
            before = self.progress()
            waiting = [thread for thread in waiting if next(thread, "over") != "over"]
            assert not waiting or self.progress() != before, "deadlock"
        for core in self.cores.values():
            assert all(ring.filled == 0 for ring in core.rings), "pages are left"
            assert all(next(table, None) is None for thread in core.threads for table in thread.tables), (
                "a table is left"
            )

    def progress(self) -> int:
        return sum(thread.steps for core in self.cores.values() for thread in core.threads)


@dataclass
class _Core:
    symbols: Symbols
    program: CoreProgram

    def __post_init__(self) -> None:
        self.rings = [_Ring([None] * buffer.capacity) for buffer in self.program.buffers]
        self.semaphores = [0] * 256
        self.registers: dict[int, Symbol] = {}
        program = self.program
        self.threads = [_Thread(self, code) for code in (program.read, program.compute, program.write)]


@dataclass
class _Thread:
    core: _Core
    code: Code
    steps: int = 0

    def __post_init__(self) -> None:
        self.variables = [0] * ins.VARIABLES
        self.tables = [iter(table) for table in self.code.tables]

    def run(self) -> Iterator[None]:
        """Yields where the thread blocks."""
        yield from self.body(0, [])

    def body(self, at: int, counters: list[int]) -> Iterator[None]:
        instructions = self.code.instructions
        while at < len(instructions) and not isinstance(instructions[at], ins.End):
            instruction = instructions[at]
            if isinstance(instruction, ins.Loop):
                for turn in range(self.amount(instruction.count)):
                    yield from self.body(at + 1, [*counters, turn])
                at = self.behind(at + 1)
                continue
            while not self.step(instruction, counters):
                yield None
            self.steps += 1
            at += 1

    def behind(self, at: int) -> int:
        depth = 1
        while depth:
            instruction = self.code.instructions[at]
            depth += isinstance(instruction, ins.Loop) - isinstance(instruction, ins.End)
            at += 1
        return at

    def amount(self, value: ins.Amount) -> int:
        return self.variables[value.index] if isinstance(value, ins.Variable) else value

    def value(self, value: ins.Affine, counters: list[int]) -> int:
        terms = sum(c * counter for c, counter in zip(value.coefficients, counters, strict=False))
        return value.constant + terms + (self.variables[value.variable] if value.variable >= 0 else 0)

    def step(self, instruction: ins.Instruction, counters: list[int]) -> bool:
        """Do one instruction; False if it blocks."""
        match instruction:
            case ins.Fetch(variable, table):
                self.variables[variable] = next(self.tables[table])
            case ins.Reserve() | ins.Push() | ins.Wait() | ins.Pop():
                return self.on_ring(instruction)
            case ins.SemWait(semaphore, amount):
                number = self.value(semaphore, counters)
                if self.core.semaphores[number] < amount:
                    return False
                self.core.semaphores[number] -= amount
            case ins.Fill(dst):
                self.core.registers[dst] = ()
            case ins.Barrier() | ins.Await() | ins.Sense():
                pass
            case ins.Read() | ins.Gather() | ins.Take() | ins.Write() | ins.Multicast() | ins.SemInc():
                self.on_network(instruction, counters)
            case _:
                self.compute(instruction, counters)
        return True

    def on_ring(self, instruction: ins.Reserve | ins.Push | ins.Wait | ins.Pop) -> bool:
        ring, pages = self.core.rings[instruction.cb], self.amount(instruction.pages)
        assert pages <= len(ring.pages), "more than the ring holds"
        match instruction:
            case ins.Reserve():
                if len(ring.pages) - ring.filled < pages:
                    return False
                ring.reserved = pages
            case ins.Push():
                assert pages <= ring.reserved, "push without reserve"
                ring.reserved -= pages
                ring.written += pages
            case ins.Wait():
                if ring.filled < pages:
                    return False
                ring.waited = max(ring.waited, pages)
            case ins.Pop():
                assert pages <= ring.waited, "pop without wait"
                for page in range(ring.read, ring.read + pages):
                    ring.pages[page % len(ring.pages)] = None
                ring.waited -= pages
                ring.read += pages
        return True

    def on_network(
        self, i: ins.Read | ins.Gather | ins.Take | ins.Write | ins.Multicast | ins.SemInc, counters: list[int]
    ) -> None:
        match i:
            case ins.Read(cb, offset, tensor, page):
                self.produce(cb, self.value(offset, counters), ("page", tensor, self.value(page, counters)))
            case ins.Gather(cb, offset, tensor, index_map, page):
                symbol = ("gathered", tensor, index_map, self.value(page, counters))
                self.produce(cb, self.value(offset, counters), symbol)
            case ins.Take():
                numbers = self.consumed(i.indices, self.value(i.where, counters))
                rows = ("taken", i.tensor, self.value(i.page, counters), numbers, self.value(i.row_tile, counters))
                self.produce(i.cb, self.value(i.offset, counters), rows)
            case ins.Write(cb, offset, tensor, page):
                key = tensor, self.value(page, counters)
                assert key not in self.core.symbols.written, "a page is written twice"
                self.core.symbols.written[key] = self.consumed(cb, self.value(offset, counters))
            case ins.Multicast(cb, offset, pages, targets):
                ring = self.core.rings[cb]
                first, count = self.value(offset, counters), self.amount(pages)
                assert first + count <= ring.reserved, "a multicast of pages that are not reserved"
                places = {(ring.written + first + number) % len(ring.pages) for number in range(count)}
                for core in self.others(targets):
                    for place in places:
                        core.rings[cb].pages[place] = ring.pages[place]
            case ins.SemInc(semaphore, targets, amount):
                for core in self.others(targets):
                    core.semaphores[self.value(semaphore, counters)] += amount

    def others(self, targets: int) -> list[_Core]:
        """The cores of a set; a multicast leaves this one out."""
        core_set, cores = self.core.symbols.core_sets[targets], self.core.symbols.cores
        own = self.core.program.core
        return [cores[core] for core in core_set.cores if not core_set.multicast or core != own]

    def produce(self, cb: int, offset: int, symbol: Symbol) -> None:
        ring = self.core.rings[cb]
        assert 0 <= offset < ring.reserved, "a page outside of what is reserved"
        ring.pages[(ring.written + offset) % len(ring.pages)] = symbol

    def consumed(self, cb: int, offset: int) -> Symbol:
        ring = self.core.rings[cb]
        assert 0 <= offset < ring.waited, "a page outside of what was waited for"
        symbol = ring.pages[(ring.read + offset) % len(ring.pages)]
        assert symbol is not None, "a page that nobody wrote"
        return symbol

    def compute(self, i: ins.Instruction, counters: list[int]) -> None:
        registers = self.core.registers
        match i:
            case ins.Map(kernel, dst, operands):
                symbols = tuple(
                    registers[o.index]
                    if isinstance(o, ins.DstTile)
                    else self.consumed(o.cb, self.value(o.offset, counters))
                    for o in operands
                )
                registers[dst] = ("map", self.core.symbols.kernels[kernel].expr, *symbols)
            case ins.Reduce():
                registers[i.dst] = (*registers[i.dst], (registers[i.source], self.inside(i.mask, counters)))
            case ins.Matmul():
                self.multiply(i, counters)
            case ins.Pack(dst, cb, offset, _, mask):
                self.produce(cb, self.value(offset, counters), (registers[dst], self.inside(mask, counters)))
            case _:
                raise AssertionError(f"not known here: {i}")

    def multiply(self, i: ins.Matmul, counters: list[int]) -> None:
        a, b = self.value(i.a_offset, counters), self.value(i.b_offset, counters)
        for inner in range(i.inner):
            for row in range(i.rows):
                for column in range(i.columns):
                    left = self.consumed(i.a, a + row * i.a_row + inner * i.a_inner)
                    right = self.consumed(i.b, b + inner * i.b_inner + column * i.b_column)
                    dst = i.dst + row * i.columns + column
                    product = (left, i.part_a, right, i.part_b)
                    self.core.registers[dst] = (*self.core.registers[dst], product)

    def inside(self, mask: ins.Mask | None, counters: list[int]) -> tuple[int, int]:
        """Rows and columns of a tile that a mask leaves."""
        if mask is None:
            return 32, 32
        rows = mask.rows - 32 * self.value(mask.row_tile, counters)
        columns = mask.columns - 32 * self.value(mask.column_tile, counters)
        return max(0, min(32, rows)), max(0, min(32, columns))
