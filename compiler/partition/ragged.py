"""Stages that compute only the live part of a nest: irregular sets of blocks instead of boxes.

A nest with `live` iterations is cut into blocks of `stage.block[:2]` tile rows and columns of the result (1 along all
other axes) and steps of `stage.block[2]` tiles of the innermost reduced axis (1 along the others). Every block and
every step is either live as a whole or not at all: only such block shapes are used. The blocks that hold live pages of
the result are dealt to the cores; a core works on its list as panels, blocks, chunks and steps:

- a *panel* is a run of consecutive blocks in the same tile rows (all coordinates but the last are equal), of a nest
  without steps at most `CHUNK`;
- a block has its live steps in ascending order (none for a map; maybe none where the result is what the epilogue makes
  of the neutral element);
- a *chunk* is at most `CHUNK` consecutive steps of a block.

The level of an operand (`OperandPlan.level`) says when it is loaded: 0 once per core, 1 per panel, 2 per block, 3 per
chunk. A load brings every operand block that its part of the work needs, each once, in order of first use. A load of a
shared operand brings what any core of the group needs for the same part of its work, in the order of the cores.

A large load of a panel or of all the work comes in pieces, of which the next is always read ahead, also that of the
next load: its ring has room for one piece more.

Everything here is derived for all cores of a stage at once and remembered for the stages asked about last.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod

import numpy as np

from compiler.diagnostics import InternalError
from compiler.partition.live import Flags, Numbers, Same, block_grid, block_shape, has_steps, live_steps, looped
from compiler.partition.nest import Access, Nest, Workload
from compiler.partition.stages import OperandPlan, Sharing, Stage

CHUNK = 8
"""Most steps of a chunk, or blocks of a panel without steps: enough to hide the latency of one load behind the work on
another."""

PIECE_PAGES = 32
"""Most pages of one piece of a large load: enough to hide the latency of DRAM, few enough to start early."""


@dataclass(frozen=True, slots=True)
class Work:
    """The work of one core, in order.

    `blocks` (n x rank of the result) and `steps` (m x number of reduced axes) hold the first tile of each. Bounds:
    panel `i` is blocks `panels[i] ..< panels[i + 1]`, block `i` chunks `chunk_bounds[i] ..< chunk_bounds[i + 1]`, chunk
    `i` steps `step_bounds[i] ..< step_bounds[i + 1]`.
    """

    blocks: Numbers
    panels: Numbers
    chunk_bounds: Numbers
    step_bounds: Numbers
    steps: Numbers


@dataclass(frozen=True, slots=True)
class Loads:
    """What a core loads of one operand, in order.

    Load `i` brings `counts[i]` operand blocks, whose first pages are the next of `pages`; an operand block has
    `extents` tiles per axis of the space (1 where the stride is 0), its pages lie row-major over them in the cb, and
    operand block `j` of a load begins at page `j * prod(extents)`. `places[s]` is the number, inside the load at hand,
    of the operand block that step `s` uses (block `s`, where the operand is used once per block).
    """

    counts: Numbers
    pages: Numbers
    extents: tuple[int, ...]
    places: Numbers


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over the loads of one operand, per core: the number of loads, of operand blocks that they bring, of operand
    blocks of the largest load, and of pages that are not known to be zero."""

    times: Numbers
    blocks: Numbers
    peak: Numbers
    live_pages: Numbers


@dataclass(frozen=True, slots=True)
class Layout:
    """The work of all cores of a stage, one core after the other.

    `cores` holds the first block of every core, and the number of blocks last; `work.panels` and the other bounds count
    over all cores.
    """

    work: Work
    cores: Numbers

    @property
    def core_of_block(self) -> Numbers:
        return _repeated(np.diff(self.cores))

    @property
    def block_of_step(self) -> Numbers:
        return _repeated(np.diff(self.work.step_bounds[self.work.chunk_bounds]))

    def load_of_block(self, level: int) -> Numbers:
        """The load (over all cores) that each block belongs to, for an operand of level 0, 1 or 2."""
        match level:
            case 0:
                return self.core_of_block
            case 1:
                return _repeated(np.diff(self.work.panels))
            case _:
                return np.arange(len(self.work.blocks))

    def parts_of_loads(self, level: int) -> tuple[Numbers, ...]:
        """The panel, and the block, that each load at this level belongs to, counted from the first of its core."""
        if level < 2:
            return ()
        blocks = np.arange(len(self.work.blocks))
        core = self.core_of_block
        panels = self.load_of_block(1) - self.load_bounds(1)[core]
        if level == 2:
            return (panels,)
        of_chunk = _repeated(np.diff(self.work.chunk_bounds))
        return panels[of_chunk], (blocks - self.cores[core])[of_chunk]

    def load_bounds(self, level: int) -> Numbers:
        """The first load of every core at this level, and the number of loads last."""
        match level:
            case 0:
                return np.arange(len(self.cores))
            case 1:
                return np.searchsorted(self.work.panels, self.cores)
            case 2:
                return self.cores
            case _:
                return self.work.chunk_bounds[self.cores]


