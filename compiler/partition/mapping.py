"""The ways to put one nest on a core grid: shardings, block sizes and how each operand arrives."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import prod

import numpy as np

from compiler.ir.hints import Loading
from compiler.partition.context import Candidate, Context
from compiler.partition.cost import estimate
from compiler.partition.footprint import l1_bytes
from compiler.partition.hinting import Disobeyed
from compiler.partition.nest import (
    Access,
    ContractBody,
    GatherBody,
    MapBody,
    Nest,
    ReduceBody,
    TakeBody,
    Workload,
)
from compiler.partition.ragged_mapping import ragged_candidates, smallest_ragged_l1
from compiler.partition.stages import (
    Loop,
    OperandPlan,
    Sharing,
    Stage,
    corner_cores,
    deliveries,
    fitting_step,
    load_extents,
    loops,
)
from compiler.place.problem import Block
from compiler.place.solve import fits
from compiler.program.instructions import Thread
from compiler.target import Coord, Machine

MAP_BLOCK = 4
"""Tiles that an elementwise stage handles together: enough to hide the latency of one read behind the next."""
INNER_BLOCK = 8
"""Most tiles of the innermost reduced axis in one block."""
OUT_BLOCK = 64
"""Most tiles of a result block of a contraction; its partial sums then take 256 KiB."""


def candidates(machine: Machine, workload: Workload, nest_index: int, context: Context) -> tuple[Candidate, ...]:
    """Return the mappings of a nest worth considering, fewest cores first; none is slower than one with fewer cores."""
    nest = workload.nests[nest_index]
    if nest.live is not None:
        found = ragged_candidates(machine, workload, nest_index, context)
    else:
        tried = (_best(machine, workload, nest_index, *way, context) for way in _wanted_ways(machine, nest))
        found = [best for best in tried if best is not None]
    found.sort(key=lambda c: (c.stage.cores, c.estimate.total, c.stage.ways))
    front: list[Candidate] = []
    for candidate in found:
        if not front or candidate.estimate.total < front[-1].estimate.total:
            front.append(candidate)
    return tuple(front)


def smallest_l1(machine: Machine, workload: Workload, nest_index: int, context: Context) -> int:
    """Return the L1 bytes of the least demanding mapping that `candidates` tried, whether it fits or not."""
    nest = workload.nests[nest_index]
    if nest.live is not None:
        return smallest_ragged_l1(machine, workload, nest_index, context)
    return min(
        l1_bytes(machine, workload, stage)
        for ways, grid in _wanted_ways(machine, nest)
        for stages in _variants(machine, workload, nest_index, ways, grid, context)
        for stage in stages
    )


def _wanted_ways(machine: Machine, nest: Nest) -> tuple[tuple[tuple[int, ...], tuple[int, int]], ...]:
    """The cuts and core grids that the hint of a nest leaves.

    Raises `Disobeyed` if it leaves none.
    """
    ways = tuple(_ways(machine, nest))
    hint = nest.hint
    if hint is None:
        return ways
    if hint.cores is not None:
        tiles = f"{prod(nest.out_dims[:-1])} x {nest.out_dims[-1]} tiles"
        grids = ", ".join(f"cores({rows}, {columns})" for rows, columns in sorted({grid for _, grid in ways})[-6:])
        ways = tuple(way for way in ways if way[1] == hint.cores)
        if not ways:
            reason = f"the {tiles} of `{nest.name}` do not split evenly over that core grid of `{machine.name}`"
            raise Disobeyed(hint, reason, f"grids that work are, among others, {grids}")
    if hint.corner is not None:
        corner = Coord(*hint.corner)
        ways = tuple(way for way in ways if fits(machine, (Block(nest.name, *way[1], corner),)))
        if not ways:
            reason = f"no core grid for `{nest.name}` can start at {corner} of `{machine.name}`"
            raise Disobeyed(hint, reason, f"live cores are in columns {machine.core_columns}, rows {machine.core_rows}")
    return ways


def _ways(machine: Machine, nest: Nest) -> Iterator[tuple[tuple[int, ...], tuple[int, int]]]:
    """Cuts of the result's axes and the core grid for them."""
    *outer, columns = nest.out_dims
    most_rows, most_columns = len(machine.core_rows), len(machine.core_columns)
    for width in _cuts(columns, most_rows * most_columns):
        for height in _cuts(prod(outer), most_rows * most_columns // width):
            grid = _grid(height, width, most_rows, most_columns)
            cuts = _spread(tuple(outer), height)
            if grid is not None and cuts is not None:
                yield (*cuts, width), grid


def _cuts(extent: int, limit: int) -> tuple[int, ...]:
    """Numbers of blocks worth trying for an axis: the fewest for each size of block."""
    return tuple(sorted({cut for size in range(1, extent + 1) if (cut := -(-extent // size)) <= limit}))


def _grid(height: int, width: int, most_rows: int, most_columns: int) -> tuple[int, int] | None:
    """The core grid for `height x width` blocks; where only one is cut, the tallest grid of as many cores."""
    if height <= most_rows and width <= most_columns:
        return height, width
    if height > 1 and width > 1:
        return None
    cores = height * width
    rows = next(rows for rows in range(most_rows, 0, -1) if cores % rows == 0)
    return (rows, cores // rows) if cores // rows <= most_columns else None


def _spread(extents: tuple[int, ...], ways: int) -> tuple[int, ...] | None:
    """Cut the axes, outermost first, into `ways` blocks in all, none empty; None if that is not possible."""
    cuts = []
    for extent in extents:
        cut = next(n for n in range(min(extent, ways), 0, -1) if ways % n == 0 and _no_empty_block(extent, n))
        cuts.append(cut)
        ways //= cut
    return tuple(cuts) if ways == 1 else None


def _no_empty_block(extent: int, ways: int) -> bool:
    return -(-extent // ways) * (ways - 1) < extent


def _best(
    machine: Machine,
    workload: Workload,
    nest_index: int,
    ways: tuple[int, ...],
    grid: tuple[int, int],
    context: Context,
) -> Candidate | None:
    """The fastest of the first variants that fit L1: they come in groups, the most promising group first."""
    columns = workload.nests[nest_index].out_dims[-1]
    if not _no_empty_block(columns, ways[-1]):
        return None
    for stages in _variants(machine, workload, nest_index, ways, grid, context):
        fitting = [stage for stage in stages if l1_bytes(machine, workload, stage) <= machine.l1_available]
        if fitting:
            choices = [Candidate(stage, estimate(machine, workload, stage)) for stage in fitting]
            return min(choices, key=lambda choice: choice.estimate.total)
    return None


def _variants(
    machine: Machine,
    workload: Workload,
    nest_index: int,
    ways: tuple[int, ...],
    grid: tuple[int, int],
    context: Context,
) -> Iterator[tuple[Stage, ...]]:
    """Stages with ever smaller blocks of the result, a group for each; after those without repeated loads come those
    with them."""
    nest = workload.nests[nest_index]
    corner = Coord(*nest.hint.corner) if nest.hint is not None and nest.hint.corner is not None else None
    for deepest in (False, True):
        for blocks in _blocks(machine, nest, ways):
            stages = []
            for block in blocks:
                bare = Stage(nest_index, ways, grid, block, (), context.to_dram, context.shard, corner)
                corners = {core: loops(nest, bare, core) for core in corner_cores(bare)}
                numbers = range(len(nest.operands))
                plans = (_plan(nest, bare, corners, number, context.from_l1[number], deepest) for number in numbers)
                stages.append(replace(bare, operands=tuple(plans)))
            yield tuple(stages)


def _blocks(machine: Machine, nest: Nest, ways: tuple[int, ...]) -> Iterator[tuple[tuple[int, int, int], ...]]:
    """Blocks to try, in groups that differ only in the innermost reduced axis."""
    rows, columns = (-(-dim // way) for dim, way in zip(nest.out_dims[-2:], ways[-2:], strict=True))
    inner = nest.reduced[-1] if nest.reduced else 1
    inners = sorted({fitting_step(inner, limit) for limit in range(1, INNER_BLOCK + 1)}, reverse=True)
    match nest.body:
        case ContractBody():
            shapes = [(r, c) for r in _divisors(rows) for c in _divisors(columns) if r * c <= OUT_BLOCK or r == c == 1]
            shapes.sort(key=lambda shape: (-shape[0] * shape[1], abs(shape[0] - shape[1])))
            yield from (tuple((*shape, step) for step in inners) for shape in shapes)
        case ReduceBody():
            most = max(1, machine.compute.dst_tiles - 1)  # one register is scratch
            shapes = [(r, columns) for r in _divisors(rows) if r * columns <= most] + [(1, 1)]
            yield from (tuple((*shape, step) for step in inners) for shape in reversed(shapes))
        case MapBody() | GatherBody() | TakeBody():
            shapes = [(r, columns) for r in _divisors(rows) if r * columns <= MAP_BLOCK]
            shapes = shapes[::-1] or [(1, step) for step in range(min(columns, MAP_BLOCK), 0, -1)]
            yield from (((*shape, 1),) for shape in (*shapes, (1, 1)))


def _divisors(number: int) -> tuple[int, ...]:
    return tuple(n for n in range(1, number + 1) if number % n == 0)


def _plan(
    nest: Nest, stage: Stage, corners: Mapping[int, tuple[Loop, ...]], number: int, from_l1: bool, deepest: bool
) -> OperandPlan:
    """Plan an operand of a stage whose corner cores have the loops `corners`."""
    if number >= nest.buffered_operands:
        return OperandPlan(0, 1, Sharing.NONE, Thread.READ, from_l1)  # every core picks its own elements
    nest_loops = corners[0]
    loading = nest.hint.loading if nest.hint is not None else None
    if loading is Loading.RESIDENT:
        level = 0
    elif deepest or loading is Loading.STREAM:
        level = _deepest_level(nest, number, nest_loops)
    else:
        level = _level(nest, number, nest_loops)
    wanted = nest.hint.buffers if nest.hint is not None else None
    buffers = (wanted or 2) if deliveries(level, nest_loops) > 1 else 1
    sharing = _sharing(nest, stage, corners, nest.operands[number], level)
    thread = Thread.WRITE if _second_thread(nest, number, level, nest_loops) else Thread.READ
    return OperandPlan(level, buffers, sharing, thread, from_l1)


def _second_thread(nest: Nest, number: int, level: int, nest_loops: tuple[Loop, ...]) -> bool:
    """Whether the write thread loads this operand: the right side of a contraction, where that delays no result."""
    units = prod(loop.count for loop in nest_loops[: len(nest.out_dims) - 1])
    return isinstance(nest.body, ContractBody) and number == 1 and (units == 1 or level == 0)


def _last_level(nest: Nest, number: int) -> int:
    """Loops around the place where the operand is used: all of them, or only those of the result's tiles."""
    return len(nest.space) if number < nest.looped_operands else len(nest.out_dims)


def _deepest_level(nest: Nest, number: int, nest_loops: tuple[Loop, ...]) -> int:
    """As many loops outside as possible: the smallest block, loaded anew whenever it is needed."""
    strides = nest.operands[number].strides
    used = [index for index, loop in enumerate(nest_loops) if strides[loop.axis] and loop.count > 1]
    return min(used[-1] + 1 if used else 0, _last_level(nest, number))


def _level(nest: Nest, number: int, nest_loops: tuple[Loop, ...]) -> int:
    """The deepest level at which no page is loaded twice.

    A load is repeated by every loop outside it that the operand does not depend on; so it must stay outside the
    outermost such loop, unless nothing inside that loop depends on anything either.
    """
    strides = nest.operands[number].strides
    level = _deepest_level(nest, number, nest_loops)
    idle = [index for index, loop in enumerate(nest_loops[:level]) if not strides[loop.axis] and loop.count > 1]
    return idle[0] if idle else level


def _sharing(nest: Nest, stage: Stage, corners: Mapping[int, tuple[Loop, ...]], access: Access, level: int) -> Sharing:
    """The largest group of cores with the same pages that also load them equally often."""
    sharing = next(_common(stage, access), Sharing.NONE)
    return sharing if sharing is Sharing.NONE or _in_step(stage, corners, access, level, sharing) else Sharing.NONE


def _common(stage: Stage, access: Access) -> Iterator[Sharing]:
    """The groups of cores that need the same pages of an operand, the largest first."""
    if stage.cores == 1:
        return
    blocks = np.unravel_index(np.arange(stage.cores), stage.ways)
    cut = [numbers for numbers, stride in zip(blocks, access.strides, strict=False) if stride]
    needed = np.array([*cut, np.zeros(stage.cores)]).reshape(-1, *stage.grid)
    rows, columns = stage.grid
    if (needed == needed[:, :1, :1]).all():
        yield Sharing.ALL
    groups = [(rows, Sharing.COLUMN, needed[:, :1]), (columns, Sharing.ROW, needed[:, :, :1])]
    for size, sharing, first in sorted(groups, key=lambda group: -group[0]):
        if size > 1 and (needed == first).all():
            yield sharing


def _in_step(
    stage: Stage, corners: Mapping[int, tuple[Loop, ...]], access: Access, level: int, sharing: Sharing
) -> bool:
    """Whether the members of every group load blocks of the same size, equally often."""
    columns = stage.grid[1]
    groups: dict[int, tuple[tuple[int, int], ...]] = {}
    for core, nest_loops in corners.items():
        group = {Sharing.ROW: core // columns, Sharing.COLUMN: core % columns}.get(sharing, 0)
        extents = load_extents(access, level, nest_loops)
        steps = tuple((loop.count if index < level else 0, extents[index]) for index, loop in enumerate(nest_loops))
        if groups.setdefault(group, steps) != steps:
            return False
    return True
