"""Print a stage graph for people.

::

    epoch 0
      stage contract_2: bf16[64, 96] = 2 x 3 tiles on 2 x 3 cores, blocks of 1 x 1 tiles, 2 inner
        x  bf16  from DRAM, 2 loads per core by `read`, 2 buffers, multicast along the row
        w  bf16  from DRAM, 2 loads per core by `write`, 2 buffers, multicast along the column
        result to DRAM; 18432 bytes of L1 per core
"""

from collections.abc import Iterator

from compiler.partition.footprint import l1_bytes, times_loaded
from compiler.partition.nest import Nest, Workload
from compiler.partition.stages import Sharing, Stage, StageGraph
from compiler.target import Machine

_SHARING = {
    Sharing.NONE: "",
    Sharing.ROW: ", multicast along the row",
    Sharing.COLUMN: ", multicast along the column",
    Sharing.ALL: ", multicast to all",
}


def print_stages(graph: StageGraph, machine: Machine) -> str:
    """Return the text; it ends with a line break."""
    return "".join(f"{line}\n" for line in _lines(graph, machine))


def _lines(graph: StageGraph, machine: Machine) -> Iterator[str]:
    for number, epoch in enumerate(graph.epochs):
        yield f"epoch {number}"
        for stage in epoch:
            yield from _stage(stage, graph.workload, machine)


def _stage(stage: Stage, workload: Workload, machine: Machine) -> Iterator[str]:
    nest = workload.nests[stage.nest]
    out = workload.storages[nest.out]
    rows, columns, inner = stage.block
    shape, dims = ", ".join(map(str, nest.shape)), " x ".join(map(str, nest.out_dims))
    grid = " x ".join(map(str, stage.grid))
    computed = rows * columns * sum(len(blocks) for blocks in stage.deal)
    tiles = f"{dims} tiles, {computed} of them computed," if stage.deal else f"{dims} tiles"
    block = f"blocks of {rows} x {columns} tiles" + (f", {inner} inner" if nest.reduced else "")
    yield f"  stage {nest.name}: {out.dtype.value}[{shape}] = {tiles} on {grid} cores, {block}"
    yield from _operands(stage, nest, workload)
    place = " and ".join(name for name, wanted in (("DRAM", stage.to_dram), ("L1", stage.shard)) if wanted)
    yield f"    result to {place}; {l1_bytes(machine, workload, stage)} bytes of L1 per core"


def _operands(stage: Stage, nest: Nest, workload: Workload) -> Iterator[str]:
    storages = [workload.storages[access.storage] for access in nest.operands]
    width = max((len(storage.name) for storage in storages), default=0)
    for number, storage in enumerate(storages):
        yield f"    {storage.name:<{width}}  {storage.dtype.value:<4}  {_plan(workload, stage, number)}"


def _plan(workload: Workload, stage: Stage, number: int) -> str:
    plan = stage.operands[number]
    place = "L1" if plan.from_l1 else "DRAM"
    loads = _count(times_loaded(workload, stage, number), "load")
    buffers = _count(plan.buffers, "buffer")
    return f"from {place}, {loads} per core by `{plan.thread.value}`, {buffers}{_SHARING[plan.sharing]}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
