"""What a stage is expected to take, from the machine's cost table.

The estimate only ranks mappings; the emulator measures. Its approximations: links are never contended, every core is
as slow as the first (which holds the largest block), and a stage's threads overlap perfectly once the first block is
there.
"""

from dataclasses import dataclass, replace
from math import ceil, prod

from compiler.numerics import TILE, DType, TileGrid
from compiler.numerics.expr import identity
from compiler.numerics.layout import page_bytes
from compiler.partition.nest import ContractBody, GatherBody, MapBody, Nest, ReduceBody, TakeBody, Workload
from compiler.partition.stages import (
    Loop,
    Sharing,
    Stage,
    deliveries,
    has_partials,
    load_extents,
    loops,
    out_capacity,
    unit_pages,
)
from compiler.program.instructions import Thread
from compiler.target import Machine
from compiler.target.costs import (
    ComputeCost,
    dram_service,
    fill_cost,
    flits,
    gather_cost,
    map_cost,
    matmul_cost,
    multicast_reserve,
    pack_cost,
    packets,
    reduce_cost,
    take_cost,
)


@dataclass(frozen=True, slots=True)
class Estimate:
    """Cycles of a stage on its own (`total`), until it hands over its first pages (`first`), and its DRAM traffic."""

    total: int
    first: int
    dram_bytes: int


def register_block(machine: Machine, rows: int, columns: int) -> tuple[int, int]:
    """Return the rows and columns of tiles that are multiplied at a time: divisors of the block that fit the registers,
    as many as possible, as square as possible (a square needs the fewest operand tiles)."""
    pairs = (
        (height, width)
        for height in range(1, rows + 1)
        if rows % height == 0
        for width in range(1, columns + 1)
        if columns % width == 0 and height * width <= machine.compute.dst_tiles
    )
    return max(pairs, key=lambda pair: (pair[0] * pair[1], -abs(pair[0] - pair[1]), pair))


def compute_cost(machine: Machine, workload: Workload, nest: Nest, nest_loops: tuple[Loop, ...]) -> ComputeCost:
    """Return what the compute thread of a core with these loops spends in all."""
    out_tiles = out_capacity(nest, nest_loops, keep=True)
    space = prod(loop.step * loop.count for loop in nest_loops)
    dtypes = tuple(workload.storages[access.storage].dtype for access in nest.operands)
    out = workload.storages[nest.out].dtype
    finish = pack_cost(machine, out, accumulate=False)
    match nest.body:
        case MapBody(expr=expr):
            return (map_cost(machine, expr, dtypes) + finish).times(out_tiles)
        case ReduceBody() as body:
            step = map_cost(machine, body.body, dtypes[: body.body_operands]) + reduce_cost(machine)
            end = map_cost(machine, body.epilogue, dtypes[body.body_operands :]) + fill_cost(machine) + finish
            return step.times(space) + end.times(out_tiles)
        case ContractBody() as body:
            end = map_cost(machine, body.epilogue, dtypes[2:]) + finish
            return _products(machine, nest, body, dtypes, nest_loops) + end.times(out_tiles)
        case GatherBody() | TakeBody():
            return ComputeCost()


