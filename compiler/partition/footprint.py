"""What a stage takes of its cores: its circular buffers, and how often they are filled."""

from dataclasses import dataclass
from math import prod

import numpy as np

from compiler.numerics import DType
from compiler.numerics.layout import page_bytes
from compiler.partition.live import Numbers
from compiler.partition.nest import ContractBody, GatherBody, Workload
from compiler.partition.ragged import layout, load_totals, operand_extents, read_ahead
from compiler.partition.stages import (
    Stage,
    corner_cores,
    deliveries,
    has_partials,
    load_extents,
    loops,
    out_capacity,
)
from compiler.target import Machine

KEEP_SHARE = 4
"""A result that nobody reads from L1 is still kept whole if it takes at most one part in so many of L1: its writes to
DRAM then need no pause for acknowledgements."""


def keeps_result(machine: Machine, workload: Workload, stage: Stage) -> bool:
    """Whether the result's cb holds the whole part of a core to the end of the epoch."""
    if stage.shard:
        return True
    nest = workload.nests[stage.nest]
    if stage.deal:
        pages = int(_pages_made(workload, stage).max())
    else:
        pages = out_capacity(nest, loops(nest, stage, 0), keep=True)
    return pages * page_bytes(workload.storages[nest.out].dtype) * KEEP_SHARE <= machine.l1_available


@dataclass(frozen=True, slots=True)
class CbSize:
    """What a cb of one core needs: `capacity` pages of `dtype`; `dtype` f32 stands for any 32-bit partial sum."""

    name: str
    capacity: int
    dtype: DType


def cb_sizes(machine: Machine, workload: Workload, stage: Stage, core: int) -> tuple[CbSize, ...]:
    """Return the cbs of a core: operands that come through one, in order, the result, partial sums if any."""
    if stage.deal:
        return tuple(
            CbSize(name, int(sizes[core]), dtype) for name, sizes, dtype in _ragged_cbs(machine, workload, stage)
        )
    nest = workload.nests[stage.nest]
    nest_loops = loops(nest, stage, core)
    sizes = []
    for access, plan in list(zip(nest.operands, stage.operands, strict=True))[: nest.buffered_operands]:
        storage = workload.storages[access.storage]
        pages = plan.buffers * prod(load_extents(access, plan.level, nest_loops))
        sizes.append(CbSize(storage.name, pages, storage.dtype))
    out = workload.storages[nest.out]
    sizes.append(CbSize(out.name, out_capacity(nest, nest_loops, keeps_result(machine, workload, stage)), out.dtype))
    if isinstance(nest.body, ContractBody) and has_partials(machine, nest, nest_loops):
        row, column = len(nest.out_dims) - 2, len(nest.out_dims) - 1
        block = nest_loops[row].step * nest_loops[column].step
        sizes.append(CbSize("partial sums", block, nest.body.dtype.wide))
    return tuple(sizes)


def _ragged_cbs(machine: Machine, workload: Workload, stage: Stage) -> list[tuple[str, Numbers, DType]]:
    """Name, capacity by core and type of the cbs of a ragged stage: each load of the largest size, what is read
    ahead; the result kept whole or two blocks of it."""
    nest = workload.nests[stage.nest]
    cbs = []
    if not isinstance(nest.body, GatherBody):
        for number, (access, plan) in enumerate(zip(nest.operands, stage.operands, strict=True)):
            storage = workload.storages[access.storage]
            blocks = plan.buffers * np.maximum(1, load_totals(workload, stage, number, plan).peak)
            blocks += read_ahead(workload, stage, number, plan)
            cbs.append((storage.name, blocks * prod(operand_extents(nest, stage, number)), storage.dtype))
    out = workload.storages[nest.out]
    pages = _pages_made(workload, stage)
    if not keeps_result(machine, workload, stage):
        pages = np.minimum(pages, 2 * prod(stage.block[:2]))
    return [*cbs, (out.name, pages, out.dtype)]


def _pages_made(workload: Workload, stage: Stage) -> Numbers:
    """Pages of the result that each core of a ragged stage makes."""
    pages: Numbers = np.diff(layout(workload, stage).cores) * prod(stage.block[:2])
    return pages


def l1_slots(machine: Machine, workload: Workload, stage: Stage) -> tuple[int, ...]:
    """Return the bytes of each cb of a stage, the largest over its cores: all cores use the same addresses."""
    if stage.deal:
        cbs = _ragged_cbs(machine, workload, stage)
        return tuple(int(sizes.max()) * page_bytes(dtype) for _, sizes, dtype in cbs)
    slots: list[int] = []
    for core in corner_cores(stage):
        for index, size in enumerate(cb_sizes(machine, workload, stage, core)):
            slots.extend([0] * (index + 1 - len(slots)))
            slots[index] = max(slots[index], size.capacity * page_bytes(size.dtype))
    return tuple(slots)


def l1_bytes(machine: Machine, workload: Workload, stage: Stage) -> int:
    """Return the L1 bytes that a stage's cbs take on each of its cores, with alignment."""
    align = machine.l1_alignment
    return sum(-(-size // align) * align for size in l1_slots(machine, workload, stage))


def times_loaded(workload: Workload, stage: Stage, number: int) -> int:
    """Return how many times operand `number` is loaded, by the core that loads it most often."""
    if stage.deal:
        return int(load_totals(workload, stage, number, stage.operands[number]).times.max())
    return deliveries(stage.operands[number].level, loops(workload.nests[stage.nest], stage, 0))
