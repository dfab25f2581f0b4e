"""Derive every transfer from shardings: which pages a core needs, and where each of them is.

One mechanism serves all operators: the pages of an access follow from the core's box, their places from the tensor's
(dealt over DRAM channels, or in the shard of the core that computed them), and the transfer is the intersection.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import prod

import numpy as np
from numpy.typing import NDArray

from compiler.numerics import TileGrid
from compiler.numerics.layout import page_bytes
from compiler.partition.nest import Workload
from compiler.partition.ragged import loads, operand_pages, result_pages
from compiler.partition.stages import Sharing, Stage, box, loops
from compiler.place.problem import Flow

Pages = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Load:
    """What one core reads of one operand in an epoch: `nbytes[i]` bytes from source `sources[i]`.

    A source is a virtual core of stage `stage`, or a DRAM channel if `stage` is -1.
    """

    core: int
    stage: int
    sources: tuple[int, ...]
    nbytes: tuple[int, ...]


def leader(stage: Stage, sharing: Sharing, number: int, core: int) -> int:
    """Return the virtual core that reads operand `number` for `core` and all that share it.

    Leaders of different rows, columns and operands are spread over the grid.
    """
    rows, columns = stage.grid
    row, column = divmod(core, columns)
    match sharing:
        case Sharing.NONE:
            return core
        case Sharing.ROW:
            return row * columns + (row + number) % columns
        case Sharing.COLUMN:
            return (column + number) % rows * columns + column
        case Sharing.ALL:
            return number % stage.cores


def members(stage: Stage, sharing: Sharing, core: int) -> tuple[int, ...]:
    """Return the virtual cores that share an operand with `core`, itself included, in ascending order."""
    rows, columns = stage.grid
    row, column = divmod(core, columns)
    match sharing:
        case Sharing.NONE:
            return (core,)
        case Sharing.ROW:
            return tuple(range(row * columns, (row + 1) * columns))
        case Sharing.COLUMN:
            return tuple(range(column, rows * columns, columns))
        case Sharing.ALL:
            return tuple(range(rows * columns))


def reading_cores(stage: Stage, number: int) -> tuple[int, ...]:
    """Return the virtual cores that read operand `number` themselves."""
    sharing = stage.operands[number].sharing
    return tuple(core for core in range(stage.cores) if leader(stage, sharing, number, core) == core)


def pages_loaded(workload: Workload, stage: Stage, number: int, core: int) -> tuple[Pages, int]:
    """Return the pages of an operand that a core loads, and how many times it loads all of them.

    A page may occur several times among those of a ragged stage.
    """
    nest = workload.nests[stage.nest]
    access, plan = nest.operands[number], stage.operands[number]
    if stage.deal:
        found = loads(workload, stage, number, core)
        return operand_pages(access, found.extents, found.pages).ravel(), 1
    pages = _pages_of(box(nest, stage, core), access.strides, access.offset)
    outside = loops(nest, stage, core)[: plan.level]
    return pages, prod(loop.count for loop in outside if access.strides[loop.axis] == 0)


def _pages_of(tiles: Sequence[tuple[int, int]], strides: Sequence[int], offset: int) -> Pages:
    """Return the pages of a box of tiles (first and count per axis), each once."""
    pages = np.array([offset], dtype=np.int64)
    for stride, (low, count) in zip(strides, tiles, strict=True):
        if stride:
            pages = np.add.outer(pages, stride * np.arange(low, low + count)).ravel()
    return pages


def owners_of_pages(workload: Workload, stage: Stage) -> Pages:
    """Return the virtual core that holds each page of a stage's result, -1 where none does."""
    nest = workload.nests[stage.nest]
    if stage.deal:
        owners = np.full(prod(nest.out_dims), -1, np.int64)
        for core in range(stage.cores):
            owners[result_pages(workload, stage, core)] = core
        return owners
    owners = np.zeros(1, np.int64)
    for dim, way in zip(nest.out_dims, stage.ways, strict=True):
        owners = np.add.outer(owners * way, np.arange(dim) // -(-dim // way)).ravel()
    return owners


def stage_loads(
    workload: Workload, stage: Stage, number: int, producers: Mapping[int, tuple[int, Stage]], channels: int
) -> tuple[Load, ...]:
    """Return what every reading core of a stage loads of operand `number`; a page that is known to be zero has no
    source.

    `producers` maps the nests of the epoch to their stage's number and stage.
    """
    nest = workload.nests[stage.nest]
    plan = stage.operands[number]
    storage = workload.storages[nest.operands[number].storage]
    source_stage = -1
    sources = np.arange(TileGrid(storage.shape).pages) % channels
    if plan.from_l1:
        source_stage, producer = producers[storage.producer]
        sources = owners_of_pages(workload, producer)
    if storage.live is not None:
        sources[~storage.live.array.ravel()] = -1
    found = []
    for core in reading_cores(stage, number):
        pages, times = pages_loaded(workload, stage, number, core)
        here = sources[pages]
        found.append(_load(core, source_stage, here[here >= 0], times * page_bytes(storage.dtype)))
    return tuple(found)


def _load(core: int, stage: int, sources: Pages, nbytes: int) -> Load:
    """Add up `nbytes` for every time that a source is named."""
    counts = np.bincount(sources)
    used = np.flatnonzero(counts)
    return Load(core, stage, tuple(used.tolist()), tuple((counts[used] * nbytes).tolist()))


def picked_loads(workload: Workload, stage: Stage, channels: int) -> tuple[Load, ...]:
    """Return what cores may load of what they pick elements from: any part, spread evenly for want of a closer look."""
    nest = workload.nests[stage.nest]
    nbytes = page_bytes(workload.storages[nest.out].dtype)
    found = []
    for core in range(stage.cores):
        total = len(pages_made(workload, stage, core)) * nbytes
        found.append(Load(core, -1, tuple(range(channels)), (-(-total // channels),) * channels))
    return tuple(found)


def stage_stores(workload: Workload, stage: Stage, channels: int) -> tuple[Load, ...]:
    """Return what every core of a stage writes to DRAM, with channels as `sources`."""
    nbytes = page_bytes(workload.storages[workload.nests[stage.nest].out].dtype)
    cores = range(stage.cores)
    return tuple(_load(core, -1, pages_made(workload, stage, core) % channels, nbytes) for core in cores)


def pages_made(workload: Workload, stage: Stage, core: int) -> Pages:
    """Return the pages of the result that a core makes."""
    if stage.deal:
        return result_pages(workload, stage, core)
    nest = workload.nests[stage.nest]
    grid = TileGrid(nest.shape)
    return _pages_of(box(nest, stage, core)[: len(grid.dims)], grid.strides, 0)


def operand_loads(
    workload: Workload, stage: Stage, producers: Mapping[int, tuple[int, Stage]], channels: int
) -> tuple[tuple[Load, ...], ...]:
    """Return what the reading cores of a stage load, operand by operand; see `stage_loads`."""
    buffered = workload.nests[stage.nest].buffered_operands
    return tuple(
        stage_loads(workload, stage, k, producers, channels)
        if k < buffered
        else picked_loads(workload, stage, channels)
        for k in range(len(stage.operands))
    )


def epoch_flows(workload: Workload, stages: tuple[Stage, ...], channels: int) -> tuple[Flow, ...]:
    """Return the traffic of an epoch for the placer; anchor `c` is DRAM channel `c`."""
    producers = {stage.nest: (number, stage) for number, stage in enumerate(stages)}
    flows = []
    for number, stage in enumerate(stages):
        for load in chain.from_iterable(operand_loads(workload, stage, producers, channels)):
            flows += [
                Flow(load.stage, source, number, load.core, nbytes)
                for source, nbytes in zip(load.sources, load.nbytes, strict=True)
            ]
        if stage.to_dram:
            for store in stage_stores(workload, stage, channels):
                flows += [
                    Flow(number, store.core, -1, channel, nbytes)
                    for channel, nbytes in zip(store.sources, store.nbytes, strict=True)
                ]
    return tuple(flows)
