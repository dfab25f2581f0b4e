"""The compute thread of a core of a ragged stage: a walk over panels, blocks, chunks and steps.

Operands are waited for at their levels; room for a block of the result is reserved, and the block handed over, as a
whole. A block without steps is what the epilogue makes of accumulators to which nothing was added.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from compiler.codegen.bodies import Bodies, KernelTable
from compiler.codegen.code import Step, affine
from compiler.codegen.ragged import Level, RaggedFrame
from compiler.codegen.tables import Numbers, TableCode
from compiler.numerics import TILE
from compiler.partition.live import looped
from compiler.program.image import Code
from compiler.program.instructions import ZERO, Affine, Pop, Push, Reserve, Thread, Wait


def ragged_compute_code(frame: RaggedFrame, kernels: KernelTable, origin: int, finish_origin: int) -> Code:
    """Return the compute thread; a gather has none. What turns accumulators into results has the origin
    `finish_origin`."""
    if frame.picks:
        return Code()
    code = TableCode(origin)
    _walk(frame, code, Bodies(frame, kernels, code, finish_origin), frame.levels(Thread.COMPUTE))
    return code.build()


@dataclass(frozen=True, slots=True)
class _Position:
    """The block (or the step, with `level` STEP) at hand in the loops that are open in `code`."""

    frame: RaggedFrame
    code: TableCode
    level: Level

    def operand(self, number: int, here: dict[int, int], inner: Sequence[Step]) -> Affine:
        frame = self.frame
        places, strides = frame.loads[number].places, frame.local_strides(number)
        if not looped(frame.nest, number):
            places = self.by_turn(places)
        first = self.code.number(places * prod(frame.extents(number)))
        inside = sum(strides[axis] * tiles for axis, tiles in here.items())
        return first.plus(inside, [(strides[axis] * tiles, counter) for axis, tiles, counter in inner])

    def tile(self, axis: int, extent: int, here: dict[int, int], inner: Sequence[Step]) -> Affine:
        if extent % TILE == 0:
            return ZERO  # every tile is full, wherever it is
        work, rank = self.frame.work, self.frame.rank
        tiles = self.by_turn(work.blocks[:, axis]) if axis < rank else work.steps[:, axis - rank]
        terms = [(tiles, counter) for where, tiles, counter in inner if where == axis]
        return self.code.number(tiles).plus(here.get(axis, 0), terms)

    def result(self, row: int, column: int, inner: Sequence[Step]) -> Affine:
        width, down = self.frame.block[1], self.frame.rank - 2
        terms = [(tiles * (width if axis == down else 1), counter) for axis, tiles, counter in inner]
        return affine(row * width + column, terms)

    def by_turn(self, of_block: Numbers) -> Numbers:
        """What is given per block, per turn of the innermost loop."""
        if self.level is Level.BLOCK:
            return of_block
        return np.repeat(of_block, self.frame.counts(Level.BLOCK, self.level))


def _walk(frame: RaggedFrame, code: TableCode, bodies: Bodies, levels: Sequence[Level]) -> None:
    """Emit the first of `levels` and what is inside it."""
    level, *deeper = levels
    held = [number for number, plan in frame.held(Thread.COMPUTE).items() if plan.level == level]
    amounts = [(number, pages) for number in held if (pages := code.amount(frame.pages_loaded(number)))]
    if level is Level.BLOCK:
        code.emit(Reserve(frame.out_cb, frame.block_pages))
    code.emit(*(Wait(number, pages) for number, pages in amounts if not frame.in_pieces(number)))
    if level is Level.BLOCK:
        _wait_for_pieces(frame, code)
        bodies.begin()
    if level is Level.STEP:
        bodies.step(_Position(frame, code, level))
    elif deeper and (counts := frame.counts(level, deeper[0])).any():
        with code.turns(counts):
            _walk(frame, code, bodies, deeper)
    if level is Level.BLOCK:
        bodies.finish(_Position(frame, code, level))
    code.emit(*(Wait(number, pages) for number, pages in amounts if frame.in_pieces(number)))
    code.emit(*(Pop(number, pages) for number, pages in amounts))
    if level is Level.BLOCK:
        code.emit(Push(frame.out_cb, frame.block_pages))


def _wait_for_pieces(frame: RaggedFrame, code: TableCode) -> None:
    """Wait for what the block at hand is the first to need of operands that come piece by piece."""
    for number in frame.held(Thread.COMPUTE):
        if frame.in_pieces(number) and (needed := frame.pages_needed(number)).any():
            with code.turns(np.sign(needed)):
                code.emit(Wait(number, code.amount(needed[needed > 0])))
