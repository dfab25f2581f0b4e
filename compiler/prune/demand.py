"""Which iterations of each nest are needed: from the outputs back to the inputs.

A page is live if it is not known to be zero and a live iteration of some reader uses it, or the caller does. An
iteration is live if it may change a live page. A nest that would leave out too little is computed whole, and then
needs everything that it reads.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from compiler.numerics import Expr, ScalarOp, TileGrid
from compiler.partition.nest import ContractBody, GatherBody, MapBody, Nest, ReduceBody, TakeBody, Workload
from compiler.program.image import Role
from compiler.prune.facts import Facts, Flags, regrid
from compiler.prune.forward import NEUTRAL, NestFacts
from compiler.prune.gathers import relation
from compiler.prune.intervals import evaluate
from compiler.prune.signs import sign_needs

WORTH = 0.1
"""A nest is computed whole unless at least this share of its iterations can be left out."""


@dataclass(frozen=True, slots=True)
class NestDemand:
    """What a nest has to do: `pages` of its result (over the result) and `iterations` (over the space), each possibly
    of extent 1; `whole` if it does everything instead."""

    pages: Flags
    iterations: Flags
    whole: bool


@dataclass(frozen=True, slots=True)
class Demand:
    """`nests` as the workload's; `pages[s]` are the pages of storage `s` that somebody reads (zero or not)."""

    nests: tuple[NestDemand, ...]
    pages: tuple[Flags, ...]


def demand(workload: Workload, found: Sequence[NestFacts], signs: Sequence[bool]) -> Demand:
    """Work out what is needed; `found` is what is known of each nest, `signs` as `signs_that_matter` gives them."""
    return _Demander(workload, found, signs).run()


def replaceable(facts: Facts, sign: bool) -> Flags:
    """Tiles that +0 can stand for."""
    return facts.zero & ~facts.minus if sign else facts.zero


class _Demander:
    def __init__(self, workload: Workload, found: Sequence[NestFacts], signs: Sequence[bool]) -> None:
        self.workload, self.found, self.signs = workload, found, signs
        self.pages = [np.zeros((1,) * len(TileGrid(s.shape).dims), np.bool_) for s in workload.storages]
        self.states = {s.name for s in workload.storages if s.role is Role.STATE}

    def run(self) -> Demand:
        nests = []
        for nest, facts in zip(reversed(self.workload.nests), reversed(self.found), strict=True):
            nests.append(self.visit(nest, facts))
        return Demand(tuple(reversed(nests)), tuple(self.pages))

    def visit(self, nest: Nest, facts: NestFacts) -> NestDemand:
        out = self.workload.storages[nest.out]
        asked = regrid(self.pages[nest.out], TileGrid(out.shape).dims, nest.out_dims)
        live = np.ones((1,) * len(nest.out_dims), np.bool_) if out.role is Role.OUTPUT else asked
        if not (out.role is Role.OUTPUT and out.name in self.states):
            live = live & ~replaceable(facts.out, self.signs[nest.out])
        needs = operand_needs(self.workload, nest, facts, live, self.signs[nest.out])
        whole = bool(live.any()) and share(needs.iterations, nest.space) > 1 - WORTH
        if whole:
            everything = np.ones((1,) * len(nest.space), np.bool_)
            needs = Needs(everything, tuple(everything for _ in nest.operands), _on_result(nest, everything))
        for storage in () if whole else facts.relies:
            self.pages[storage] = np.ones_like(self.pages[storage])
        for number, wanted in enumerate(needs.operands):
            storage = nest.operands[number].storage
            self.pages[storage] = self.pages[storage] | self.collect(nest, facts, number, wanted)
        return NestDemand(live, needs.iterations, whole)

    def collect(self, nest: Nest, facts: NestFacts, number: int, wanted: Flags) -> Flags:
        if isinstance(nest.body, TakeBody):
            return np.full_like(self.pages[nest.operands[number].storage], bool(wanted.any()))
        if isinstance(nest.body, GatherBody):
            return gathered(self.workload, nest, nest.body, wanted)
        return facts.routes[number].collect(wanted)


