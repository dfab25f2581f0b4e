"""Judge a stage graph without the solver's help: recompute from the nests alone what must hold.

- Every nest is exactly one stage; stages are in topological order within and across epochs.
- A result is where its readers look: in DRAM for later epochs and for outputs, in shards for the same epoch; a stage
  never reads from DRAM what its own epoch writes there.
- Blocks of a sharding are not empty, and core grids fit the mesh, one core per virtual core; a nest is computed in part
  if and only if it says what is live (see `compiler.partition.check_ragged`).
- The pages named by all accesses exist, and what a core keeps resident fits its L1.
- Cores that share an operand need the same pages.
"""

from itertools import product
from math import prod

from compiler.diagnostics import InternalError
from compiler.numerics import TileGrid
from compiler.partition.check_ragged import faults
from compiler.partition.footprint import l1_bytes
from compiler.partition.nest import Nest
from compiler.partition.stages import Sharing, Stage, StageGraph
from compiler.program.image import Role
from compiler.target import Machine


def check(machine: Machine, graph: StageGraph) -> None:
    """Raise InternalError, naming the stage and the rule, if `graph` is not a mapping of its workload to `machine`."""
    epoch_of = _order(graph)
    for epoch, stages in enumerate(graph.epochs):
        _require(sum(stage.cores for stage in stages) <= len(machine.cores), f"epoch {epoch} needs too many cores")
        for stage in stages:
            nest = graph.workload.nests[stage.nest]
            _check_result(graph, stage, nest, epoch, epoch_of)
            _check_grid(machine, stage, nest)
            if stage.deal:
                for fault in faults(graph.workload, stage):
                    raise InternalError(f"partition: {nest.name}: {fault}")
            else:
                _check_sharding(stage, nest)
            _check_operands(graph, stage, nest, epoch, epoch_of)
            needed = l1_bytes(machine, graph.workload, stage)
            _require(needed <= machine.l1_available, f"{nest.name}: {needed} bytes of cbs do not fit L1")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise InternalError(f"partition: {message}")


def _order(graph: StageGraph) -> dict[int, int]:
    epoch_of: dict[int, int] = {}
    for epoch, stages in enumerate(graph.epochs):
        for stage in stages:
            nest = graph.workload.nests[stage.nest]
            _require(stage.nest not in epoch_of, f"{nest.name} is mapped twice")
            for access in nest.operands:
                producer = graph.workload.storages[access.storage].producer
                _require(producer < 0 or producer in epoch_of, f"{nest.name} comes before what it reads")
            epoch_of[stage.nest] = epoch
    _require(len(epoch_of) == len(graph.workload.nests), "some nest is not mapped")
    return epoch_of


def _check_result(graph: StageGraph, stage: Stage, nest: Nest, epoch: int, epoch_of: dict[int, int]) -> None:
    readers = [
        epoch_of[number]
        for number, other in enumerate(graph.workload.nests)
        if any(access.storage == nest.out for access in other.operands)
    ]
    output = graph.workload.storages[nest.out].role is Role.OUTPUT
    _require(stage.to_dram or not (output or any(r > epoch for r in readers)), f"{nest.name}: its result is lost")
    _require(stage.shard or epoch not in readers, f"{nest.name}: its epoch reads a result that it does not keep")


def _check_grid(machine: Machine, stage: Stage, nest: Nest) -> None:
    rows, columns = stage.grid
    fits = rows <= len(machine.core_rows) and columns <= len(machine.core_columns)
    _require(fits, f"{nest.name}: a {rows} x {columns} core grid is larger than the mesh")
    _require(all(part >= 1 for part in stage.block), f"{nest.name}: empty block")
    _require(bool(stage.deal) == (nest.live is not None), f"{nest.name}: ragged or not, against what is live")


def _check_sharding(stage: Stage, nest: Nest) -> None:
    _require(len(stage.ways) == len(nest.out_dims), f"{nest.name}: one cut per axis of the result")
    for dim, way in zip(nest.out_dims, stage.ways, strict=True):
        size = -(-dim // way)
        _require(0 < way <= dim and size * (way - 1) < dim, f"{nest.name}: {way} blocks of {dim} tiles leave one empty")
    rows, columns = stage.grid
    regular = (rows, columns) == (prod(stage.ways[:-1]), stage.ways[-1])
    folded = rows * columns == stage.cores and 1 in (prod(stage.ways[:-1]), stage.ways[-1])
    _require(regular or folded, f"{nest.name}: {stage.cores} blocks do not fill a {rows} x {columns} core grid")


def _check_operands(graph: StageGraph, stage: Stage, nest: Nest, epoch: int, epoch_of: dict[int, int]) -> None:
    _require(len(stage.operands) == len(nest.operands), f"{nest.name}: one plan per operand")
    for number, (access, plan) in enumerate(zip(nest.operands, stage.operands, strict=True)):
        storage = graph.workload.storages[access.storage]
        pages = TileGrid(storage.shape).pages
        reach = zip(access.strides, nest.space, strict=False)
        last = access.offset + sum(stride * (extent - 1) for stride, extent in reach)
        _require(access.offset >= 0 and last < pages, f"{nest.name}: operand {number} reads past its tensor")
        same_epoch = storage.producer >= 0 and epoch_of[storage.producer] == epoch
        _require(plan.from_l1 == same_epoch, f"{nest.name}: operand {number} is looked for in the wrong memory")
        picks = number >= nest.buffered_operands
        _require(not (plan.from_l1 and picks), f"{nest.name}: elements are picked in DRAM only")
        _require(not picks or plan.sharing is Sharing.NONE, f"{nest.name}: every core picks its own elements")
        _require(0 <= plan.level <= len(nest.space) and plan.buffers >= 1, f"{nest.name}: bad plan")
        if not stage.deal:
            _check_sharing(stage, nest, number, plan.sharing)


def _check_sharing(stage: Stage, nest: Nest, number: int, sharing: Sharing) -> None:
    """Compare the pages that the cores of each group need, from the tiles of their blocks."""
    if sharing is Sharing.NONE:
        return
    columns = stage.grid[1]
    strides = nest.operands[number].strides[: len(stage.ways)]
    needed: dict[int, set[int]] = {}
    for core, coordinates in enumerate(product(*(range(way) for way in stage.ways))):
        pages = {0}
        for coordinate, dim, way, stride in zip(coordinates, nest.out_dims, stage.ways, strides, strict=True):
            size = -(-dim // way)
            tiles = range(coordinate * size, min(dim, (coordinate + 1) * size))
            pages = {page + stride * tile for page in pages for tile in tiles}
        group = {Sharing.ROW: core // columns, Sharing.COLUMN: core % columns}.get(sharing, 0)
        _require(needed.setdefault(group, pages) == pages, f"{nest.name}: operand {number} is not the same for a group")
    _require(prod(stage.ways) > 1, f"{nest.name}: one core shares with nobody")
