"""Judge a ragged stage from its deal and the masks of its nest alone; see `compiler.partition.check`.

- Block sizes divide the extents of the nest, and every block and step is live as a whole or not at all.
- The blocks that are dealt are those that hold live pages, each once, and no core is without one.
- Virtual cores fill the core grid, and an operand's level is one that it can be loaded at.
- Cores that share an operand load it equally often.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from math import prod

import numpy as np

from compiler.partition.live import Flags
from compiler.partition.nest import ContractBody, Nest, ReduceBody, Workload
from compiler.partition.stages import OperandPlan, Sharing, Stage

CHUNK = 8
"""Most steps of a chunk, and blocks of a panel without steps, as the partitioner promises."""


def faults(workload: Workload, stage: Stage) -> Iterator[str]:
    """Yield what is wrong with a ragged stage."""
    nest = workload.nests[stage.nest]
    rows, columns, inner = stage.block
    sizes = [*(1,) * (len(nest.out_dims) - 2), rows, columns]
    steps = [*(1,) * (len(nest.reduced) - 1), inner] if nest.reduced else []
    if min(stage.block) < 1 or any(dim % size for dim, size in zip(nest.space, sizes + steps, strict=True)):
        yield "its blocks do not divide its tiles"
        return
    if stage.ways or prod(stage.grid) != len(stage.deal):
        yield f"{len(stage.deal)} cores do not fill a {stage.grid[0]} x {stage.grid[1]} core grid"
        return
    live = workload.storages[nest.out].live
    pages = np.ones(nest.out_dims, bool) if live is None else live.array.reshape(nest.out_dims)
    blocks = _parts(pages, sizes)
    iterations = np.ones(nest.space, bool) if nest.live is None else nest.live.array
    worked = _parts(iterations, sizes + steps)
    if not (_uniform(blocks) and (_uniform(worked) or not isinstance(nest.body, ReduceBody | ContractBody))):
        yield "a block or a step is live only in part"
        return
    yield from _deal_faults(stage, blocks.any(axis=-1).ravel())
    numbers = worked.any(axis=-1).reshape(prod(blocks.shape[:-1]), -1).sum(axis=1).tolist()
    for number, plan in enumerate(stage.operands):
        yield from _operand_faults(nest, stage, number, plan, (blocks.shape[-2], numbers))


def _deal_faults(stage: Stage, live: Flags) -> Iterator[str]:
    if not all(stage.deal):
        yield "a core has no block"
    dealt = Counter(block for blocks in stage.deal for block in blocks)
    if max(dealt.values(), default=0) > 1:
        yield "a block is dealt twice"
    if set(dealt) != set(np.flatnonzero(live).tolist()):
        yield "the blocks that are dealt are not those that hold live pages"


def _operand_faults(
    nest: Nest, stage: Stage, number: int, plan: OperandPlan, layout: tuple[int, list[int]]
) -> Iterator[str]:
    """Faults of a plan; `layout` is the number of blocks in a tile row and the number of live steps of every block."""
    has_steps = isinstance(nest.body, ReduceBody | ContractBody)
    stepwise = has_steps and number < nest.looped_operands
    if not 0 <= plan.level <= (3 if stepwise else 2):
        yield f"operand {number} cannot be loaded at level {plan.level}"
        return
    across, steps = layout
    rows, columns = stage.grid
    orders: dict[int, set[tuple[tuple[int, ...], ...]]] = {}
    for core, blocks in enumerate(stage.deal):
        rows_of = (list(run) for _, run in groupby(blocks, lambda block: block // across))
        panels = [part for run in rows_of for part in ([run] if has_steps else _cut(run))]
        shape = tuple(tuple(-(-steps[block] // CHUNK) for block in panel) for panel in panels)
        group = {Sharing.ROW: core // columns, Sharing.COLUMN: core % columns, Sharing.ALL: 0}.get(plan.sharing, core)
        orders.setdefault(group, set()).add(_order(shape, plan.level))
    if any(len(found) > 1 for found in orders.values()):
        yield f"cores that share operand {number} load it in different numbers, or out of order"
    members = {Sharing.ROW: columns, Sharing.COLUMN: rows, Sharing.ALL: rows * columns}.get(plan.sharing, 2)
    if members == 1:
        yield f"operand {number}: one core shares with nobody"


def _cut(blocks: list[int]) -> list[list[int]]:
    """Blocks in runs of at most `CHUNK`."""
    return [blocks[first : first + CHUNK] for first in range(0, len(blocks), CHUNK)]


def _order(panels: tuple[tuple[int, ...], ...], level: int) -> tuple[tuple[int, ...], ...]:
    """The loads of an operand of this level, panel by panel and block by block, given the chunks of all blocks."""
    match level:
        case 0:
            return ()
        case 1:
            return ((),) * len(panels)
        case 2:
            return tuple((1,) * len(panel) for panel in panels)
        case _:
            return panels


def _parts(flags: Flags, sizes: list[int]) -> Flags:
    """The flags of each part of these sizes, along a last axis."""
    for axis, size in enumerate(sizes):
        shape = flags.shape
        flags = flags.reshape(*shape[:axis], shape[axis] // size, size, *shape[axis + 1 :])
        flags = np.moveaxis(flags, axis + 1, -1)
    return flags.reshape(*flags.shape[: len(sizes)], -1)


def _uniform(parts: Flags) -> bool:
    return bool((parts.all(axis=-1) == parts.any(axis=-1)).all())
