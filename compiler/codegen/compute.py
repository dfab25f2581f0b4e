"""The compute thread of a core.

All bodies share one walk over the stage's loops: wait for the operands that become available at a level, reserve room
for a unit of the result at its level, and at the innermost levels begin, continue and finish one block of the result.
Registers: the block's accumulators first (or register 0), scratch after them.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from math import prod

from compiler.codegen.code import CodeBuilder, Counter, Step, affine
from compiler.codegen.frame import Frame
from compiler.numerics import DType, Expr
from compiler.numerics.expr import identity
from compiler.numerics.fidelity import Part
from compiler.partition.cost import register_block
from compiler.partition.nest import Access, ContractBody, GatherBody, MapBody, ReduceBody
from compiler.program.image import Code, Kernel, Operand, Spread
from compiler.program.instructions import (
    Affine,
    CbTile,
    Combine,
    DstTile,
    Fill,
    Map,
    Mask,
    Matmul,
    Pack,
    Pop,
    Push,
    Reduce,
    Reserve,
    Wait,
)


@dataclass
class KernelTable:
    """The image's kernels, each once."""

    numbers: dict[Kernel, int] = field(default_factory=dict)

    def number(self, kernel: Kernel) -> int:
        return self.numbers.setdefault(kernel, len(self.numbers))


def compute_code(frame: Frame, kernels: KernelTable, origin: int, finish_origin: int) -> Code:
    """Return the compute thread; a gather has none. What turns accumulators into results has the origin
    `finish_origin`."""
    if frame.gathers:
        return Code()
    writer = _Writer(frame, kernels, origin, finish_origin)
    writer.walk(0, [])
    return writer.code.build()


