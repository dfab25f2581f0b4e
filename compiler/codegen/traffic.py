"""Derive every transfer from shardings: which pages a core needs, and where each of them is.

One mechanism serves all operators: the pages of an access follow from the core's box, their places from the tensor's
(dealt over DRAM channels, or in the shard of the core that computed them), and the transfer is the intersection.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from compiler.numerics.layout import page_bytes
from compiler.partition.nest import Access, GatherBody, Nest, Workload
from compiler.partition.stages import OperandPlan, Sharing, Stage, box, loops
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


def pages_loaded(nest: Nest, stage: Stage, access: Access, plan: OperandPlan, core: int) -> tuple[Pages, int]:
    """Return the distinct pages of an operand that a core loads, and how many times it loads each."""
    nest_loops = loops(nest, stage, core)
    pages = np.array([access.offset], dtype=np.int64)
    for stride, (low, count) in zip(access.strides, box(nest, stage, core), strict=True):
        if stride:
            pages = np.add.outer(pages, stride * np.arange(low, low + count)).ravel()
    outside = nest_loops[: plan.level]
    return pages, prod(loop.count for loop in outside if access.strides[loop.axis] == 0)


def owner_of_pages(nest: Nest, stage: Stage, pages: Pages) -> Pages:
    """Return the virtual core that holds each page of a stage's result."""
    owners = np.zeros_like(pages)
    coordinates = np.unravel_index(pages, nest.out_dims)
    for coordinate, dim, way in zip(coordinates, nest.out_dims, stage.ways, strict=True):
        owners = owners * way + coordinate // -(-dim // way)
    return owners


def stage_loads(
    workload: Workload, stage: Stage, number: int, producers: Mapping[int, tuple[int, Stage]], channels: int
) -> tuple[Load, ...]:
    """Return what every reading core of a stage loads of operand `number`.

    `producers` maps the nests of the epoch to their stage's number and stage.
    """
    nest = workload.nests[stage.nest]
    access, plan = nest.operands[number], stage.operands[number]
    storage = workload.storages[access.storage]
    found = []
    for core in reading_cores(stage, number):
        pages, times = pages_loaded(nest, stage, access, plan, core)
        source_stage = -1
        sources = pages % channels
        if plan.from_l1:
            source_stage, producer = producers[storage.producer]
            sources = owner_of_pages(workload.nests[producer.nest], producer, pages)
        counts = np.bincount(sources)
        used = np.flatnonzero(counts)
        nbytes = counts[used] * times * page_bytes(storage.dtype)
        found.append(Load(core, source_stage, tuple(used.tolist()), tuple(nbytes.tolist())))
    return tuple(found)


def gather_loads(workload: Workload, stage: Stage, channels: int) -> tuple[Load, ...]:
    """Return what the cores of a gather may load: any part of the source, spread evenly for want of a closer look."""
    nest = workload.nests[stage.nest]
    nbytes = page_bytes(workload.storages[nest.out].dtype)
    found = []
    for core in range(stage.cores):
        total = prod(count for _, count in box(nest, stage, core)) * nbytes
        found.append(Load(core, -1, tuple(range(channels)), (-(-total // channels),) * channels))
    return tuple(found)


def stage_stores(workload: Workload, stage: Stage, channels: int) -> tuple[Load, ...]:
    """Return what every core of a stage writes to DRAM, with channels as `sources`."""
    nest = workload.nests[stage.nest]
    nbytes = page_bytes(workload.storages[nest.out].dtype)
    strides = tuple(prod(nest.out_dims[axis + 1 :]) for axis in range(len(nest.out_dims)))
    found = []
    for core in range(stage.cores):
        pages = np.zeros(1, dtype=np.int64)
        for stride, (low, count) in zip(strides, box(nest, stage, core), strict=False):
            pages = np.add.outer(pages, stride * np.arange(low, low + count)).ravel()
        counts = np.bincount(pages % channels)
        used = np.flatnonzero(counts)
        found.append(Load(core, -1, tuple(used.tolist()), tuple((counts[used] * nbytes).tolist())))
    return tuple(found)


def epoch_flows(workload: Workload, stages: tuple[Stage, ...], channels: int) -> tuple[Flow, ...]:
    """Return the traffic of an epoch for the placer; anchor `c` is DRAM channel `c`."""
    producers = {stage.nest: (number, stage) for number, stage in enumerate(stages)}
    flows = []
    for number, stage in enumerate(stages):
        if isinstance(workload.nests[stage.nest].body, GatherBody):
            loads = list(gather_loads(workload, stage, channels))
        else:
            loads = [
                load
                for operand in range(len(stage.operands))
                for load in stage_loads(workload, stage, operand, producers, channels)
            ]
        for load in loads:
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
