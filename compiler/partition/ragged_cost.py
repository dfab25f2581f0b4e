"""What a ragged stage is expected to take; see `compiler.partition.cost` for what the estimates are good for.

Approximations: a core's loads are all as large as their average, and one panel is computed after the last of them.
"""

from math import ceil, prod

import numpy as np

from compiler.numerics.layout import page_bytes
from compiler.partition.cost import Estimate, load_cycles, share_cycles, sharers
from compiler.partition.live import Numbers, live_steps
from compiler.partition.nest import ContractBody, GatherBody, MapBody, Nest, ReduceBody, TakeBody, Workload
from compiler.partition.ragged import in_pieces, layout, load_totals, operand_extents, piece_blocks
from compiler.partition.stages import OperandPlan, Sharing, Stage
from compiler.program.instructions import Thread
from compiler.target import Machine
from compiler.target.costs import (
    ComputeCost,
    fill_cost,
    flits,
    gather_cost,
    map_cost,
    matmul_cost,
    pack_cost,
    reduce_cost,
)


def step_and_finish(
    machine: Machine, workload: Workload, nest: Nest, block: tuple[int, int, int]
) -> tuple[ComputeCost, ComputeCost]:
    """Return what the compute thread spends on one step of a block, and on a block besides its steps."""
    rows, columns, inner = block
    tiles = rows * columns
    dtypes = tuple(workload.storages[access.storage].dtype for access in nest.operands)
    pack = pack_cost(machine, workload.storages[nest.out].dtype, accumulate=False)
    match nest.body:
        case MapBody(expr=expr):
            return ComputeCost(), (map_cost(machine, expr, dtypes) + pack).times(tiles)
        case ReduceBody() as body:
            step = map_cost(machine, body.body, dtypes[: body.body_operands]) + reduce_cost(machine)
            end = map_cost(machine, body.epilogue, dtypes[body.body_operands :]) + fill_cost(machine) + pack
            return step.times(tiles * inner), end.times(tiles)
        case ContractBody() as body:
            left, right = dtypes[:2]
            phases = body.fidelity.phases(left, right)
            step = matmul_cost(machine, left, right, rows, columns, inner, phases)
            end = map_cost(machine, body.epilogue, dtypes[2:]) + fill_cost(machine) + pack
            return step, end.times(tiles)
        case GatherBody() | TakeBody():
            out = workload.storages[nest.out].dtype
            return ComputeCost(), ComputeCost(math=gather_cost(machine, out, 32)).times(tiles)


def block_weights(machine: Machine, workload: Workload, number: int, block: tuple[int, int, int]) -> Numbers:
    """Return the estimated compute cycles of every block of nest `number`, live or not."""
    step, finish = step_and_finish(machine, workload, workload.nests[number], block)
    steps: Numbers = live_steps(workload, number, block).sum(axis=1, dtype=np.int64)
    return steps * max(1, step.pace) + max(1, finish.pace)


def ragged_estimate(machine: Machine, workload: Workload, stage: Stage) -> Estimate:
    """Return the estimate of a ragged stage, from the slowest of its cores."""
    nest = workload.nests[stage.nest]
    blocks, panels, compute = _compute(machine, workload, stage)
    busy = {Thread.READ: np.zeros(stage.cores, np.int64), Thread.WRITE: np.zeros(stage.cores, np.int64)}
    first = dram = 0
    if isinstance(nest.body, GatherBody):
        busy[Thread.READ], compute = compute, busy[Thread.READ]
        dram = int(blocks.sum()) * prod(stage.block[:2]) * page_bytes(workload.storages[nest.out].dtype)
    else:
        for number, plan in enumerate(stage.operands):
            times = load_totals(workload, stage, number, plan).times
            cycles = loading_cycles(machine, workload, stage, number, plan)
            busy[plan.thread] += cycles
            first = max(first, int((cycles / np.maximum(1, times)).max()))
            dram += 0 if plan.from_l1 else dram_bytes(workload, stage, number, plan)
    page = page_bytes(workload.storages[nest.out].dtype)
    out_bytes = int(blocks.max()) * prod(stage.block[:2]) * page
    drain = flits(machine, out_bytes) if stage.to_dram else 0
    if stage.to_dram:
        dram += int(blocks.sum()) * prod(stage.block[:2]) * page
    rate = len(machine.dram.channels) * machine.dram.bytes_per_cycle
    units = int(panels.max())
    computing = int(compute.max())
    loading = max(int(busy[Thread.READ].max()), int(busy[Thread.WRITE].max()), ceil(dram / rate))
    total = max(first + computing, loading + computing // units)
    return Estimate(total + drain // units, first + (total - first) // units, dram)


def _compute(machine: Machine, workload: Workload, stage: Stage) -> tuple[Numbers, Numbers, Numbers]:
    """Per core: its blocks, its panels, and the cycles of its compute thread."""
    nest = workload.nests[stage.nest]
    whole = layout(workload, stage)
    blocks = np.diff(whole.cores)
    steps = np.diff(whole.work.step_bounds[whole.work.chunk_bounds[whole.cores]])
    step, finish = step_and_finish(machine, workload, nest, stage.block)
    paths = zip((step.unpack, step.math, step.pack), (finish.unpack, finish.math, finish.pack), strict=True)
    compute = np.stack([steps * of_step + blocks * of_block for of_step, of_block in paths]).max(axis=0)
    fetches = nest.looped_operands * machine.core.table_load + machine.core.loop
    return blocks, np.diff(whole.load_bounds(1)), np.maximum(compute, steps * fetches)


def loading_cycles(machine: Machine, workload: Workload, stage: Stage, number: int, plan: OperandPlan) -> Numbers:
    """Return the cycles that each core's loading thread spends on operand `number` if `plan` is its plan."""
    nest = workload.nests[stage.nest]
    totals = load_totals(workload, stage, number, plan)
    pages = prod(operand_extents(nest, stage, number))
    nbytes = pages * page_bytes(workload.storages[nest.operands[number].storage].dtype)
    most = piece_blocks(operand_extents(nest, stage, number))
    apart = in_pieces(workload, stage, number, plan)
    amounts = list(zip(totals.times.tolist(), totals.blocks.tolist(), apart.tolist(), strict=True))
    cycles: dict[tuple[int, int, bool], int] = {}
    for times, blocks, pieces in set(amounts):
        average = -(-blocks // max(1, times))
        size = min(average, most) if pieces else average
        read = load_cycles(machine, size * nbytes, size * pages, 1, plan.from_l1) + size * machine.core.table_load
        send = share_cycles(machine, size * nbytes) if plan.sharing is not Sharing.NONE else 0
        once = max(read, send) * -(-average // most) + min(read, send) if pieces else read + send
        cycles[times, blocks, pieces] = times * once
    return np.array([cycles[amount] for amount in amounts], np.int64)


def dram_bytes(workload: Workload, stage: Stage, number: int, plan: OperandPlan) -> int:
    """Return the bytes of operand `number` that are read, once for each group; zeros that are known are not."""
    dtype = workload.storages[workload.nests[stage.nest].operands[number].storage].dtype
    pages = int(load_totals(workload, stage, number, plan).live_pages.sum())
    return pages // sharers(stage, plan.sharing) * page_bytes(dtype)
