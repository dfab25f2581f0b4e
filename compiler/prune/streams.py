"""What the run itself may leave out: nests that a gate switches off, and products with tiles that turn out to be zero.

For each tensor whose flags are looked at, the density above which that costs more than it saves is stated. Densities
close to 1 pay nearly always; where even a half would not pay, flags are not worth keeping.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from compiler.diagnostics import Span
from compiler.numerics import TileGrid
from compiler.numerics.layout import page_bytes
from compiler.partition.nest import ContractBody, GatherBody, Nest, TakeBody, Workload
from compiler.program.image import Role
from compiler.target import Machine
from compiler.target.costs import flits, matmul_cost

LEAST_DENSITY = 0.5
"""Flags are kept in DRAM only where they pay from this density on."""
MOST_SLOWDOWN = 0.01
"""What flags in DRAM may cost where nothing is zero, as a share of the products: half of what pruning may cost at most,
for loads wait for flags too."""


@dataclass(frozen=True, slots=True)
class Switch:
    """Nest `name` leaves out the tiles for which the page of `gate` is zero."""

    name: str
    span: Span | None
    gate: str
    gate_span: Span | None


@dataclass(frozen=True, slots=True)
class Stream:
    """Products with zero tiles of tensor `name` are left out; that pays where fewer than `density` of its tiles are not
    zero."""

    name: str
    span: Span | None
    density: float


def switches(workload: Workload) -> Iterator[Switch]:
    """The nests that a gate may switch off."""
    for nest in workload.nests:
        if nest.guard >= 0:
            gate = workload.storages[nest.operands[nest.guard].storage]
            yield Switch(nest.name, nest.span, gate.name, _span(workload, gate.producer))


def streams(machine: Machine, workload: Workload) -> Iterator[Stream]:
    """The factors of products whose flags are kept."""
    for number, storage in enumerate(workload.storages):
        if storage.flagged and any(_is_factor(nest, operand) for nest, operand in _uses(workload, number)):
            yield Stream(storage.name, _span(workload, storage.producer), pays_below(machine, workload, number))


def pays_below(machine: Machine, workload: Workload, number: int) -> float:
    """Return the share of tiles that are not zero below which the flags of storage `number` save more cycles than they
    cost, between 0 and 1.

    Per page: a zero one spares its payload on the way to DRAM and back, and the products of the contractions that use
    it; every one costs a word of flags each way, and looks at its flags.
    """
    spent, products = _per_page(machine, workload, number)
    spared = products + 2 * flits(machine, page_bytes(workload.storages[number].dtype))
    return max(0.0, 1.0 - spent / spared)


def share_of_products(machine: Machine, workload: Workload, number: int) -> float:
    """Return what the flags of storage `number` cost, in cycles, for each cycle of the products that it is a factor
    of."""
    spent, products = _per_page(machine, workload, number)
    return spent / products if products else float("inf")


def _per_page(machine: Machine, workload: Workload, number: int) -> tuple[float, float]:
    """Cycles that flags cost per page of a storage, and that the products with it take."""
    pages = TileGrid(workload.storages[number].shape).pages
    spent, products = float(machine.noc.write_issue + machine.noc.read_issue), 0.0
    for nest, operand in _uses(workload, number):
        if _is_factor(nest, operand):
            left, right = (workload.storages[nest.operands[k].storage].dtype for k in (0, 1))
            times = prod(nest.space) / pages
            products += times * matmul_cost(machine, left, right, 1, 1, 1).math
            spent += times / machine.compute.dst_tiles * machine.core.flag_check
    return spent, products


def read_in_parts(workload: Workload) -> frozenset[int]:
    """The storages that some nest reads element by element or row by row; they keep no flags, which are of pages."""
    moves = [nest for nest in workload.nests if isinstance(nest.body, GatherBody | TakeBody)]
    return frozenset(access.storage for nest in moves for access in nest.operands)


def _uses(workload: Workload, number: int) -> Iterator[tuple[Nest, int]]:
    for nest in workload.nests:
        for operand, access in enumerate(nest.operands):
            if access.storage == number and workload.storages[number].role is Role.TEMPORARY:
                yield nest, operand


def _is_factor(nest: Nest, operand: int) -> bool:
    return isinstance(nest.body, ContractBody) and operand < nest.looped_operands


def _span(workload: Workload, producer: int) -> Span | None:
    return workload.nests[producer].span if producer >= 0 else None
