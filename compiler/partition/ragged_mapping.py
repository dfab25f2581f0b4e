"""The ways to put a nest that is not computed whole on a core grid: blocks, deals and how each operand arrives.

The search is short. Shapes of blocks, deals and plans of operands are compared on the largest core grid; smaller grids
try what was best there.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache
from math import ceil, prod

import numpy as np

from compiler.ir.hints import Loading
from compiler.numerics.layout import page_bytes
from compiler.partition.context import Candidate, Context
from compiler.partition.deal import Deal, product, segments
from compiler.partition.footprint import l1_bytes
from compiler.partition.hinting import Disobeyed
from compiler.partition.live import Same, block_grid, has_steps, live_blocks, live_pages, looped, uniform_sizes
from compiler.partition.nest import ContractBody, GatherBody, Nest, ReduceBody, Workload
from compiler.partition.ragged import in_step, layout, load_totals, operand_extents
from compiler.partition.ragged_cost import block_weights, dram_bytes, loading_cycles, ragged_estimate
from compiler.partition.stages import OperandPlan, Sharing, Stage
from compiler.place.problem import Block
from compiler.place.solve import fits
from compiler.program.instructions import Thread
from compiler.target import Coord, Machine

MAP_BLOCK = 4
"""Most tiles of the result that a map or a gather handles together."""
INNER_BLOCK = 8
"""Most tiles of the innermost reduced axis in one step."""
MANY_ITERATIONS = 20_000
"""A nest with more that are live is tried on fewer core grids, with fewer blocks."""


class _Way(Enum):
    """How blocks are dealt; see `compiler.partition.deal`."""

    SEGMENTS = "segments"
    PRODUCT = "product"
    LINES = "lines"
    """As a product whose core grid is a single column, which is then folded."""


class _Keep(Enum):
    """Which operands stay in L1 beyond one use."""

    NOTHING = "nothing"
    PANELS = "panels"
    """Those that do not depend on the column, for a panel; all of a nest without steps."""
    ROWS = "rows"
    """All, for a panel."""
    MATRICES = "matrices"
    """Also those that do not depend on the row, for all the work of a core."""
    MOST = "most"
    """Those that depend on rows alone for a panel, all others for all the work of a core."""
    ALL = "all"


@dataclass(frozen=True, slots=True)
class _Choice:
    block: tuple[int, int, int]
    way: _Way
    keep: _Keep


def ragged_candidates(machine: Machine, workload: Workload, number: int, context: Context) -> list[Candidate]:
    """Return mappings of nest `number` that fit L1.

    Raises `Disobeyed` if the hint of the nest leaves none.
    """
    grids = _grids(machine, workload, number)
    best: tuple[Candidate, _Choice] | None = None
    for choice, grid in _largest(machine, workload, number, grids):
        found = _candidate(machine, workload, number, context, choice, grid)
        if found is not None and (best is None or found.estimate.total < best[0].estimate.total):
            best = found, choice
    if best is None:
        return []
    candidate, choice = best
    others = (replace(choice, keep=keep, way=way) for keep in _keeps(workload.nests[number]) for way in _Way)
    choices = (choice, *others)
    tallest = {prod(grid): grid for grid in grids}.values()
    tried = grids if choice.way is _Way.PRODUCT else tallest
    found_on = (
        _first_fitting(machine, workload, number, context, choices, grid)
        for grid in tried
        if prod(grid) != candidate.stage.cores
    )
    return [candidate, *(found for found in found_on if found is not None)]


def smallest_ragged_l1(machine: Machine, workload: Workload, number: int, context: Context) -> int:
    """Return the L1 bytes of the least demanding mapping that `ragged_candidates` tried, whether it fits or not."""
    tried = _largest(machine, workload, number, _grids(machine, workload, number))
    stages = (_stage(machine, workload, number, context, choice, grid) for choice, grid in tried)
    return min(l1_bytes(machine, workload, stage) for stage in stages if stage is not None)


def _first_fitting(
    machine: Machine,
    workload: Workload,
    number: int,
    context: Context,
    choices: tuple[_Choice, ...],
    grid: tuple[int, int],
) -> Candidate | None:
    for choice in choices:
        found = _candidate(machine, workload, number, context, choice, grid)
        if found is not None:
            return found
    return None


def _candidate(
    machine: Machine, workload: Workload, number: int, context: Context, choice: _Choice, grid: tuple[int, int]
) -> Candidate | None:
    """The mapping that a choice leads to, None if it leaves a core idle or does not fit L1."""
    stage = _stage(machine, workload, number, context, choice, grid)
    if stage is None or l1_bytes(machine, workload, stage) > machine.l1_available:
        return None
    return Candidate(stage, ragged_estimate(machine, workload, stage))


def _grids(machine: Machine, workload: Workload, number: int) -> tuple[tuple[int, int], ...]:
    """The core grids to try, fewest cores first."""
    nest = workload.nests[number]
    most = int(live_pages(workload, number).sum())
    heights, widths = len(machine.core_rows), len(machine.core_columns)
    hint = nest.hint
    if hint is not None and hint.cores is not None:
        rows, columns = hint.cores
        if rows > heights or columns > widths or rows * columns > most:
            reason = (
                f"`{nest.name}` has {most} tiles that may differ from zero, `{machine.name}` {heights} x {widths} cores"
            )
            raise Disobeyed(hint, reason, "ask for fewer cores")
        grids = [(rows, columns)]
    else:
        fine = not _is_large(nest)
        pairs = ((rows, columns) for rows in _sizes(heights, fine) for columns in _sizes(widths, fine))
        grids = sorted((pair for pair in pairs if prod(pair) <= most), key=lambda pair: (prod(pair), pair))
    if hint is not None and hint.corner is not None:
        corner = Coord(*hint.corner)
        grids = [grid for grid in grids if fits(machine, (Block(nest.name, *grid, corner),))]
        if not grids:
            reason = f"no core grid for `{nest.name}` can start at {corner} of `{machine.name}`"
            raise Disobeyed(hint, reason, f"live cores are in columns {machine.core_columns}, rows {machine.core_rows}")
    return tuple(grids)


def _is_large(nest: Nest) -> bool:
    return nest.live is not None and nest.live.count > MANY_ITERATIONS


def _sizes(most: int, fine: bool) -> tuple[int, ...]:
    """1, a half of `most` and `most`; if `fine`, also powers of two and what is halfway between them."""
    sizes = {1, max(1, most // 2), most}
    power = 1
    while fine and power <= most:
        sizes |= {power, min(most, max(power, power * 3 // 2))}
        power *= 2
    return tuple(sorted(sizes))


def _largest(
    machine: Machine, workload: Workload, number: int, grids: tuple[tuple[int, int], ...]
) -> Iterator[tuple[_Choice, tuple[int, int]]]:
    """Every choice, each with the grid of the most cores that its blocks can be dealt to."""
    nest = workload.nests[number]
    for block in _shapes(machine, workload, number):
        lines = block_grid(nest, block)
        count = len(live_blocks(workload, number, block))
        for way in _Way:
            fitting = [grid for grid in grids if prod(grid) <= count]
            if way is _Way.PRODUCT:
                fitting = [grid for grid in fitting if grid[0] <= prod(lines[:-1]) and grid[1] <= lines[-1]]
            if way is _Way.LINES:
                fitting = [grid for grid in fitting if prod(grid) <= prod(lines[:-1])]
            for grid in [grid for grid in fitting if prod(grid) == prod(fitting[-1])][
                -2 if way is _Way.PRODUCT else -1 :
            ]:
                for keep in _keeps(nest):
                    yield _Choice(block, way, keep), grid


def _keeps(nest: Nest) -> tuple[_Keep, ...]:
    loading = nest.hint.loading if nest.hint is not None else None
    if loading is Loading.RESIDENT:
        return (_Keep.ALL,)
    if loading is Loading.STREAM:
        return (_Keep.NOTHING,)
    keeps: dict[tuple[int, ...], _Keep] = {}
    for keep in (_Keep.NOTHING, _Keep.PANELS, _Keep.ROWS, _Keep.MATRICES, _Keep.MOST):
        keeps.setdefault(tuple(_level(nest, number, keep) for number in range(len(nest.operands))), keep)
    return tuple(keeps.values())


def _shapes(machine: Machine, workload: Workload, number: int) -> tuple[tuple[int, int, int], ...]:
    """Blocks to try: the largest, and one each of at most a half and a quarter of its tiles; single tiles where a hint
    asks for so many cores."""
    nest = workload.nests[number]
    rows, columns, inners = uniform_sizes(workload, number)
    most = {ContractBody: machine.compute.dst_tiles, ReduceBody: machine.compute.dst_tiles - 1}.get(
        type(nest.body), MAP_BLOCK
    )
    pairs = [(r, c) for r in rows for c in columns if r * c <= most or r * c == 1]
    if isinstance(nest.body, ContractBody):
        pairs.sort(key=lambda pair: (-pair[0] * pair[1], abs(pair[0] - pair[1]), pair))
    else:
        pairs.sort(key=lambda pair: (-pair[0] * pair[1], pair))
    inner = max(size for size in inners if size <= INNER_BLOCK)
    shapes: list[tuple[int, int, int]] = []
    wanted = nest.hint is not None and nest.hint.cores is not None
    for share in (1, 4, *(() if _is_large(nest) else (2,)), *((machine.compute.dst_tiles,) if wanted else ())):
        limit = max(1, pairs[0][0] * pairs[0][1] // share)
        shape = next(pair for pair in pairs if pair[0] * pair[1] <= limit)
        if (*shape, inner) not in shapes:
            shapes.append((*shape, inner))
    return tuple(shapes)


def _stage(
    machine: Machine, workload: Workload, number: int, context: Context, choice: _Choice, grid: tuple[int, int]
) -> Stage | None:
    """The stage that a choice leads to on a core grid, None if the blocks cannot be dealt to it that way."""
    nest = workload.nests[number]
    deal = _deal(Same(machine), Same(workload), number, choice.block, choice.way, grid)
    if deal is None:
        return None
    corner = Coord(*nest.hint.corner) if nest.hint is not None and nest.hint.corner is not None else None
    bare = Stage(number, (), grid, choice.block, (), context.to_dram, context.shard, corner, deal)
    plans = tuple(
        _plan(machine, workload, bare, operand, _level(nest, operand, choice.keep), context.from_l1[operand])
        for operand in range(len(nest.operands))
    )
    return replace(bare, operands=plans)


@lru_cache(maxsize=1024)
def _deal(
    machine: Same[Machine],
    workload: Same[Workload],
    number: int,
    block: tuple[int, int, int],
    way: _Way,
    grid: tuple[int, int],
) -> Deal | None:
    nest = workload.it.nests[number]
    blocks = live_blocks(workload.it, number, block)
    if len(blocks) < prod(grid):
        return None
    weights = block_weights(machine.it, workload.it, number, block)[blocks]
    if way is _Way.SEGMENTS:
        return segments(blocks, weights, prod(grid))
    return product(blocks, weights, block_grid(nest, block)[-1], grid if way is _Way.PRODUCT else (prod(grid), 1))


def _level(nest: Nest, number: int, keep: _Keep) -> int:
    strides = nest.operands[number].strides
    rank = len(nest.out_dims)
    rows, columns = any(strides[: rank - 1]), strides[rank - 1] != 0
    if not columns and keep in (_Keep.MATRICES, _Keep.MOST):
        return 1 if rows else 0
    if keep is _Keep.ALL or (keep is _Keep.MOST and (looped(nest, number) or not rows)):
        return 0
    if keep is _Keep.MATRICES and not rows:
        return 0
    if keep is _Keep.ROWS or (keep is not _Keep.NOTHING and not (columns and has_steps(nest))):
        return 1
    return 3 if looped(nest, number) else 2


def _plan(machine: Machine, workload: Workload, bare: Stage, number: int, level: int, from_l1: bool) -> OperandPlan:
    """Plan an operand of a stage that has a plan of none yet."""
    nest = workload.nests[bare.nest]
    if isinstance(nest.body, GatherBody):
        return OperandPlan(0, 1, Sharing.NONE, Thread.READ, from_l1)
    thread = Thread.WRITE if isinstance(nest.body, ContractBody) and number == 1 and level == 0 else Thread.READ
    wanted = (nest.hint.buffers if nest.hint is not None else None) or 2
    times = int(np.diff(layout(workload, bare).load_bounds(level)).max())
    plan = OperandPlan(level, wanted if times > 1 else 1, Sharing.NONE, thread, from_l1)
    sharings = [s for s in _sharings(nest, bare, number, level) if in_step(workload, bare, level, s)]
    plans = [replace(plan, sharing=sharing) for sharing in sharings]
    return min(plans, key=lambda plan: _price(machine, workload, bare, number, plan))


def _sharings(nest: Nest, stage: Stage, number: int, level: int) -> Iterator[Sharing]:
    """Groups of cores that may need much the same of an operand."""
    yield Sharing.NONE
    strides = nest.operands[number].strides[: len(nest.out_dims)]
    if stage.cores > 1 and (level == 0 or not any(strides[:-1])):
        yield Sharing.ALL
    if stage.grid[1] > 1 and not strides[-1]:
        yield Sharing.ROW
    if stage.grid[0] > 1 and not strides[-2]:
        yield Sharing.COLUMN


def _price(machine: Machine, workload: Workload, bare: Stage, number: int, plan: OperandPlan) -> tuple[bool, int]:
    """Whether an operand takes more than half of L1, and the cycles of its loads."""
    nest = workload.nests[bare.nest]
    storage = workload.storages[nest.operands[number].storage]
    totals = load_totals(workload, bare, number, plan)
    pages = int(totals.peak.max()) * plan.buffers * prod(operand_extents(nest, bare, number))
    rate = len(machine.dram.channels) * machine.dram.bytes_per_cycle
    together = ceil(dram_bytes(workload, bare, number, plan) / rate)
    alone = int(loading_cycles(machine, workload, bare, number, plan).max())
    return pages * page_bytes(storage.dtype) * 2 > machine.l1_available, max(together, alone)
