"""What the compute thread does with one block of the result: begin, continue and finish it.

The walks over a core's work (`compute` for boxes, `ragged_compute` for irregular sets of blocks) say where the operands
of a block lie; all that a body does with them is here. Registers: the block's accumulators first (or register 0),
scratch after them.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Protocol

from compiler.codegen.code import GUARD_VARIABLE, NO_GUARD, CodeBuilder, Step, affine
from compiler.codegen.frame import Frame
from compiler.numerics import TILE, DType, Expr, TileGrid
from compiler.numerics.dependence import vanishes
from compiler.numerics.expr import identity
from compiler.numerics.fidelity import Part
from compiler.partition.cost import register_block
from compiler.partition.nest import Access, ContractBody, GatherBody, MapBody, ReduceBody, TakeBody
from compiler.program.image import Kernel, Operand, Spread
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
    Probe,
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


class Position(Protocol):
    """Where the walk stands: at a block of the result or at a step of it.

    Tiles of the block are picked by `here` (tiles by axis) and by loops around the instruction (`inner`).
    """

    def operand(self, number: int, here: dict[int, int], inner: Sequence[Step]) -> Affine:
        """Page of a tile of operand `number` in its cb, from the read pointer."""

    def tile(self, axis: int, extent: int, here: dict[int, int], inner: Sequence[Step]) -> Affine:
        """Tile coordinate along `axis`, for a mask of a tensor that is `extent` elements long there."""

    def result(self, row: int, column: int, inner: Sequence[Step]) -> Affine:
        """Page of a tile of the result in its cb, from the write pointer."""


class Bodies:
    """Emits the body of a stage's nest, block by block, into `code`."""

    def __init__(self, frame: Frame, kernels: KernelTable, code: CodeBuilder, finish_origin: int) -> None:
        self.frame = frame
        self.kernels = kernels
        self.code = code
        self.finish_origin = finish_origin
        self.rows, self.columns, self.depth = frame.block
        self.block = self.rows * self.columns
        self.last = len(frame.nest.space) - 1

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

    def step(self, at: Position) -> None:
        """Take one block of the reduced axes into the accumulators."""
        match self.frame.nest.body:
            case ReduceBody() as body:
                self.combine(body, at)
            case ContractBody() as body:
                self.multiply(body, at)

    def combine(self, body: ReduceBody, at: Position) -> None:
        for register, here in self.tiles():
            with self.code.loop(self.depth) as inner:
                term = [(self.last, 1, inner)]
                operands = self.operands(range(body.body_operands), at, here, term)
                self.map(body.body, operands, self.block, self.guard(at, here, term))
                row = at.tile(body.row_axis, body.rows, here, term)
                column = at.tile(body.column_axis, body.columns, here, term)
                mask = Mask(body.rows, row, body.columns, column)
                self.code.emit(Reduce(body.combine, body.axis, body.body.dtype, register, self.block, mask))

    def tiles(self) -> list[tuple[int, dict[int, int]]]:
        """The tiles of a block that is held in registers: register and tile coordinate by axis inside the block."""
        places = (divmod(register, self.columns) for register in range(self.block))
        row, column = self.frame.rank - 2, self.frame.rank - 1
        return [(register, {row: r, column: c}) for register, (r, c) in enumerate(places)]

    def multiply(self, body: ContractBody, at: Position) -> None:
        """Add the products of one block of the reduced axes.

        Partial sums are taken up again from their cb, a register block at a time and round the ring, so every element
        is summed in the order of the reduced axes, whatever the blocks: the result does not depend on the mapping.
        """
        frame = self.frame
        if not frame.partials:
            self.products(body, at, [], self.rows, self.columns)
            return
        height, width = register_block(frame.machine, self.rows, self.columns)
        registers = range(height * width)
        dtype = _accumulator(body)
        with self.code.loop(self.rows // height) as down, self.code.loop(self.columns // width) as across:
            self.code.emit(Wait(frame.partial_cb, len(registers)))
            for register in registers:
                self.take_up(CbTile(frame.partial_cb, affine(register)), dtype, register)
            self.code.emit(Pop(frame.partial_cb, len(registers)))
            inner: list[Step] = [(frame.rank - 2, height, down), (frame.rank - 1, width, across)]
            self.products(body, at, inner, height, width)
            self.code.emit(Reserve(frame.partial_cb, len(registers)))
            for register in registers:
                self.code.emit(Pack(register, frame.partial_cb, affine(register), accumulate=False, mask=None))
            self.code.emit(Push(frame.partial_cb, len(registers)))

    def products(self, body: ContractBody, at: Position, inner: Sequence[Step], rows: int, columns: int) -> None:
        """Multiply the step at hand, or the part of it that the loops `inner` pick.

        Several passes are made tile by tile of the reduced axis, so that their order does not depend on the blocks.
        """
        frame, depth, passes = self.frame, self.depth, body.fidelity.passes
        with ExitStack() as stack:
            if len(passes) > 1:
                inner = [*inner, (self.last, 1, stack.enter_context(self.code.loop(depth)))]
                depth = 1
            for parts in passes:
                if not frame.guarded:
                    self.code.emit(self.matmul(body, at, inner, (rows, columns, depth), parts))
                    continue
                for row in range(rows):  # a row of tiles has a gate of its own
                    guard = self.guard(at, {frame.rank - 2: row}, inner)
                    self.code.emit(self.matmul(body, at, inner, (1, columns, depth), parts, row, guard))

    def matmul(
        self,
        body: ContractBody,
        at: Position,
        inner: Sequence[Step],
        extents: tuple[int, int, int],
        parts: tuple[Part, Part],
        first_row: int = 0,
        guard: int = NO_GUARD,
    ) -> Matmul:
        """The product of `extents` tile rows, columns and reduced tiles, from tile row `first_row` of the block on."""
        frame = self.frame
        a, b = frame.local_strides(0), frame.local_strides(1)
        row, column = frame.rank - 2, frame.rank - 1
        here = {row: first_row}
        return Matmul(
            dst=first_row * extents[1],
            a=0,
            a_offset=at.operand(0, here, inner),
            a_row=a[row],
            a_inner=a[self.last],
            b=1,
            b_offset=at.operand(1, here, inner),
            b_inner=b[self.last],
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
            skip_a=frame.flagged(0),
            skip_b=frame.flagged(1),
            annihilates=body.annihilates,
            guard=guard,
        )

    def take_up(self, tile: CbTile, dtype: DType, register: int) -> None:
        """Take a partial sum up again; one that is still zero costs a look at its flag where flags are kept."""
        kernel = self.kernels.number(Kernel(identity(dtype), (_REGISTER[dtype],)))
        self.code.emit(Map(kernel, register, (tile,), zeros=(0,) if self.frame.looks_at_flags else ()))

    def guard(self, at: Position, here: dict[int, int], inner: Sequence[Step]) -> int:
        """Look whether the gate is open at a tile; return the variable that says so, or `NO_GUARD`."""
        if not self.frame.guarded:
            return NO_GUARD
        self.code.emit(Probe(GUARD_VARIABLE, self.frame.nest.guard, at.operand(self.frame.nest.guard, here, inner)))
        return GUARD_VARIABLE

    def finish_guard(self, at: Position, here: dict[int, int], inner: Sequence[Step]) -> int:
        """As `guard`, for what finishes a tile: only a nest whose results may be dead leaves that out."""
        return self.guard(at, here, inner) if self.frame.nest.dead else NO_GUARD

    def finish(self, at: Position) -> None:
        """Turn the accumulators of one block into its result."""
        origin, self.code.origin = self.code.origin, self.finish_origin
        self.finish_body(at)
        self.code.origin = origin

    def finish_body(self, at: Position) -> None:
        match self.frame.nest.body:
            case MapBody(expr=expr):
                self.finish_map(expr, at)
            case ReduceBody() as body:
                self.finish_registers(body.epilogue, body.body.dtype, body.body_operands, at)
            case ContractBody() as body if self.frame.partials:
                self.finish_partials(body, at)
            case ContractBody() as body:
                self.finish_registers(body.epilogue, _accumulator(body), 2, at)
            case GatherBody() | TakeBody():
                pass

    def finish_map(self, expr: Expr, at: Position) -> None:
        frame = self.frame
        with self.code.loop(self.rows) as row, self.code.loop(self.columns) as column:
            inner = [(frame.rank - 2, 1, row), (frame.rank - 1, 1, column)]
            operands = self.operands(range(frame.nest.kernel_operands), at, {}, inner)
            self.map(expr, operands, 0, self.finish_guard(at, {}, inner))
            self.pack(0, at.result(0, 0, inner), at, {}, inner)

    def finish_registers(self, epilogue: Expr, dtype: DType, looped: int, at: Position) -> None:
        """Finish accumulators that are in registers; operands from `looped` on are the epilogue's."""
        for register, here in self.tiles():
            if not epilogue.is_identity:
                extras = self.operands(range(looped, self.frame.nest.kernel_operands), at, here, [])
                operands = [(_REGISTER[dtype], DstTile(register)), *extras]
                self.map(epilogue, operands, register, self.finish_guard(at, here, []))
            row, column = divmod(register, self.columns)
            self.pack(register, at.result(row, column, []), at, here, [])

    def finish_partials(self, body: ContractBody, at: Position) -> None:
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
            extras = self.operands(range(2, frame.nest.kernel_operands), at, {}, inner)
            self.map(body.epilogue, [accumulated, *extras], 0, self.finish_guard(at, {}, inner))
            self.pack(0, at.result(0, 0, inner), at, {}, inner)
        self.code.emit(Pop(frame.partial_cb, self.block))

    def operands(
        self, numbers: range, at: Position, here: dict[int, int], inner: Sequence[Step]
    ) -> list[tuple[Operand, CbTile | DstTile]]:
        """Return operands of a kernel and where their tiles are."""
        found: list[tuple[Operand, CbTile | DstTile]] = []
        for number in numbers:
            access: Access = self.frame.nest.operands[number]
            dtype = self.frame.workload.storages[access.storage].dtype
            offset = at.operand(number, here, inner)
            found.append((Operand(dtype, access.spread), CbTile(number, offset)))
        return found

    def map(self, expr: Expr, operands: Sequence[tuple[Operand, CbTile | DstTile]], dst: int, guard: int) -> None:
        kernel = self.kernels.number(Kernel(expr, tuple(operand for operand, _ in operands)))
        places = tuple(place for _, place in operands)
        zeros = self.zeros(expr, places) if self.frame.workload.dynamic else ()
        self.code.emit(Map(kernel, dst, places, zeros, self.frame.nest.dead, guard))

    def zeros(self, expr: Expr, places: tuple[CbTile | DstTile, ...]) -> tuple[int, ...]:
        """The operands whose flag may say that the result is zero: those with flags on which nothing else depends."""
        frame = self.frame
        return tuple(
            number
            for number, place in enumerate(places)
            if (
                frame.knows_flags(place.cb)
                if isinstance(place, CbTile) and place.cb < frame.out_cb
                else frame.looks_at_flags
            )
            and vanishes(expr, number)
        )

    def pack(self, register: int, offset: Affine, at: Position, here: dict[int, int], inner: Sequence[Step]) -> None:
        mask = self.out_mask(at, here, inner)
        self.code.emit(Pack(register, self.frame.out_cb, offset, accumulate=False, mask=mask))

    def out_mask(self, at: Position, here: dict[int, int], inner: Sequence[Step]) -> Mask | None:
        """The mask of a tile of the result, None where every tile is full."""
        *_, rows, columns = TileGrid(self.frame.nest.shape).matrix_shape
        if rows % TILE == 0 and columns % TILE == 0:
            return None
        row = at.tile(self.frame.rank - 2, rows, here, inner)
        return Mask(rows, row, columns, at.tile(self.frame.rank - 1, columns, here, inner))


_REGISTER = {dtype: Operand(dtype, Spread.NONE) for dtype in DType}


def _accumulator(body: ContractBody) -> DType:
    return body.dtype.wide


def _neutral(combine: Combine, dtype: DType) -> float | int:
    """The value that does not change a combination."""
    infinity: float | int = 2**31 - 1 if dtype is DType.I32 else float("inf")
    lowest: float | int = -(2**31) if dtype is DType.I32 else float("-inf")
    return {Combine.SUM: 0, Combine.PROD: 1, Combine.MIN: infinity, Combine.MAX: lowest}[combine]