def share(flags: Flags, dims: tuple[int, ...]) -> float:
    """The share of points of a grid that are in a set, given with extent 1 where it does not vary."""
    return float(flags.mean()) if flags.size else 0.0


def gathered(workload: Workload, nest: Nest, body: GatherBody, wanted: Flags) -> Flags:
    """The pages of the source that tiles `wanted` of the result need."""
    shape = workload.storages[nest.operands[0].storage].shape
    dims = TileGrid(shape).dims
    if wanted.all() or not wanted.any():
        return np.full((1,) * len(dims), bool(wanted.any()))
    results, sources = relation(body.index_map, shape)
    pages = np.zeros(dims, np.bool_)
    pages.reshape(-1)[sources[np.broadcast_to(wanted, nest.out_dims).reshape(-1)[results]]] = True
    return pages


@dataclass(frozen=True, slots=True)
class Needs:
    """Live iterations, for each operand the iterations (over the space) in which its value matters, and where (over the
    result) what is combined matters."""

    iterations: Flags
    operands: tuple[Flags, ...]
    combined: Flags


def operand_needs(workload: Workload, nest: Nest, facts: NestFacts, live: Flags, sign: bool) -> Needs:
    """What a nest needs for the pages `live` of its result. A guard that is not there would read as zero."""
    needs = _operand_needs(nest, facts, live, sign)
    if nest.guard < 0:
        return needs
    guarded = live.reshape(live.shape + (1,) * len(nest.reduced))
    operands = [guarded if k == nest.guard else need for k, need in enumerate(needs.operands)]
    return replace(needs, operands=tuple(operands))


def _operand_needs(nest: Nest, facts: NestFacts, live: Flags, sign: bool) -> Needs:
    match nest.body:
        case TakeBody():  # computed as a whole or not at all
            anything = np.full_like(live, bool(live.any()))
            return Needs(anything, (anything, anything), anything)
        case GatherBody():
            return Needs(live, (live,), live)
        case MapBody(expr):
            return Needs(live, arg_needs(expr, facts.nodes, live, sign, len(nest.operands)), live)
        case ReduceBody() as body:
            own = body.body_operands
            finish = _finish_needs(nest, body.epilogue, facts, live, sign, own)
            iterations = finish[0] & ~facts.skip
            told = _uses(body.epilogue, 0) and sign_needs(body.epilogue, sign)[_argument(body.epilogue, 0)]
            operands = (*arg_needs(body.body, facts.nodes, iterations, told, own), *finish[1:])
            return Needs(iterations, operands, _on_result(nest, finish[0]))
        case ContractBody() as body:
            finish = _finish_needs(nest, body.epilogue, facts, live, sign, 2)
            iterations = finish[0] & ~facts.skip
            return Needs(iterations, (iterations, iterations, *finish[1:]), _on_result(nest, finish[0]))


def _on_result(nest: Nest, iterations: Flags) -> Flags:
    """Without the reduced axes, along which nothing varies."""
    return iterations.reshape(iterations.shape[: len(nest.out_dims)])


def _uses(expr: Expr, number: int) -> bool:
    return any(node.op is ScalarOp.ARG and node.value == number for node in expr.nodes)


def _argument(expr: Expr, number: int) -> int:
    return next(k for k, node in enumerate(expr.nodes) if node.op is ScalarOp.ARG and node.value == number)


def _finish_needs(nest: Nest, epilogue: Expr, facts: NestFacts, live: Flags, sign: bool, own: int) -> tuple[Flags, ...]:
    """Needs of the combined value and of the operands of the epilogue, over the space."""
    body = nest.body
    neutral = NEUTRAL[body.combine, body.body.dtype.is_float] if isinstance(body, ReduceBody) else 0.0
    count = 1 + len(nest.operands) - own
    needs = arg_needs(epilogue, facts.finish, live, sign, count, neutral)
    return tuple(need.reshape(need.shape + (1,) * len(nest.reduced)) for need in needs)