class _Writer:
    def __init__(self, frame: Frame, kernels: KernelTable, origin: int, finish_origin: int) -> None:
        self.frame = frame
        self.finish_origin = finish_origin
        self.kernels = kernels
        self.code = CodeBuilder(origin)
        self.rows = frame.loops[frame.rank - 2].step
        self.columns = frame.loops[frame.rank - 1].step
        self.block = self.rows * self.columns

    def walk(self, level: int, counters: Sequence[Counter]) -> None:
        """Emit the loops from `level` on."""
        frame = self.frame
        if level == frame.unit_level:
            self.code.emit(Reserve(frame.out_cb, frame.unit))
        held = [number for number, plan in enumerate(frame.stage.operands) if plan.level == level]
        self.code.emit(*(Wait(number, self.pages(number)) for number in held))
        if level == frame.rank:
            self.begin()
        if level == len(frame.loops):
            self.step(counters)
        else:
            with self.code.loop(frame.loops[level].count) as counter:
                self.walk(level + 1, [*counters, counter])
        if level == frame.rank:
            origin, self.code.origin = self.code.origin, self.finish_origin
            self.finish(counters)
            self.code.origin = origin
        self.code.emit(*(Pop(number, self.pages(number)) for number in held))
        if level == frame.unit_level:
            self.code.emit(Push(frame.out_cb, frame.unit))

    def pages(self, number: int) -> int:
        return prod(self.frame.extents(number))

    def begin(self) -> None:
        """Start the accumulators of one block."""
        match self.frame.nest.body:
            case ReduceBody() as body:
                neutral = _neutral(body.combine, body.body.dtype)
                self.code.emit(*(Fill(register, body.body.dtype, neutral) for register in range(self.block)))
            case ContractBody() as body:
                self.begin_products(_accumulator(body))

    def begin_products(self, dtype: DType) -> None:
        frame, block = self.frame, self.block
        if not frame.partials:
            self.code.emit(*(Fill(register, dtype, 0) for register in range(block)))
            return
        self.code.emit(Reserve(frame.partial_cb, block), Fill(0, dtype, 0))
        with self.code.loop(block) as tile:
            self.code.emit(Pack(0, frame.partial_cb, affine(0, [(1, tile)]), accumulate=False, mask=None))
        self.code.emit(Push(frame.partial_cb, block))

    def step(self, counters: Sequence[Counter]) -> None:
        """Take one block of the reduced axes into the accumulators."""
        match self.frame.nest.body:
            case ReduceBody() as body:
                self.combine(body, counters)
            case ContractBody() as body:
                self.multiply(body, counters)

    def combine(self, body: ReduceBody, counters: Sequence[Counter]) -> None:
        frame = self.frame
        last = len(frame.loops) - 1
        for register, here in self.tiles():
            with self.code.loop(frame.loops[last].step) as inner:
                term = [(last, 1, inner)]
                self.map(body.body, self.operands(range(body.body_operands), counters, here, term), self.block)
                row = frame.tile_coordinate(body.row_axis, counters, here, term)
                column = frame.tile_coordinate(body.column_axis, counters, here, term)
                mask = Mask(body.rows, row, body.columns, column)
                self.code.emit(Reduce(body.combine, body.axis, body.body.dtype, register, self.block, mask))

    def tiles(self) -> list[tuple[int, dict[int, int]]]:
        """The tiles of a block that is held in registers: register and tile coordinate by axis inside the block."""
        places = (divmod(register, self.columns) for register in range(self.block))
        row, column = self.frame.rank - 2, self.frame.rank - 1
        return [(register, {row: r, column: c}) for register, (r, c) in enumerate(places)]

    def multiply(self, body: ContractBody, counters: Sequence[Counter]) -> None:
        """Add the products of one block of the reduced axes.

        Partial sums are taken up again from their cb, a register block at a time and round the ring, so every element
        is summed in the order of the reduced axes, whatever the blocks: the result does not depend on the mapping.
        """
        frame = self.frame
        if not frame.partials:
            self.products(body, counters, [], self.rows, self.columns)
            return
        height, width = register_block(frame.machine, self.rows, self.columns)
        registers = range(height * width)
        dtype = _accumulator(body)
        with self.code.loop(self.rows // height) as down, self.code.loop(self.columns // width) as across:
            self.code.emit(Wait(frame.partial_cb, len(registers)))
            for register in registers:
                self.map(identity(dtype), [(_REGISTER[dtype], CbTile(frame.partial_cb, affine(register)))], register)
            self.code.emit(Pop(frame.partial_cb, len(registers)))
            inner: list[Step] = [(frame.rank - 2, height, down), (frame.rank - 1, width, across)]
            self.products(body, counters, inner, height, width)
            self.code.emit(Reserve(frame.partial_cb, len(registers)))
            for register in registers:
                self.code.emit(Pack(register, frame.partial_cb, affine(register), accumulate=False, mask=None))
            self.code.emit(Push(frame.partial_cb, len(registers)))

    def products(
        self, body: ContractBody, counters: Sequence[Counter], inner: Sequence[Step], rows: int, columns: int
    ) -> None:
        """Multiply the block at `counters`, or the part of it that the loops `inner` pick.

        Several passes are made tile by tile of the reduced axis, so that their order does not depend on the blocks.
        """
        last = len(self.frame.loops) - 1
        depth = self.frame.loops[last].step
        passes = body.fidelity.passes
        with ExitStack() as stack:
            if len(passes) > 1:
                inner = [*inner, (last, 1, stack.enter_context(self.code.loop(depth)))]
                depth = 1
            for parts in passes:
                self.code.emit(self.matmul(body, counters, inner, (rows, columns, depth), parts))

    def matmul(
        self,
        body: ContractBody,
        counters: Sequence[Counter],
        inner: Sequence[Step],
        extents: tuple[int, int, int],
        parts: tuple[Part, Part],
    ) -> Matmul:
        frame = self.frame
        a, b = frame.local_strides(0), frame.local_strides(1)
        row, column, last = frame.rank - 2, frame.rank - 1, len(frame.loops) - 1
        return Matmul(
            dst=0,
            a=0,
            a_offset=frame.used_at(0, counters, {}, inner),
            a_row=a[row],
            a_inner=a[last],
            b=1,
            b_offset=frame.used_at(1, counters, {}, inner),
            b_inner=b[last],
            b_column=b[column],
            rows=extents[0],
            columns=extents[1],
            inner=extents[2],
            dtype=body.dtype,
            transpose_a=body.transpose_a,
            transpose_b=body.transpose_b,
            clear=False,
            part_a=parts[0],
            part_b=parts[1],
            annihilates=body.annihilates,
        )

    def finish(self, counters: Sequence[Counter]) -> None:
        """Turn the accumulators of one block into its result."""
        match self.frame.nest.body:
            case MapBody(expr=expr):
                self.finish_map(expr, counters)
            case ReduceBody() as body:
                self.finish_registers(body.epilogue, body.body.dtype, body.body_operands, counters)
            case ContractBody() as body if self.frame.partials:
                self.finish_partials(body, counters)
            case ContractBody() as body:
                self.finish_registers(body.epilogue, _accumulator(body), 2, counters)
            case GatherBody():
                pass

    def finish_map(self, expr: Expr, counters: Sequence[Counter]) -> None:
        frame = self.frame
        with self.code.loop(self.rows) as row, self.code.loop(self.columns) as column:
            inner = [(frame.rank - 2, 1, row), (frame.rank - 1, 1, column)]
            self.map(expr, self.operands(range(len(frame.nest.operands)), counters, {}, inner), 0)
            self.pack(0, affine(0, [(self.columns, row), (1, column)]), counters, {}, inner)

    def finish_registers(self, epilogue: Expr, dtype: DType, looped: int, counters: Sequence[Counter]) -> None:
        """Finish accumulators that are in registers; operands from `looped` on are the epilogue's."""
        for register, here in self.tiles():
            if not epilogue.is_identity:
                extras = self.operands(range(looped, len(self.frame.nest.operands)), counters, here, [])
                self.map(epilogue, [(_REGISTER[dtype], DstTile(register)), *extras], register)
            row, column = divmod(register, self.columns)
            self.pack(register, self.out_offset(row, column, counters, []), counters, here, [])

    def finish_partials(self, body: ContractBody, counters: Sequence[Counter]) -> None:
        """Finish partial sums, which lie register block after register block."""
        frame = self.frame
        height, width = register_block(frame.machine, self.rows, self.columns)
        self.code.emit(Wait(frame.partial_cb, self.block))
        with ExitStack() as stack:
            counts = (self.rows // height, self.columns // width, height, width)
            down, across, row, column = (stack.enter_context(self.code.loop(count)) for count in counts)
            axes = (frame.rank - 2, frame.rank - 1)
            inner: list[Step] = [
                (axes[0], height, down),
                (axes[1], width, across),
                (axes[0], 1, row),
                (axes[1], 1, column),
            ]
            step = height * width
            page = affine(0, [(self.columns // width * step, down), (step, across), (width, row), (1, column)])
            accumulated = (_REGISTER[_accumulator(body)], CbTile(frame.partial_cb, page))
            extras = self.operands(range(2, len(frame.nest.operands)), counters, {}, inner)
            self.map(body.epilogue, [accumulated, *extras], 0)
            self.pack(0, self.out_offset(0, 0, counters, inner), counters, {}, inner)
        self.code.emit(Pop(frame.partial_cb, self.block))

    def out_offset(self, row: int, column: int, counters: Sequence[Counter], inner: Sequence[Step]) -> Affine:
        """Page of a tile of the block inside the unit, which may span several blocks of the same rows."""
        loop = self.frame.loops[self.frame.rank - 1]
        width = self.frame.unit // self.rows
        terms = [(loop.step, counters[self.frame.rank - 1])] if self.frame.unit_level < self.frame.rank else []
        terms += [(tiles * (width if axis == self.frame.rank - 2 else 1), counter) for axis, tiles, counter in inner]
        return affine(row * width + column, terms)

    def operands(
        self, numbers: range, counters: Sequence[Counter], here: dict[int, int], inner: Sequence[Step]
    ) -> list[tuple[Operand, CbTile | DstTile]]:
        """Return operands of a kernel and where their tiles are."""
        found: list[tuple[Operand, CbTile | DstTile]] = []
        for number in numbers:
            access: Access = self.frame.nest.operands[number]
            dtype = self.frame.workload.storages[access.storage].dtype
            offset = self.frame.used_at(number, counters, here, inner)
            found.append((Operand(dtype, access.spread), CbTile(number, offset)))
        return found

    def map(self, expr: Expr, operands: Sequence[tuple[Operand, CbTile | DstTile]], dst: int) -> None:
        kernel = self.kernels.number(Kernel(expr, tuple(operand for operand, _ in operands)))
        self.code.emit(Map(kernel, dst, tuple(place for _, place in operands)))

    def pack(
        self, register: int, offset: Affine, counters: Sequence[Counter], here: dict[int, int], inner: Sequence[Step]
    ) -> None:
        mask = self.frame.out_mask(counters[: self.frame.rank], here, inner)
        self.code.emit(Pack(register, self.frame.out_cb, offset, accumulate=False, mask=mask))


_REGISTER = {dtype: Operand(dtype, Spread.NONE) for dtype in DType}


def _accumulator(body: ContractBody) -> DType:
    return DType.I32 if body.dtype is DType.I32 else DType.F32


def _neutral(combine: Combine, dtype: DType) -> float | int:
    """The value that does not change a combination."""
    infinity: float | int = 2**31 - 1 if dtype is DType.I32 else float("inf")
    lowest: float | int = -(2**31) if dtype is DType.I32 else float("-inf")
    return {Combine.SUM: 0, Combine.PROD: 1, Combine.MIN: infinity, Combine.MAX: lowest}[combine]
