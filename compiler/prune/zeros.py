"""Tensors of which whole tiles may turn out to be zero at run time, and what it takes to leave out their products.

What becomes zero is not known when a program is compiled, but where zeros come from is: `relu`, and choices of which
one side is zero. Flags in L1 cost nothing, so products with both look at them there. In DRAM they cost a word per page
each way, which the loads of a product that has nothing to leave out may feel; so choices, which switch off whole tiles
by intent, keep them there, and `relu` where the words are small change beside the products. A product with a zero tile
is zero only if the other factor is finite: that is known of what is declared or assumed so, and is then checked by the
host.
"""

from collections.abc import Iterator
from dataclasses import replace

from compiler.numerics import Expr, ScalarOp
from compiler.partition.nest import ContractBody, MapBody, Nest, ReduceBody, Storage, Workload
from compiler.program.image import Role
from compiler.prune.streams import LEAST_DENSITY, MOST_SLOWDOWN, pays_below, read_in_parts, share_of_products
from compiler.target import Machine

_FED = (Role.INPUT, Role.WEIGHT, Role.STATE)


def zero_side(expr: Expr) -> ScalarOp | None:
    """The choice, maximum or minimum with 0 as one side that makes the result of `expr`, up to casts; None if that is
    made otherwise."""
    nodes = expr.nodes
    index = len(nodes) - 1
    while nodes[index].op is ScalarOp.CAST:
        index = nodes[index].args[0]
    node = nodes[index]
    sides = node.args[1:] if node.op is ScalarOp.WHERE else node.args
    zero = any(nodes[side].op is ScalarOp.CONST and nodes[side].value == 0 for side in sides)
    return node.op if zero and node.op in (ScalarOp.WHERE, ScalarOp.MAX, ScalarOp.MIN) else None


def expect_zeros(machine: Machine | None, workload: Workload, assume_finite: bool) -> Workload:
    """Return `workload` with the factors of its products marked: those that keep flags (`Storage.flagged`) because that
    pays on `machine`, and those that are taken to be finite because they are declared so or `assume_finite` says so."""
    flagged: set[int] = set()
    finite: set[int] = set()
    parts = read_in_parts(workload)
    for nest in workload.nests:
        if isinstance(nest.body, ContractBody):
            for number in (0, 1):
                storage, other = (nest.operands[k].storage for k in (number, 1 - number))
                made_by = None if storage in parts else _zeros_from(workload, workload.storages[storage])
                if made_by is not None:
                    finite.add(other)
                    if _pays(machine, workload, storage, made_by):
                        flagged.add(storage)
    return replace(workload, storages=tuple(_marked(workload, flagged, finite, assume_finite)))


def _pays(machine: Machine | None, workload: Workload, storage: int, made_by: ScalarOp) -> bool:
    """Whether to keep flags in DRAM, where they may not slow down what has no zeros by more than `MOST_SLOWDOWN`."""
    if machine is None:
        return made_by is ScalarOp.WHERE
    if made_by is ScalarOp.WHERE:
        return pays_below(machine, workload, storage) >= LEAST_DENSITY
    return share_of_products(machine, workload, storage) <= MOST_SLOWDOWN


def _zeros_from(workload: Workload, storage: Storage) -> ScalarOp | None:
    if storage.producer < 0 or storage.role is not Role.TEMPORARY:
        return None
    last = _last_expression(workload.nests[storage.producer])
    return None if last is None else zero_side(last)


def _last_expression(nest: Nest) -> Expr | None:
    match nest.body:
        case MapBody(expr=expr):
            return expr
        case ReduceBody(epilogue=epilogue) | ContractBody(epilogue=epilogue):
            return epilogue
        case _:
            return None


def _marked(workload: Workload, flagged: set[int], finite: set[int], assume_finite: bool) -> Iterator[Storage]:
    for number, storage in enumerate(workload.storages):
        promised = number in finite and storage.role in _FED and storage.dtype.is_float
        promised = promised and (storage.finite or assume_finite)
        yield replace(
            storage,
            flagged=storage.flagged or number in flagged,
            finite=storage.finite or promised,
            promised=storage.promised or promised,
        )
