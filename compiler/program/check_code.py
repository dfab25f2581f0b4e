"""Rules of the instructions of one core: what they refer to exists, is of the right type and in range."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import prod

import numpy as np

from compiler.numerics import TILE, DType, TileGrid
from compiler.numerics.fidelity import Part, product_dtype
from compiler.program.check_flags import check_flags
from compiler.program.control import OutOfValuesError, run_code
from compiler.program.image import CircularBuffer, Code, CoreProgram, DramPlace, Epoch, Image, Role, ShardPlace, Tensor
from compiler.program.instructions import (
    MAX_LOOP_DEPTH,
    VARIABLES,
    Affine,
    Amount,
    Await,
    Barrier,
    CbTile,
    End,
    Fetch,
    Fill,
    Gather,
    Instruction,
    Loop,
    Map,
    Mask,
    Matmul,
    Multicast,
    Pack,
    Pop,
    Probe,
    Push,
    Read,
    Reduce,
    Reserve,
    SemInc,
    SemWait,
    Sense,
    Take,
    Thread,
    Variable,
    Wait,
    Write,
)
from compiler.program.pages import (
    Pages,
    Scope,
    span_of,
    stored_pages,
    values_of,
    values_taken,
    variable_values,
    variables_named,
)
from compiler.program.syntax import format_instruction

_MOVES = (Read, Sense, Gather, Take, Write, Multicast, Barrier, SemInc)
_COMPUTES = (Fill, Matmul, Map, Reduce, Pack)
_REGISTER_DTYPES = (DType.F32, DType.I32)


def check_code(image: Image, number: int, epoch: Epoch, program: CoreProgram) -> Iterator[str]:
    """Sentences about the three threads of a program of epoch `number`.

    - loops are closed, at most `MAX_LOOP_DEPTH` deep, and run at least once where the count is a number; offsets use
      the loops around them;
    - variables and tables are there; every value of every table is fetched; no count of pages or of iterations depends
      on a probed page, nor does what is awaited or added to semaphores;
    - data moves on `read` and `write`, tiles are computed on `compute`;
    - a cb has one thread on each side, and each instruction is on the side that its thread has;
    - flags are sensed only of tensors that keep them, which are read and written by whole pages;
    - numbers of cbs, pages, registers, tensors, kernels, maps, sets and semaphores are in range for every value of the
      loop counters and of the variables; element types agree; no page that does not live is written;
    - one thread waits for a semaphore, and a semaphore that announces shards serves for nothing else.
    """
    check = _Check(image, number, epoch, program)
    for thread, code in _threads(program):
        yield from (f"core {program.core}, {thread.value}: {text}" for text in check.thread(thread, code))
    yield from (f"core {program.core}: {text}" for text in check.across_threads())
    yield from (f"core {program.core}: {text}" for text in check_flags(program))


def _threads(program: CoreProgram) -> tuple[tuple[Thread, Code], ...]:
    return ((Thread.READ, program.read), (Thread.COMPUTE, program.compute), (Thread.WRITE, program.write))


@dataclass(slots=True)
class _Check:
    image: Image
    number: int
    epoch: Epoch
    program: CoreProgram
    thread_name: Thread = Thread.READ
    counts: list[int] = field(default_factory=list)
    """Of the loops around the instruction at hand, at most."""
    variables: tuple[Pages, ...] = ()
    """The values that each variable of the thread may hold at the instruction at hand."""
    taken: dict[Affine, Pages] = field(default_factory=dict)
    """See `Scope`."""
    probed: frozenset[int] = frozenset()
    """The variables of the thread that hold what was probed."""
    producers: dict[int, set[Thread]] = field(default_factory=lambda: defaultdict(set))
    consumers: dict[int, set[Thread]] = field(default_factory=lambda: defaultdict(set))
    waited: dict[int, set[Thread]] = field(default_factory=lambda: defaultdict(set))
    awaited: set[int] = field(default_factory=set)

    def thread(self, thread: Thread, code: Code) -> Iterator[str]:
        self.thread_name, self.counts = thread, []
        if code.origins and len(code.origins) != len(code.instructions):
            yield f"{len(code.origins)} origins for {len(code.instructions)} instructions"
        if any(not 0 <= origin < len(self.image.origins) for origin in code.origins):
            yield "an origin is not in the table of origins"
        missing = [*_missing(code)]
        if missing:
            yield from missing
            return
        values = variable_values(code)
        self.probed = frozenset(at.variable for at in code.instructions if isinstance(at, Probe))
        for index, instruction in enumerate(code.instructions):
            self.variables, self.taken = values[index], {}
            found = [*self.instruction(instruction)]
            if found and code.tables:
                self.taken = values_taken(code, [index]).get(index, {})
                found = [*self.instruction(instruction)]
            for text in found:
                yield f"instruction {index}, `{format_instruction(instruction)}`: {text}"
            if isinstance(instruction, Loop):
                self.counts.append(max(1, int(self.scope.amounts(instruction.count)[-1])))
            elif isinstance(instruction, End) and self.counts:
                self.counts.pop()
        if self.counts:
            yield f"{len(self.counts)} loops are not closed"
        elif code.tables:
            yield from self.tables(code)

    @property
    def scope(self) -> Scope:
        """Of the instruction at hand."""
        return Scope(tuple(self.counts), self.variables, self.taken)

    def tables(self, code: Code) -> Iterator[str]:
        """Every value is fetched, none twice; known only if no loop depends on data."""
        counts = {at.count.index for at in code.instructions if isinstance(at, Loop) and isinstance(at.count, Variable)}
        if counts & self.probed:
            return
        try:
            fetched = run_code(code, {})
        except OutOfValuesError as error:
            yield f"more values of table{error.table} are fetched than the {len(code.tables[error.table])} it has"
            return
        for number, (table, count) in enumerate(zip(code.tables, fetched, strict=True)):
            if count != len(table):
                yield f"{count} values of table{number} are fetched, of {len(table)}"

    def across_threads(self) -> Iterator[str]:
        for side, by_cb in (("producer", self.producers), ("consumer", self.consumers)):
            for cb, threads in by_cb.items():
                if len(threads) > 1:
                    yield f"cb{cb} has more than one {side}: {_names(threads)}"
        for semaphore, waiting in self.waited.items():
            if len(waiting) > 1:
                yield f"more than one thread waits for semaphore {semaphore}: {_names(waiting)}"
        yield from self.announcements()

    def announcements(self) -> Iterator[str]:
        """Semaphores that announce different shards, or serve `sem.wait`, are apart."""
        taken = dict.fromkeys(self.waited, "sem.wait")
        for tensor in sorted(self.awaited):
            place = self.image.tensors[tensor].place
            assert isinstance(place, ShardPlace)
            for semaphore in range(place.ready, place.ready + len(place.owners)):
                other = taken.setdefault(semaphore, f"t{tensor}")
                if other != f"t{tensor}":
                    yield f"semaphore {semaphore} announces pages of t{tensor} and serves {other}"

    def instruction(self, at: Instruction) -> Iterator[str]:
        if isinstance(at, _COMPUTES) != (self.thread_name is Thread.COMPUTE) and isinstance(at, _MOVES + _COMPUTES):
            yield f"this does not run on thread {self.thread_name.value}"
        if isinstance(at, Loop | End):
            yield from self.control(at)
        elif isinstance(at, Probe):
            yield from self.page_of(at.cb, at.offset, False)
        elif isinstance(at, Reserve | Push | Wait | Pop):
            yield from self.cb_pages(at.cb, at.pages, producer=isinstance(at, Reserve | Push))
        elif isinstance(at, Read | Sense | Gather | Take | Write | Multicast):
            yield from self.move(at)
        elif isinstance(at, SemInc | SemWait | Await):
            yield from self.synchronize(at)
        elif isinstance(at, Fill | Matmul | Map | Reduce | Pack):
            yield from self.compute(at)

    def control(self, at: Loop | End) -> Iterator[str]:
        if isinstance(at, End):
            if not self.counts:
                yield "no loop is open"
        elif isinstance(at.count, int) and at.count < 1:
            yield "a loop runs at least once"
        elif len(self.counts) >= MAX_LOOP_DEPTH:
            yield f"loops are more than {MAX_LOOP_DEPTH} deep"
        else:
            yield from self.amount("iterations", at.count, 1 << 62)

    def amount(self, name: str, amount: Amount, limit: int) -> Iterator[str]:
        """A number of at least 1, or a variable whose values are known and not negative; `limit` at most."""
        if isinstance(amount, Variable) and amount.index in self.probed:
            yield f"the number of {name} depends on a probed page"
            return
        values = self.scope.amounts(amount)
        least, greatest = int(values[0]), int(values[-1])
        if least < (0 if isinstance(amount, Variable) else 1) or greatest > limit:
            counts = f"{greatest}" if least == greatest else f"{least} to {greatest}"
            yield f"{counts} {name} of a cb that holds {limit}" if name == "pages" else f"{counts} {name}"

    def certain(self, name: str, value: Affine) -> Iterator[str]:
        """The value does not depend on data."""
        if value.variable in self.probed:
            yield f"the {name} depends on a probed page"

    def affine(self, name: str, value: Affine, limit: int) -> Iterator[str]:
        """The offset uses the loops around it and stays in `0 ..< limit`."""
        if len(value.coefficients) > len(self.counts) or value.coefficients[-1:] == (0,):
            yield f"the {name} has {len(value.coefficients)} coefficients in {len(self.counts)} loops, or ends in 0"
            return
        span = span_of(value, self.scope)
        if span.least < 0 or span.greatest >= limit:
            yield f"the {name} takes values from {span.least} to {span.greatest}, allowed are 0 to {limit - 1}"

    def buffer(self, cb: int, producer: bool) -> CircularBuffer | None:
        """The cb, noting on which side of it this thread is; None if there is no such cb."""
        if not 0 <= cb < len(self.program.buffers):
            return None
        (self.producers if producer else self.consumers)[cb].add(self.thread_name)
        return self.program.buffers[cb]

    def cb_pages(self, cb: int, pages: Amount, producer: bool) -> Iterator[str]:
        buffer = self.buffer(cb, producer)
        if buffer is None:
            yield f"there is no cb{cb}"
        else:
            yield from self.amount("pages", pages, buffer.capacity)

    def page_of(
        self, cb: int, offset: Affine, producer: bool, dtype: DType | None = None, reach: tuple[int, int] = (0, 0)
    ) -> Iterator[str]:
        """Page `offset` of the cb, and the pages from `offset + reach[0]` to `offset + reach[1]`, are in the ring."""
        buffer = self.buffer(cb, producer)
        if buffer is None:
            yield f"there is no cb{cb}"
            return
        least, greatest = reach
        shifted = replace(offset, constant=offset.constant + least)
        yield from self.affine(f"page of cb{cb}", shifted, buffer.capacity - (greatest - least))
        if dtype is not None and buffer.dtype is not dtype:
            yield f"cb{cb} holds {buffer.dtype.value}, not {dtype.value}"

    def tensor(self, number: int, page: Affine, pages: int | None = None) -> Iterator[str]:
        if not 0 <= number < len(self.image.tensors):
            yield f"there is no tensor t{number}"
            return
        tensor = self.image.tensors[number]
        if isinstance(tensor.place, ShardPlace) and tensor.place.epoch != self.number:
            yield f"t{number} is in L1 in epoch {tensor.place.epoch} only"
        yield from self.affine(f"page of t{number}", page, pages or TileGrid(tensor.shape).pages)

    def move(self, at: Read | Sense | Gather | Take | Write | Multicast) -> Iterator[str]:
        yield from _noc(at.noc)
        if isinstance(at, Multicast):
            most = int(self.scope.amounts(at.pages)[-1])
            yield from self.page_of(at.cb, at.offset, True, reach=(0, max(1, most) - 1))
            yield from self.multicast(at)
            return
        tensor = self.known_tensor(at.tensor)
        yield from self.page_of(at.cb, at.offset, not isinstance(at, Write), tensor.dtype if tensor else None)
        if tensor and isinstance(at, Sense) and not tensor.flagged:
            yield f"t{at.tensor} keeps no flags"
        if tensor and isinstance(at, Gather | Take) and tensor.flagged:
            yield f"t{at.tensor} keeps flags for whole pages, and is not read in parts"
        if isinstance(at, Gather):
            yield from self.gather(at, tensor)
            return
        if isinstance(at, Take):
            yield from self.take(at, tensor)
            return
        yield from self.tensor(at.tensor, at.page)
        if isinstance(at, Write) and tensor and not isinstance(tensor.place, DramPlace):
            yield f"t{at.tensor} is not in DRAM"
        if isinstance(at, Write) and tensor and tensor.live is not None:
            yield from self.lives(tensor, at)
        if isinstance(at, Write) and tensor and tensor.role not in (Role.OUTPUT, Role.TEMPORARY):
            yield f"t{at.tensor} is {tensor.role.value} and is not written"

    def lives(self, tensor: Tensor, at: Write) -> Iterator[str]:
        """Only pages that live are written."""
        pages = values_of(at.page, self.scope)
        pages = pages[(pages >= 0) & (pages < TileGrid(tensor.shape).pages)]
        dead = np.setdiff1d(pages, stored_pages(tensor, pages))
        if len(dead):
            yield f"page {dead[0]} of t{at.tensor} does not live and is not written"

    def known_tensor(self, number: int) -> Tensor | None:
        return self.image.tensors[number] if 0 <= number < len(self.image.tensors) else None

    def gather(self, at: Gather, tensor: Tensor | None) -> Iterator[str]:
        if not 0 <= at.index_map < len(self.image.index_maps):
            yield f"there is no map{at.index_map}"
            return
        index_map = self.image.index_maps[at.index_map]
        yield from self.tensor(at.tensor, at.page, TileGrid(index_map.shape).pages)
        if tensor and prod(index_map.extents) != prod(tensor.shape):
            yield f"map{at.index_map} is for a tensor of {prod(index_map.extents)} elements"

    def take(self, at: Take, tensor: Tensor | None) -> Iterator[str]:
        """All rows that may be picked are there, and the numbers are integers in a cb that this thread consumes."""
        yield from self.page_of(at.indices, at.where, False, DType.I32)
        yield from self.affine("row tile", at.row_tile, 1 << 31)
        if min(at.extent, at.rows) < 1 or at.step < 0:
            yield f"{at.rows} rows of {at.extent}, {at.step} pages apart"
        elif tensor is None or not tensor.dtype.is_block:
            below = (at.extent - 1) // TILE * at.step
            yield from self.tensor(at.tensor, replace(at.page, constant=at.page.constant + below))
            yield from self.tensor(at.tensor, at.page)
        else:
            yield f"rows of {tensor.dtype.value} are not moved apart"

    def multicast(self, at: Multicast) -> Iterator[str]:
        """Every target has a ring like this one at the same addresses."""
        if 0 <= at.cb < len(self.program.buffers):
            yield from self.amount("pages", at.pages, self.program.buffers[at.cb].capacity)
        if not 0 <= at.targets < len(self.epoch.core_sets):
            yield f"there is no core set {at.targets}"
            return
        if not 0 <= at.cb < len(self.program.buffers):
            return
        ring = _ring(self.program.buffers[at.cb])
        for core in self.epoch.core_sets[at.targets].cores:
            buffers = next((p.buffers for p in self.epoch.programs if p.core == core), ())
            if ring not in [_ring(buffer) for buffer in buffers]:
                yield f"core {core} has no ring like cb{at.cb} at the same address"

    def synchronize(self, at: SemInc | SemWait | Await) -> Iterator[str]:
        if isinstance(at, Await):
            yield from self.tensor(at.tensor, at.page)
            yield from self.certain("page that is awaited", at.page)
            tensor = self.known_tensor(at.tensor)
            if tensor and not isinstance(tensor.place, ShardPlace):
                yield f"t{at.tensor} is not in L1"
            elif tensor:
                self.awaited.add(at.tensor)
            return
        yield from self.affine("semaphore", at.semaphore, self.image.machine.semaphores)
        yield from self.certain("semaphore", at.semaphore)
        if at.amount < 1:
            yield f"an amount of {at.amount}"
        if isinstance(at, SemInc):
            yield from _noc(at.noc)
            if not 0 <= at.targets < len(self.epoch.core_sets):
                yield f"there is no core set {at.targets}"
        else:
            span = span_of(at.semaphore, self.scope)
            for semaphore in range(max(0, span.least), min(span.greatest, self.image.machine.semaphores) + 1):
                self.waited[semaphore].add(self.thread_name)

    def compute(self, at: Fill | Matmul | Map | Reduce | Pack) -> Iterator[str]:
        if isinstance(at, Matmul):
            yield from self.matmul(at)
            return
        yield from self.registers(at.dst)
        if isinstance(at, Fill):
            yield from _register_dtype(at.dtype)
            if at.dtype is DType.I32 and not isinstance(at.value, int):
                yield f"{at.value!r} is no value of type {at.dtype.value}"
        elif isinstance(at, Map):
            yield from self.map(at)
        elif isinstance(at, Reduce):
            yield from self.registers(at.source)
            yield from _register_dtype(at.dtype)
            yield from self.mask(at.mask)
        else:
            yield from self.page_of(at.cb, at.offset, True)
            yield from self.pack(at)

    def registers(self, first: int, count: int = 1) -> Iterator[str]:
        limit = self.image.machine.compute.dst_tiles
        if first < 0 or first + count > limit:
            yield f"registers {first} to {first + count - 1}; a core has 0 to {limit - 1}"

    def matmul(self, at: Matmul) -> Iterator[str]:
        if min(at.rows, at.columns, at.inner) < 1:
            yield "an empty block"
            return
        yield from self.registers(at.dst, at.rows * at.columns)
        sides = [self.program.buffers[cb].dtype for cb in (at.a, at.b) if 0 <= cb < len(self.program.buffers)]
        if len(sides) == 2 and product_dtype(sides[0], sides[1]) is not at.dtype:
            yield f"operands of {sides[0].value} and {sides[1].value} are not multiplied as {at.dtype.value}"
        if at.dtype is not DType.BF16 and (at.part_a, at.part_b) != (Part.WHOLE, Part.WHOLE):
            yield f"parts of {at.dtype.value} are not multiplied"
        left = _reach((at.rows, at.a_row), (at.inner, at.a_inner))
        right = _reach((at.inner, at.b_inner), (at.columns, at.b_column))
        yield from self.page_of(at.a, at.a_offset, False, None, left)
        yield from self.page_of(at.b, at.b_offset, False, None, right)

    def map(self, at: Map) -> Iterator[str]:
        if not 0 <= at.kernel < len(self.image.kernels):
            yield f"there is no kernel{at.kernel}"
            return
        declared = self.image.kernels[at.kernel].operands
        if len(declared) != len(at.operands):
            yield f"{len(at.operands)} operands; kernel{at.kernel} has {len(declared)}"
            return
        if any(not 0 <= number < len(declared) for number in at.zeros):
            yield f"zeros are looked for in operands {list(at.zeros)}, of {len(declared)}"
        for operand, kind in zip(at.operands, declared, strict=True):
            if isinstance(operand, CbTile):
                yield from self.page_of(operand.cb, operand.offset, False, kind.dtype)
            else:
                yield from self.registers(operand.index)
                if kind.dtype is not kind.dtype.wide:
                    yield f"register {operand.index} holds f32, i32 or bool, not {kind.dtype.value}"

    def mask(self, mask: Mask) -> Iterator[str]:
        if min(mask.rows, mask.columns) < 1:
            yield f"a mask of {mask.rows} rows and {mask.columns} columns"
            return
        yield from self.affine("row tile of the mask", mask.row_tile, 1 << 31)
        yield from self.affine("column tile of the mask", mask.column_tile, 1 << 31)

    def pack(self, at: Pack) -> Iterator[str]:
        if at.mask is not None:
            yield from self.mask(at.mask)
        known = 0 <= at.cb < len(self.program.buffers)
        if at.accumulate and known and self.program.buffers[at.cb].dtype not in _REGISTER_DTYPES:
            yield f"cb{at.cb} holds {self.program.buffers[at.cb].dtype.value}, to which nothing is added in place"


def _missing(code: Code) -> Iterator[str]:
    """Variables and tables that are named and not there."""
    named = {variable for at in code.instructions for variable in variables_named(at)}
    yield from (f"there is no variable v{variable}" for variable in sorted(named) if not 0 <= variable < VARIABLES)
    tables = {at.table for at in code.instructions if isinstance(at, Fetch)}
    yield from (f"there is no table{table}" for table in sorted(tables) if not 0 <= table < len(code.tables))


def _reach(*axes: tuple[int, int]) -> tuple[int, int]:
    """Least and greatest of `sum(index * step)` over indices `0 ..< extent`, for pairs `(extent, step)`."""
    ends = [(extent - 1) * step for extent, step in axes]
    return sum(min(0, end) for end in ends), sum(max(0, end) for end in ends)


def _noc(noc: int) -> Iterator[str]:
    if noc not in (0, 1):
        yield f"there is no NoC {noc}"


def _register_dtype(dtype: DType) -> Iterator[str]:
    if dtype not in _REGISTER_DTYPES:
        yield f"registers hold f32 or i32, not {dtype.value}"


def _ring(buffer: CircularBuffer) -> Sequence[object]:
    return (buffer.address, buffer.capacity, buffer.dtype)


def _names(threads: set[Thread]) -> str:
    return ", ".join(sorted(thread.value for thread in threads))
