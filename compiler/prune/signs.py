"""Whether the sign of a zero can be told: what is zero may be replaced by +0 only where it cannot.

-0 and +0 compare equal, and outputs are compared; a division by them, or a reciprocal root, tells them apart.
"""

from collections.abc import Sequence

from compiler.numerics import Expr, ScalarOp
from compiler.numerics.expr import COMPARISONS
from compiler.partition.nest import ContractBody, GatherBody, MapBody, Nest, ReduceBody, TakeBody, Workload
from compiler.program.image import Role
from compiler.program.instructions import Combine

BLIND = COMPARISONS | {
    *(ScalarOp.ABS, ScalarOp.EXP, ScalarOp.LOG, ScalarOp.COS, ScalarOp.SIGN),
    *(ScalarOp.AND, ScalarOp.OR, ScalarOp.NOT),
}
"""Operations whose result is the same for either zero."""

TELLS = {ScalarOp.DIV: (1,), ScalarOp.RSQRT: (0,), ScalarOp.POW: (0,)}
"""Operands, by number, of which a zero of the other sign can give another number or an infinity."""


def sign_needs(expr: Expr, result: bool) -> list[bool]:
    """For each node whether the sign of a zero matters there, if it matters in the result as `result` says."""
    needs = [False] * len(expr.nodes)
    needs[-1] = result
    for node, need in zip(reversed(expr.nodes), (needs[k] for k in range(len(needs) - 1, -1, -1)), strict=True):
        for place, arg in enumerate(node.args):
            passes = need and node.dtype.is_float and node.op not in BLIND
            needs[arg] = needs[arg] or passes or place in TELLS.get(node.op, ())
    return needs


def signs_that_matter(workload: Workload) -> list[bool]:
    """For each storage whether the sign of a zero in it can be told. A state is read again by the next call."""
    matters = [False] * len(workload.storages)
    states = {s.name: n for n, s in enumerate(workload.storages) if s.role is Role.STATE}
    outputs = [(n, s.name) for n, s in enumerate(workload.storages) if s.role is Role.OUTPUT]
    followers = [(n, states[name]) for n, name in outputs if name in states]
    while True:
        for nest in reversed(workload.nests):
            for number, matter in enumerate(_operand_signs(nest, matters[nest.out])):
                storage = nest.operands[number].storage
                matters[storage] = matters[storage] or matter
        late = [after for after, before in followers if matters[before] and not matters[after]]
        if not late:
            return matters
        for after in late:
            matters[after] = True


def _operand_signs(nest: Nest, result: bool) -> Sequence[bool]:
    count = len(nest.operands)
    match nest.body:
        case GatherBody() | TakeBody():
            return [result] * count
        case MapBody(expr):
            return _of_args(expr, sign_needs(expr, result), count)
        case ReduceBody() as body:
            finish = _of_args(body.epilogue, sign_needs(body.epilogue, result), 1 + count - body.body_operands)
            term = body.combine is not Combine.SUM and finish[0]
            return [*_of_args(body.body, sign_needs(body.body, term), body.body_operands), *finish[1:]]
        case ContractBody() as body:
            return [False, False, *_of_args(body.epilogue, sign_needs(body.epilogue, result), count - 1)[1:]]


def _of_args(expr: Expr, needs: Sequence[bool], count: int) -> list[bool]:
    found = [False] * count
    for node, need in zip(expr.nodes, needs, strict=True):
        if node.op is ScalarOp.ARG:
            found[int(node.value)] = need
    return found