def layout(workload: Workload, stage: Stage) -> Layout:
    """Return the work of all cores of a stage."""
    return _layout(Same(workload), stage.nest, stage.block, Same(stage.deal))


def work(workload: Workload, stage: Stage, core: int) -> Work:
    """Return the work of virtual core `core`."""
    whole = layout(workload, stage)
    first, last = whole.cores[core : core + 2]
    panels = whole.load_bounds(1)[core : core + 2]
    chunks = whole.work.chunk_bounds[[first, last]]
    steps = whole.work.step_bounds[chunks]
    return Work(
        blocks=whole.work.blocks[first:last],
        panels=_part(whole.work.panels, panels),
        chunk_bounds=_part(whole.work.chunk_bounds, (first, last)),
        step_bounds=_part(whole.work.step_bounds, chunks),
        steps=whole.work.steps[steps[0] : steps[1]],
    )


def result_pages(workload: Workload, stage: Stage, core: int) -> Numbers:
    """Return the pages of the result that a core makes, in the order in which it hands them over."""
    nest = workload.nests[stage.nest]
    pages = np.ravel_multi_index(tuple(work(workload, stage, core).blocks.T), nest.out_dims)
    rows, columns = stage.block[:2]
    inside = np.add.outer(np.arange(rows) * nest.out_dims[-1], np.arange(columns)).ravel()
    found: Numbers = np.add.outer(pages, inside).ravel()
    return found


def operand_extents(nest: Nest, stage: Stage, number: int) -> tuple[int, ...]:
    """Return the tiles per axis of the space of one operand block: 1 where the operand has stride 0."""
    strides = nest.operands[number].strides
    return tuple(size if stride else 1 for size, stride in zip(block_shape(nest, stage.block), strides, strict=True))


def operand_pages(access: Access, extents: Sequence[int], first: Numbers) -> Numbers:
    """Return the pages of operand blocks that begin at pages `first` (blocks x pages of a block), as they lie in the
    cb."""
    inside = np.zeros(1, np.int64)
    for extent, stride in zip(extents, access.strides, strict=True):
        inside = np.add.outer(inside, stride * np.arange(extent)).ravel()
    pages: Numbers = np.add.outer(first, inside)
    return pages


def groups(stage: Stage, sharing: Sharing) -> Numbers:
    """Return the number of the group of cores that each core shares an operand with."""
    cores = np.arange(stage.cores)
    match sharing:
        case Sharing.NONE:
            return cores
        case Sharing.ROW:
            return cores // stage.grid[1]
        case Sharing.COLUMN:
            return cores % stage.grid[1]
        case Sharing.ALL:
            return np.zeros_like(cores)


def in_step(workload: Workload, stage: Stage, level: int, sharing: Sharing) -> bool:
    """Whether all cores of every group load an operand of this level equally often, as parts of the same panels and
    blocks.

    Then the loads of all levels and groups can be put into one order (panel by panel, block by block) that no core
    departs from, so that no two cores wait for each other's loads of two operands that they share.
    """
    whole = layout(workload, stage)
    bounds = whole.load_bounds(level)
    times, group = np.diff(bounds), groups(stage, sharing)
    most = np.zeros(len(times), np.int64)
    np.maximum.at(most, group, times)
    if not (most[group] == times).all():
        return False
    _, member = np.unique(group, return_index=True)
    core = _repeated(times)
    twin = np.arange(bounds[-1]) - bounds[core] + bounds[member[group[core]]]
    return all((parts == parts[twin]).all() for parts in whole.parts_of_loads(level))


def load_totals(workload: Workload, stage: Stage, number: int, plan: OperandPlan) -> Totals:
    """Return what each core gets of operand `number` in all if `plan` is its plan."""
    return _totals(
        Same(workload), stage.nest, stage.block, stage.grid, Same(stage.deal), number, plan.level, plan.sharing
    )


def loads(workload: Workload, stage: Stage, number: int, core: int) -> Loads:
    """Return what virtual core `core` gets of operand `number`, whether it reads it itself or not.

    Raises InternalError if the cores that share it load it in different numbers.
    """
    found = _all_loads(workload, stage, number)
    first, count = int(found.load_bounds[core]), int(found.load_counts[core])
    pages = found.page_bounds[[first, first + count]]
    places = found.place_bounds[core : core + 2]
    return Loads(
        counts=found.counts[first : first + count],
        pages=found.pages[pages[0] : pages[1]],
        extents=operand_extents(workload.nests[stage.nest], stage, number),
        places=found.places[places[0] : places[1]],
    )


