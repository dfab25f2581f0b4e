"""The stage graph: which part of which tensor on which core of a core grid, and which stages are resident together."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from math import prod

from compiler.diagnostics import Diagnostic
from compiler.partition.nest import Access, ContractBody, Nest, Workload
from compiler.program.instructions import Thread
from compiler.target import Coord, Machine


class Sharing(Enum):
    """Which cores of a stage need the same pages of an operand, and so can be served by one multicast."""

    NONE = "none"
    ROW = "row"
    COLUMN = "column"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class OperandPlan:
    """How an operand reaches a core.

    It is loaded block by block inside the outermost `level` loops of the stage into a cb of `buffers` blocks, by
    `thread`. With a `sharing` other than `NONE` one core of the group reads it and multicasts it to the others.
    `from_l1` says that it is read from the shards of a stage of the same epoch rather than from DRAM.
    """

    level: int
    buffers: int
    sharing: Sharing
    thread: Thread
    from_l1: bool


@dataclass(frozen=True, slots=True)
class Stage:
    """A nest on a core grid.

    `ways[d]` cuts axis `d` of the result into blocks of `ceil(dims[d] / ways[d])` tiles, none of them empty; the number
    of a block, row-major, is its virtual core. `grid` is the rows and columns of the core grid, in which virtual cores
    are numbered row by row: columns follow the last axis and rows all others, unless only one of the two is cut; then
    its blocks may fill a grid of any shape.
    `block` is the most tile rows, tile columns and innermost reduced tiles handled together; a core takes the largest
    numbers up to these that divide what it holds.
    The result goes to DRAM (`to_dram`), stays in L1 for stages of the same epoch (`shard`), or both. `corner` is
    where the source wants the first core of the grid.

    A stage of a nest that is not computed whole has a `deal` instead of `ways` (which is then empty): per virtual core
    the blocks of the result that it computes, in order; see `compiler.partition.ragged`.
    """

    nest: int
    ways: tuple[int, ...]
    grid: tuple[int, int]
    block: tuple[int, int, int]
    operands: tuple[OperandPlan, ...]
    to_dram: bool
    shard: bool
    corner: Coord | None = None
    deal: tuple[tuple[int, ...], ...] = ()

    @property
    def cores(self) -> int:
        return len(self.deal) or prod(self.ways)


@dataclass(frozen=True, slots=True)
class StageGraph:
    """Stages by epoch, in topological order inside and across epochs; every nest is one stage of one epoch."""

    workload: Workload
    epochs: tuple[tuple[Stage, ...], ...]
    notes: tuple[Diagnostic, ...] = ()
    """Soft hints that could not be obeyed."""


@dataclass(frozen=True, slots=True)
class Loop:
    """One loop of a stage on a core: `count` steps of `step` tiles along `axis` of the space."""

    axis: int
    step: int
    count: int


def block_coordinates(stage: Stage, core: int) -> tuple[int, ...]:
    """Return the block coordinates of virtual core `core`."""
    coordinates = []
    for way in reversed(stage.ways):
        core, coordinate = divmod(core, way)
        coordinates.append(coordinate)
    return tuple(reversed(coordinates))


def box(nest: Nest, stage: Stage, core: int) -> tuple[tuple[int, int], ...]:
    """Return the first tile and the tile count per axis of the space that virtual core `core` computes."""
    ranges = []
    for dim, way, coordinate in zip(nest.out_dims, stage.ways, block_coordinates(stage, core), strict=True):
        size = -(-dim // way)
        ranges.append((coordinate * size, min(size, dim - coordinate * size)))
    return (*ranges, *((0, extent) for extent in nest.reduced))


def fitting_step(count: int, limit: int) -> int:
    """Return the largest divisor of `count` that is at most `limit`: blocks never have a remainder."""
    if limit >= count:
        return count
    return next(step for step in range(limit, 0, -1) if count % step == 0)


def loops(nest: Nest, stage: Stage, core: int) -> tuple[Loop, ...]:
    """Return the loops of a core, outermost first: leading axes, rows, columns, reduced axes."""
    rank = len(nest.out_dims)
    limits = [1] * len(nest.space)
    limits[rank - 2], limits[rank - 1] = stage.block[:2]
    if nest.reduced:
        limits[-1] = stage.block[2]
    nest_loops = []
    for axis, (limit, (_, count)) in enumerate(zip(limits, box(nest, stage, core), strict=True)):
        step = fitting_step(count, limit)
        nest_loops.append(Loop(axis, step, count // step))
    return tuple(nest_loops)


def corner_cores(stage: Stage) -> tuple[int, ...]:
    """Return virtual cores among which every size of block occurs: first and last along each axis that is cut."""
    corners = [0]
    for way in stage.ways:
        corners = [corner * way + last for corner in corners for last in ({0, way - 1})]
    return tuple(sorted(corners))


def load_extents(access: Access, level: int, nest_loops: tuple[Loop, ...]) -> tuple[int, ...]:
    """Return, per axis of the space, how many tiles one load of an operand spans (1 where its stride is 0)."""
    extents = []
    for index, loop in enumerate(nest_loops):
        whole = loop.step if index < level else loop.step * loop.count
        extents.append(whole if access.strides[loop.axis] else 1)
    return tuple(extents)


def deliveries(level: int, nest_loops: tuple[Loop, ...]) -> int:
    """Return how many times an operand of this level is loaded."""
    return prod(loop.count for loop in nest_loops[:level])


def has_partials(machine: Machine, nest: Nest, nest_loops: tuple[Loop, ...]) -> bool:
    """Whether a contraction's block is too large for the registers and accumulates in L1 instead."""
    row, column = len(nest.out_dims) - 2, len(nest.out_dims) - 1
    registers = nest_loops[row].step * nest_loops[column].step
    return isinstance(nest.body, ContractBody) and registers > machine.compute.dst_tiles


def unit_pages(nest: Nest, nest_loops: tuple[Loop, ...]) -> int:
    """Return the pages that the compute thread pushes at a time: always consecutive in the row-major order of the box.

    A block of one tile row is handed over on its own, a taller one with all others of its rows.
    """
    row, column = nest_loops[len(nest.out_dims) - 2], nest_loops[len(nest.out_dims) - 1]
    if row.step == 1 and not isinstance(nest.body, ContractBody):
        return column.step
    return row.step * column.step * column.count


def out_capacity(nest: Nest, nest_loops: tuple[Loop, ...], keep: bool) -> int:
    """Return the pages of the result's cb: the whole block if it is kept, else two units."""
    whole = prod(loop.step * loop.count for loop in nest_loops[: len(nest.out_dims)])
    return whole if keep else min(whole, 2 * unit_pages(nest, nest_loops))


def multicast_semaphores(stages: Sequence[Stage]) -> int:
    """Return the semaphores that each core of an epoch needs for multicasts: two for each that its stage shares."""
    return 2 * max((sum(plan.sharing is not Sharing.NONE for plan in stage.operands) for stage in stages), default=0)


def semaphores(stages: Sequence[Stage]) -> int:
    """Return the semaphores that each core of an epoch needs: those of multicasts, and one per core that announces
    pages."""
    return multicast_semaphores(stages) + sum(stage.cores for stage in stages if stage.shard)