def arg_needs(
    expr: Expr, nodes: Sequence[Facts], live: Flags, sign: bool, count: int, first: float = 0.0
) -> tuple[Flags, ...]:
    """Where the value of each operand matters for the result in tiles `live`.

    Operands read as zero where they are not needed (the first one as `first`). A factor of a zero is left out only if
    the other factor is finite even then.
    """
    needs = _node_needs(expr, nodes, live, sign, factors=True)
    found = _of_args(expr, needs, live, count)
    if all(need is live or bool((need | ~live).all()) for need in found):
        return found
    values = [first, *(0.0 for _ in found)]
    again = evaluate(expr, [_standing_in(expr, nodes, k, need, values[k]) for k, need in enumerate(found)])
    if _still_finite(expr, nodes, again, live):
        return found
    return _of_args(expr, _node_needs(expr, nodes, live, sign, factors=False), live, count)


def _of_args(expr: Expr, needs: Sequence[Flags | None], live: Flags, count: int) -> tuple[Flags, ...]:
    found = [np.zeros((1,) * live.ndim, np.bool_)] * count
    for node, need in zip(expr.nodes, needs, strict=True):
        if node.op is ScalarOp.ARG and need is not None:
            found[int(node.value)] = need
    return tuple(found)


def _standing_in(expr: Expr, nodes: Sequence[Facts], number: int, need: Flags, value: float) -> Facts:
    """An operand that may be `value` where it is not needed."""
    if not _uses(expr, number):
        return Facts.within(value, value)
    facts = nodes[_argument(expr, number)]
    return Facts(
        np.where(need, facts.low, value),
        np.where(need, facts.high, value),
        facts.nan & need,
        facts.minus & need,
    )


def _still_finite(expr: Expr, before: Sequence[Facts], after: Sequence[Facts], live: Flags) -> bool:
    """Whether every product that was known to be zero still is."""
    products = (k for k, node in enumerate(expr.nodes) if node.op is ScalarOp.MUL)
    return all(bool((~before[k].zero | after[k].zero | ~live).all()) for k in products)


def _node_needs(expr: Expr, nodes: Sequence[Facts], live: Flags, sign: bool, *, factors: bool) -> list[Flags | None]:
    needs: list[Flags | None] = [None] * len(expr.nodes)
    needs[-1] = live
    signs = sign_needs(expr, sign)
    for k in range(len(expr.nodes) - 1, -1, -1):
        node, need = expr.nodes[k], needs[k]
        if need is None:
            continue
        idle = IDLE.get(node.op) if factors or node.op is not ScalarOp.MUL else None
        values = [nodes[arg] for arg in node.args]
        dropped = idle(values, signs[k]) if idle else ()
        for place, arg in enumerate(node.args):
            wanted = need & ~dropped[place] if dropped else need
            before = needs[arg]
            needs[arg] = wanted if before is None else before | wanted
    return needs


def _where_idle(args: Sequence[Facts], sign: bool) -> tuple[Flags, ...]:
    """The side that is not picked."""
    condition = args[0]
    return np.asarray(False), np.asarray(condition.high == 0), np.asarray(condition.low == 1)


def _and_idle(args: Sequence[Facts], sign: bool) -> tuple[Flags, ...]:
    a, b = (np.asarray(arg.high == 0) for arg in args)
    return np.asarray(b & ~a), a


def _or_idle(args: Sequence[Facts], sign: bool) -> tuple[Flags, ...]:
    a, b = (np.asarray(arg.low == 1) for arg in args)
    return np.asarray(b & ~a), a


def _mul_idle(args: Sequence[Facts], sign: bool) -> tuple[Flags, ...]:
    """The factor of a zero: if it is finite, and unless it gives the zero a sign that matters."""
    if sign:
        return ()
    a, b = args
    second = a.zero & b.finite
    return np.asarray(b.zero & a.finite & ~second), np.asarray(second)


def _mulz_idle(args: Sequence[Facts], sign: bool) -> tuple[Flags, ...]:
    """The factor of a zero, unless it gives the zero a sign that matters."""
    if sign:
        return ()
    a, b = args
    return np.asarray(b.zero & ~a.zero), a.zero


IDLE = {
    ScalarOp.WHERE: _where_idle,
    ScalarOp.AND: _and_idle,
    ScalarOp.OR: _or_idle,
    ScalarOp.MUL: _mul_idle,
    ScalarOp.MULZ: _mulz_idle,
}
"""For each operation where it has no use for which operand."""
