"""What the three thread emitters of a core share in a ragged stage: its lists, as loops of varying counts."""

from enum import IntEnum
from math import prod

import numpy as np

from compiler.codegen.frame import Frame, Names
from compiler.codegen.plan import StagePlan
from compiler.codegen.tables import Numbers
from compiler.numerics import TileGrid
from compiler.partition.live import has_steps
from compiler.partition.nest import Workload
from compiler.partition.ragged import Loads, in_pieces, loads, piece_blocks, work
from compiler.partition.stages import OperandPlan
from compiler.program.instructions import Thread
from compiler.target import Machine


class Level(IntEnum):
    """The parts of a core's work, from the whole of it down to its steps; all but the last are levels of operands."""

    CORE = 0
    PANEL = 1
    BLOCK = 2
    CHUNK = 3
    STEP = 4


class RaggedFrame(Frame):
    """One core's view of a stage that is computed in part: lists of blocks and steps, walked by tables."""

    def __init__(self, machine: Machine, workload: Workload, names: Names, plan: StagePlan, core: int) -> None:
        super().__init__(machine, workload, names, plan, core, plan.stage.block, partials=False)
        self.work = work(workload, plan.stage, core)
        operands = () if self.picks else range(len(self.nest.operands))
        self.loads: tuple[Loads, ...] = tuple(loads(workload, plan.stage, number, core) for number in operands)
        self.has_steps = has_steps(self.nest)

    @property
    def block_pages(self) -> int:
        """Pages of one block of the result."""
        return self.block[0] * self.block[1]

    def extents(self, number: int) -> tuple[int, ...]:
        return self.loads[number].extents

    def pages_loaded(self, number: int) -> Numbers:
        """Pages that each load of operand `number` brings."""
        return self.loads[number].counts * prod(self.extents(number))

    def counts(self, outer: Level, inner: Level) -> Numbers:
        """How many parts of level `inner` each part of level `outer` has."""
        work = self.work
        finer = (np.array([0, len(work.panels) - 1]), work.panels, work.chunk_bounds, work.step_bounds)
        bounds = finer[outer]
        for level in range(outer + 1, inner):
            bounds = finer[level][bounds]
        return np.diff(bounds)

    def levels(self, thread: Thread) -> tuple[Level, ...]:
        """Levels at which a thread has something to do, outermost first; the whole of the work is always one."""
        held = {Level.CORE, *(Level(plan.level) for plan in self.held(thread).values())}
        if thread is not Thread.READ:
            held.add(Level.BLOCK)
        if thread is Thread.COMPUTE and self.has_steps:
            held.add(Level.STEP)
        return tuple(sorted(held))

    def held(self, thread: Thread) -> dict[int, OperandPlan]:
        """The operands that a thread loads or, if it is the compute thread, uses."""
        plans = enumerate(self.stage.operands[: len(self.loads)])
        return {number: plan for number, plan in plans if thread in (Thread.COMPUTE, plan.thread)}

    def in_pieces(self, number: int) -> bool:
        """Whether operand `number` is handed over piece by piece, for the blocks that need its first pages to begin
        with."""
        return bool(in_pieces(self.workload, self.stage, number, self.stage.operands[number])[self.core])

    def pieces(self, number: int) -> tuple[Numbers, Numbers]:
        """How many pieces each load of operand `number` has, and the operand blocks of all pieces, in order."""
        counts, most = self.loads[number].counts, piece_blocks(self.extents(number))
        pieces = -(-counts // most)
        last = np.cumsum(pieces)[counts > 0] - 1
        blocks = np.full(int(pieces.sum()), most)
        blocks[last] = (counts - most * (pieces - 1))[counts > 0]
        return pieces, blocks

    def pages_needed(self, number: int) -> Numbers:
        """Pages of operand `number` that each block waits for, 0 where blocks before it waited for as many."""
        steps = self.counts(Level.BLOCK, Level.STEP)
        needed = np.zeros(len(steps), np.int64)
        np.maximum.at(needed, np.repeat(np.arange(len(steps)), steps), self.loads[number].places + 1)
        blocks = self.counts(Level(self.stage.operands[number].level), Level.BLOCK)
        for part in np.split(needed, np.cumsum(blocks)[:-1]):
            most = np.maximum.accumulate(part)
            part[1:] = np.where(most[1:] > most[:-1], most[1:], 0)
        return needed * prod(self.extents(number))

    def out_pages(self) -> Numbers:
        """The first page of each block of the result in its tensor."""
        strides = np.array(TileGrid(self.nest.shape).strides, np.int64)
        pages: Numbers = self.work.blocks @ strides
        return pages
