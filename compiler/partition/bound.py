"""Lower bounds on the makespan that hold for every mapping of a workload."""

from math import ceil, prod

from compiler.numerics import TileGrid
from compiler.numerics.layout import page_bytes
from compiler.partition.nest import Access, ContractBody, GatherBody, MapBody, Nest, ReduceBody, TakeBody, Workload
from compiler.program.image import Role
from compiler.target import Machine
from compiler.target.costs import map_cost, matmul_cost, reduce_cost


def lower_bound(machine: Machine, workload: Workload) -> tuple[tuple[str, int], ...]:
    """Return, per resource, cycles that no schedule can beat.

    `compute`: the math cycles of every tile operation that no gate can make needless, spread evenly over all cores
    without a pause.
    `dram`: the pages of inputs, weights and constants that are used, read once, and of the outputs, written once, at
    the full rate of all channels.
    """
    math = sum(_math_cycles(machine, workload, nest) for nest in workload.nests)
    used = {access.storage for nest in workload.nests for access in nest.operands}
    nbytes = 0
    for number, storage in enumerate(workload.storages):
        if storage.role is Role.OUTPUT or (storage.producer < 0 and number in used):
            nbytes += _used_pages(workload, number) * page_bytes(storage.dtype)
    rate = len(machine.dram.channels) * machine.dram.bytes_per_cycle
    return (("compute", -(-math // len(machine.cores))), ("dram", ceil(nbytes / rate)))


def _math_cycles(machine: Machine, workload: Workload, nest: Nest) -> int:
    if nest.dead or nest.guard >= 0:
        return 0
    live = workload.storages[nest.out].live
    tiles = prod(nest.out_dims) if live is None else live.count
    space = prod(nest.space) if nest.live is None else nest.live.count
    match nest.body:
        case MapBody(expr=expr):
            return tiles * map_cost(machine, expr, ()).math
        case ReduceBody() as body:
            return space * (map_cost(machine, body.body, ()).math + reduce_cost(machine).math)
        case ContractBody(fidelity=fidelity):
            left, right = (workload.storages[access.storage].dtype for access in nest.operands[:2])
            return space * matmul_cost(machine, left, right, 1, 1, 1, fidelity.phases(left, right)).math
        case GatherBody() | TakeBody():
            return 0


def _used_pages(workload: Workload, number: int) -> int:
    """Pages of a storage that must move at least once: all of an output, and of a source those that some nest names.

    What elements are picked from may be needed in any part, so it counts for nothing; a slice needs only what it names.
    Pages that are known to be zero never move, and iterations that are known to be of no use name nothing.
    """
    storage = workload.storages[number]
    pages = TileGrid(storage.shape).pages
    live = pages if storage.live is None else storage.live.count
    if storage.producer >= 0:
        return live
    named = 0
    for nest in workload.nests:
        for access in nest.operands[: nest.buffered_operands]:
            gated = nest.dead or nest.guard >= 0
            if access.storage == number and not gated:
                named = max(named, _named_pages(nest, access) - (pages - live))
    return min(live, named)


def _named_pages(nest: Nest, access: Access) -> int:
    """Distinct pages that the iterations of a nest name."""
    if nest.live is None:
        return prod(extent for stride, extent in zip(access.strides, nest.space, strict=True) if stride)
    idle = tuple(axis for axis, stride in enumerate(access.strides) if not stride)
    return int(nest.live.array.any(axis=idle).sum())