def piece_blocks(extents: Sequence[int]) -> int:
    """Return the operand blocks of one piece of an operand whose blocks have these extents."""
    return max(1, PIECE_PAGES // prod(extents))


def in_pieces(workload: Workload, stage: Stage, number: int, plan: OperandPlan) -> Flags:
    """Return whether each core hands operand `number` over piece by piece, for the blocks that need its first pages to
    begin with, if `plan` is its plan."""
    nest = workload.nests[stage.nest]
    peak = load_totals(workload, stage, number, plan).peak * prod(operand_extents(nest, stage, number))
    large: Flags = peak > PIECE_PAGES
    return large & (plan.level < 2 and looped(nest, number))


def read_ahead(workload: Workload, stage: Stage, number: int, plan: OperandPlan) -> Numbers:
    """Return the operand blocks of operand `number` that each core has room for besides its loads."""
    totals = load_totals(workload, stage, number, plan)
    ahead = in_pieces(workload, stage, number, plan) & (totals.times > 1)
    return ahead * piece_blocks(operand_extents(workload.nests[stage.nest], stage, number))


@dataclass(frozen=True, slots=True)
class _AllLoads:
    """The loads of an operand by all groups, group after group, and the places of all cores' uses.

    Core `v` gets loads `load_bounds[v] ..< load_bounds[v] + load_counts[v]`, those of its group; load `i` brings pages
    `page_bounds[i] ..< page_bounds[i + 1]`.
    """

    load_bounds: Numbers
    load_counts: Numbers
    counts: Numbers
    page_bounds: Numbers
    pages: Numbers
    place_bounds: Numbers
    places: Numbers


@lru_cache(maxsize=64)
def _layout(
    workload: Same[Workload], number: int, block: tuple[int, int, int], deal: Same[tuple[tuple[int, ...], ...]]
) -> Layout:
    nest = workload.it.nests[number]
    counts = np.array([len(blocks) for blocks in deal.it])
    numbers = np.fromiter((block for blocks in deal.it for block in blocks), np.int64, counts.sum())
    cores = _bounds(counts)
    rank = len(nest.out_dims)
    shape, grid = block_shape(nest, block), block_grid(nest, block)
    live = live_steps(workload.it, number, block)[numbers]
    _, picked = np.nonzero(live)
    step_counts = live.sum(axis=1, dtype=np.int64)
    chunks = -(-step_counts // CHUNK)
    first_chunks, first_steps = _bounds(chunks), _bounds(step_counts)
    of_chunk = _repeated(chunks)
    chunk_steps = first_steps[of_chunk] + CHUNK * (np.arange(len(of_chunk)) - first_chunks[of_chunk])
    return Layout(
        Work(
            blocks=_points(numbers, grid) * np.array(shape[:rank]),
            panels=_panels(numbers // grid[-1], cores, len(numbers) if has_steps(nest) else CHUNK),
            chunk_bounds=first_chunks,
            step_bounds=np.append(chunk_steps, len(picked)),
            steps=_points(picked, tuple(e // s for e, s in zip(nest.reduced, shape[rank:], strict=True)))
            * np.array(shape[rank:], np.int64),
        ),
        cores,
    )


def _all_loads(workload: Workload, stage: Stage, number: int) -> _AllLoads:
    plan = stage.operands[number]
    return _derived_loads(
        Same(workload), stage.nest, stage.block, stage.grid, Same(stage.deal), number, plan.level, plan.sharing
    )


@lru_cache(maxsize=256)
def _derived_loads(
    workload: Same[Workload],
    nest_number: int,
    block: tuple[int, int, int],
    grid: tuple[int, int],
    deal: Same[tuple[tuple[int, ...], ...]],
    number: int,
    level: int,
    sharing: Sharing,
) -> _AllLoads:
    """Number the loads of every group and what each of them brings.

    A use of the operand is a step or a block. Uses are told apart by load and page; the first of equals counts.
    """
    nest = workload.it.nests[nest_number]
    whole = _layout(workload, nest_number, block, deal)
    stage = Stage(nest_number, (), grid, block, (), False, False, deal=deal.it)
    blocks = whole.block_of_step if looped(nest, number) else np.arange(len(whole.work.blocks))
    own_bounds = whole.load_bounds(level)
    own_counts = np.diff(own_bounds)
    if not in_step(workload.it, stage, level, sharing):
        raise InternalError(f"partition: {nest.name}: operand {number} is shared by cores out of step")
    group = groups(stage, sharing)
    _, member = np.unique(group, return_index=True)
    load_bounds = _bounds(own_counts[member])
    own = _repeated(np.diff(whole.work.step_bounds)) if level == 3 else whole.load_of_block(level)[blocks]
    cores = whole.core_of_block[blocks]
    load = load_bounds[group[cores]] + own - own_bounds[cores]
    page = _first_pages(nest, whole, number, blocks)
    order = np.argsort(load, kind="stable")
    span = int(page.max(initial=0)) + 1
    _, first, which = np.unique((load * span + page)[order], return_index=True, return_inverse=True)
    by_use = np.argsort(first)
    rank = np.empty_like(by_use)
    rank[by_use] = np.arange(len(by_use))
    uses = order[first[by_use]]
    counts = np.bincount(load[uses], minlength=load_bounds[-1])
    page_bounds = _bounds(counts)
    places = np.empty_like(load)
    places[order] = rank[which] - page_bounds[load[order]]
    return _AllLoads(
        load_bounds=load_bounds[group],
        load_counts=own_counts,
        counts=counts,
        page_bounds=page_bounds,
        pages=page[uses],
        place_bounds=np.searchsorted(cores, np.arange(len(group) + 1)),
        places=places,
    )


@lru_cache(maxsize=4096)
def _totals(
    workload: Same[Workload],
    nest_number: int,
    block: tuple[int, int, int],
    grid: tuple[int, int],
    deal: Same[tuple[tuple[int, ...], ...]],
    number: int,
    level: int,
    sharing: Sharing,
) -> Totals:
    found = _derived_loads(workload, nest_number, block, grid, deal, number, level, sharing)
    nest = workload.it.nests[nest_number]
    storage = workload.it.storages[nest.operands[number].storage]
    shape = tuple(
        s if stride else 1 for s, stride in zip(block_shape(nest, block), nest.operands[number].strides, strict=True)
    )
    live = np.full(len(found.pages), prod(shape))
    if storage.live is not None:
        live = storage.live.array.ravel()[operand_pages(nest.operands[number], shape, found.pages)].sum(axis=1)
    ends = found.load_bounds + found.load_counts
    sums, live_sums = _bounds(found.counts), _bounds(live)[found.page_bounds]
    blocks = sums[ends] - sums[found.load_bounds]
    peak = _largest(found.counts, found.load_bounds, found.load_counts)
    return Totals(
        times=found.load_counts,
        blocks=blocks,
        peak=peak,
        live_pages=live_sums[ends] - live_sums[found.load_bounds],
    )


def _first_pages(nest: Nest, whole: Layout, number: int, blocks: Numbers) -> Numbers:
    """The first page of the operand block of every use, given the block of the result that each use is for."""
    access, rank = nest.operands[number], len(nest.out_dims)
    pages = access.offset + (whole.work.blocks @ np.array(access.strides[:rank], np.int64))[blocks]
    if looped(nest, number):
        pages = pages + whole.work.steps @ np.array(access.strides[rank:], np.int64)
    return np.asarray(pages, np.int64)


def _panels(rows: Numbers, cores: Numbers, longest: int) -> Numbers:
    """Where a panel begins: with a core, where the tile rows (all leading coordinates as one number) change, and after
    every `longest` blocks."""
    starts = np.ones(len(rows) + 1, bool)
    starts[1:-1] = rows[1:] != rows[:-1]
    starts[cores] = True
    runs = np.flatnonzero(starts)
    since = np.arange(len(starts)) - np.repeat(runs, np.diff(np.append(runs, len(starts))))
    return np.flatnonzero(since % longest == 0)


def _points(numbers: Numbers, extents: tuple[int, ...]) -> Numbers:
    """The coordinates of row-major numbers, one row each."""
    if not extents:
        return np.zeros((len(numbers), 0), np.int64)
    return np.stack(np.unravel_index(numbers, extents), axis=1).astype(np.int64)


def _largest(values: Numbers, first: Numbers, counts: Numbers) -> Numbers:
    """The largest of `counts[i]` values from number `first[i]` on, 0 of none."""
    ends = np.minimum(np.stack([first, first + counts], axis=1).ravel(), len(values))
    found = np.maximum.reduceat(np.append(values, 0), ends)[::2]
    return np.where(counts > 0, found, 0)


def _bounds(counts: Numbers) -> Numbers:
    """Where each of several runs of these lengths begins, and where the last one ends."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])


def _repeated(counts: Numbers) -> Numbers:
    """Each index as often as its count says."""
    return np.repeat(np.arange(len(counts)), counts)


def _part(bounds: Numbers, ends: Sequence[int] | Numbers) -> Numbers:
    """Bounds `ends[0]` to `ends[1]`, both included, counted from the first of them."""
    part: Numbers = bounds[ends[0] : ends[1] + 1] - bounds[ends[0]]
    return part