def _products(
    machine: Machine, nest: Nest, body: ContractBody, dtypes: tuple[DType, ...], nest_loops: tuple[Loop, ...]
) -> ComputeCost:
    left, right = dtypes[:2]
    row, column = len(nest.out_dims) - 2, len(nest.out_dims) - 1
    rows, columns, inner = nest_loops[row].step, nest_loops[column].step, nest_loops[-1].step
    height, width = register_block(machine, rows, columns)
    phases = body.fidelity.phases(left, right)
    block = matmul_cost(machine, left, right, height, width, inner, phases).times(rows // height * columns // width)
    if has_partials(machine, nest, nest_loops):
        reload = map_cost(machine, identity(DType.F32), (DType.F32,))
        # Unpack is at most one instruction ahead of math, so taking up a register block again hides nothing but itself.
        reload = replace(reload, math=max(reload.math, reload.unpack))
        block += (reload + pack_cost(machine, DType.F32, accumulate=False)).times(rows * columns)
    return block.times(prod(loop.count for loop in nest_loops))


def load_latency(machine: Machine, from_l1: bool) -> int:
    """Return how long the answer to a read takes, at a guess of the way."""
    ring = machine.columns + machine.rows
    latency = machine.noc.read_overhead + 4 * machine.noc.niu + machine.noc.hop * ring
    return latency + (0 if from_l1 else machine.dram.access)


def load_cycles(machine: Machine, nbytes: int, pages: int, members: int, from_l1: bool) -> int:
    """Return how long the loading thread is busy with one block: reading it and, for several members, sending it on."""
    cycles = load_latency(machine, from_l1) + max(pages * machine.noc.read_issue, flits(machine, nbytes))
    return cycles + (share_cycles(machine, nbytes) if members > 1 else 0)


def share_cycles(machine: Machine, nbytes: int) -> int:
    """Return how long the loading thread is busy with sending `nbytes` bytes on to several members."""
    ring = machine.columns + machine.rows
    cycles = machine.noc.write_overhead + machine.noc.hop * ring + 2 * machine.noc.atomic_issue
    return cycles + flits(machine, nbytes) + packets(machine, nbytes) * multicast_reserve(machine, ring // 2)


def sharers(stage: Stage, sharing: Sharing) -> int:
    """Return how many cores one multicast of a shared operand serves."""
    rows, columns = stage.grid
    return {Sharing.NONE: 1, Sharing.ROW: columns, Sharing.COLUMN: rows, Sharing.ALL: rows * columns}[sharing]


def _picking(
    machine: Machine, workload: Workload, nest: Nest, nest_loops: tuple[Loop, ...], cores: int
) -> tuple[int, int]:
    """Return the cycles in which the read thread of a core puts its pages together, and the DRAM traffic of all cores.

    A row that is picked is a request of its own; the traffic is what would keep the channels as busy.
    """
    pages = out_capacity(nest, nest_loops, keep=True)
    dtype = workload.storages[nest.out].dtype
    if isinstance(nest.body, GatherBody):
        return pages * gather_cost(machine, dtype, TILE), dtype.itemsize * prod(nest.shape)
    unit = unit_pages(nest, nest_loops)
    rows = min(TILE, TileGrid(nest.shape).matrix_shape[-2])
    sent = unit * rows * flits(machine, TILE * dtype.itemsize)
    once = load_latency(machine, from_l1=False) + max(unit * take_cost(machine, dtype, rows), sent)
    service = dram_service(machine, TILE * dtype.itemsize) * machine.dram.bytes_per_cycle
    return pages // unit * once, ceil(pages * cores * rows * service)


def estimate(machine: Machine, workload: Workload, stage: Stage) -> Estimate:
    """Return the estimate of a stage, from its first core."""
    nest = workload.nests[stage.nest]
    nest_loops = loops(nest, stage, 0)
    busy = {Thread.READ: 0, Thread.WRITE: 0}
    first = dram = 0
    out_pages = out_capacity(nest, nest_loops, keep=True)
    if nest.buffered_operands < len(nest.operands):
        busy[Thread.READ], dram = _picking(machine, workload, nest, nest_loops, stage.cores)
    for access, plan in list(zip(nest.operands, stage.operands, strict=True))[: nest.buffered_operands]:
        pages = prod(load_extents(access, plan.level, nest_loops))
        nbytes = pages * page_bytes(workload.storages[access.storage].dtype)
        members = sharers(stage, plan.sharing)
        once = load_cycles(machine, nbytes, pages, members, plan.from_l1)
        times = deliveries(plan.level, nest_loops)
        busy[plan.thread] += once * times
        first = max(first, once)
        if not plan.from_l1:
            dram += nbytes * times * stage.cores // members
    compute = compute_cost(machine, workload, nest, nest_loops)
    out_bytes = out_pages * page_bytes(workload.storages[nest.out].dtype)
    drain = flits(machine, out_bytes) if stage.to_dram else 0
    if stage.to_dram:
        dram += out_bytes * stage.cores
    rate = len(machine.dram.channels) * machine.dram.bytes_per_cycle
    steady = max(compute.pace, busy[Thread.READ], busy[Thread.WRITE], ceil(dram / rate))
    units = prod(loop.count for loop in nest_loops[: len(nest.out_dims) - 1])
    return Estimate(first + steady + drain // units, first + steady // units, dram)
