"""What is known of every tile that a workload computes: abstract interpretation, nest by nest.

Before and after::

    %mask: bool = map le(j, i)              known true below the diagonal, false above it
    %e: f32 = map where(mask, exp(s), 0)    zero above it
    %o: f32 = contract %e, %v               iterations with zero tiles of %e can be left out if %v is finite
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from compiler.numerics import TILE, DType, TileGrid
from compiler.partition.nest import ContractBody, GatherBody, MapBody, Nest, ReduceBody, Storage, TakeBody, Workload
from compiler.program.image import Role
from compiler.program.instructions import Combine, ReduceAxis
from compiler.prune.accesses import Route, route
from compiler.prune.facts import LARGEST, Facts, Flags, every, facts_of_values, join, some
from compiler.prune.gathers import relation
from compiler.prune.intervals import evaluate

NEVER = np.asarray(False)

NEUTRAL: Mapping[tuple[Combine, bool], float] = {
    (Combine.SUM, True): 0.0,
    (Combine.SUM, False): 0.0,
    (Combine.PROD, True): 1.0,
    (Combine.PROD, False): 1.0,
    (Combine.MAX, True): -np.inf,
    (Combine.MIN, True): np.inf,
    (Combine.MAX, False): -(2.0**31),
    (Combine.MIN, False): 2.0**31 - 1,
}
"""What each reduction starts from, for floats and for i32: combining it changes nothing (a zero of either sign added
to a sum that starts at +0 changes no bit)."""


@dataclass(frozen=True, slots=True)
class NestFacts:
    """What is known of one nest.

    `nodes` are the facts of the nodes of its expression (the body of a map or reduction) over the space, `finish` those
    of its epilogue over the result, where there are any. Iterations in `skip` (over the space) change nothing. All that
    holds if the storages in `relies` are finite.
    """

    routes: tuple[Route, ...]
    nodes: tuple[Facts, ...]
    finish: tuple[Facts, ...]
    skip: Flags
    out: Facts
    relies: frozenset[int] = frozenset()


def source_facts(storage: Storage, zeros: Flags | None) -> Facts:
    """What is known of a tensor that no nest computes."""
    rank = len(TileGrid(storage.shape).dims)
    if storage.role is Role.CONSTANT:
        values = np.frombuffer(storage.data, storage.dtype.numpy).reshape(storage.shape)
        return facts_of_values(values, rank)
    facts = Facts.unknown(storage.dtype, rank)
    return facts if zeros is None else zero_where(facts, zeros)


def nest_facts(workload: Workload, nest: Nest, known: Sequence[Facts]) -> NestFacts:
    """Derive what is known of the result from what is known of the operands (`known`, by storage)."""
    space = nest.space
    if isinstance(nest.body, GatherBody):
        return _gather(workload, nest, nest.body, known)
    if isinstance(nest.body, TakeBody):
        return _take(nest, known)
    routes = tuple(route(a, workload.storages[a.storage].shape, space) for a in nest.operands)
    operands = [r.facts(known[a.storage]) for r, a in zip(routes, nest.operands, strict=True)]
    match nest.body:
        case MapBody(expr):
            nodes = tuple(evaluate(expr, operands))
            return NestFacts(routes, nodes, (), NEVER.reshape((1,) * len(space)), _shaped(nodes[-1], len(space)))
        case ReduceBody() as body:
            return _reduce(nest, body, routes, operands)
        case ContractBody() as body:
            return _contract(nest, body, routes, operands)


def _shaped(facts: Facts, rank: int) -> Facts:
    """The same with an axis for each of the grid's."""
    return facts.each(lambda part: part.reshape((1,) * (rank - part.ndim) + part.shape))


def _on_result(nest: Nest, facts: Facts) -> Facts:
    """Facts that do not vary along reduced axes, over the result."""
    return facts.each(lambda part: part.reshape(part.shape[: len(nest.out_dims)]))


def _finish(nest: Nest, total: Facts, extra: Sequence[Facts]) -> tuple[Facts, ...]:
    assert isinstance(nest.body, ReduceBody | ContractBody)
    return tuple(evaluate(nest.body.epilogue, [total, *(_on_result(nest, facts) for facts in extra)]))


def _reduce(nest: Nest, body: ReduceBody, routes: tuple[Route, ...], operands: list[Facts]) -> NestFacts:
    rank = len(nest.space)
    nodes = tuple(evaluate(body.body, operands[: body.body_operands]))
    term = _shaped(nodes[-1], rank)
    skip = skipped_terms(body, term)
    finish = _finish(nest, COMBINED[body.combine](nest, body, term, skip), operands[body.body_operands :])
    return NestFacts(routes, nodes, finish, skip, _shaped(finish[-1], len(nest.out_dims)))


def skipped_terms(body: ReduceBody, term: Facts) -> Flags:
    """Iterations whose whole tile is what the reduction starts from."""
    return term.is_value(NEUTRAL[body.combine, body.body.dtype.is_float])


def _reduced(nest: Nest) -> tuple[int, ...]:
    return tuple(range(len(nest.out_dims), len(nest.space)))


def _result_shape(nest: Nest, shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape[: len(nest.out_dims)]


def _turns(nest: Nest, array: Flags) -> int:
    """How often each entry of an array over the space stands for an iteration of the reduced axes."""
    count = 1
    for axis in _reduced(nest):
        count *= nest.space[axis] if array.shape[axis] == 1 else 1
    return count


_INSIDE = {ReduceAxis.ROWS: TILE, ReduceAxis.COLUMNS: TILE, ReduceAxis.BOTH: TILE * TILE, ReduceAxis.NONE: 1}


def _sum(nest: Nest, body: ReduceBody, term: Facts, skip: Flags) -> Facts:
    most = _INSIDE[body.axis]
    low = np.where(term.low < 0, term.low * most, term.low)
    high = np.where(term.high > 0, term.high * most, term.high)
    return _total(nest, body.body.dtype, low, high, term.nan, most)


def _total(nest: Nest, dtype: DType, low: Flags, high: Flags, nan: Flags, most: int) -> Facts:
    """Bounds on a sum in any order, of up to `most` elements per iteration, given bounds per iteration."""
    low, high, nan = np.broadcast_arrays(low, high, nan)
    axes, turns = _reduced(nest), _turns(nest, low)
    with np.errstate(all="ignore"):
        least, greatest = low.sum(axis=axes) * turns, high.sum(axis=axes) * turns
        size = np.maximum(np.abs(low), np.abs(high)).sum(axis=axes) * turns
        unsure = some(nan, axes)
        if not dtype.is_float:
            return _wrapped(least, greatest, size)
        error = _sum_error(size, most * int(np.prod([nest.space[axis] for axis in axes])))
        wide = size + error > LARGEST[DType.F32]
        down, up = every(low >= 0, axes), every(high <= 0, axes)
        least = np.where(down, np.maximum(least - error, 0.0), np.where(wide, -np.inf, least - error))
        greatest = np.where(up, np.minimum(greatest + error, 0.0), np.where(wide, np.inf, greatest + error))
        unsure = unsure | wide & ~down & ~up
        least = np.where(down & wide, 0.0, least)
        greatest = np.where(up & wide, 0.0, greatest)
    return Facts(least, greatest, unsure, np.zeros(least.shape, np.bool_))


UNIT = 2.0**-24
"""Relative error of one rounding to f32."""


def _sum_error(size: Flags, terms: int) -> Flags:
    """See N. Higham, Accuracy and Stability of Numerical Algorithms, section 4.2; twice that, and denormals."""
    gamma = 2 * (terms + 2) * UNIT
    return np.where(size == 0, 0.0, gamma * size + terms * 2.0**-149 if gamma < 0.5 else np.inf)


def _wrapped(least: Flags, greatest: Flags, size: Flags) -> Facts:
    anything = Facts.within(-(2.0**31), LARGEST[DType.I32])
    wraps = size > LARGEST[DType.I32]
    never = np.zeros(least.shape, np.bool_)
    return Facts(np.where(wraps, anything.low, least), np.where(wraps, anything.high, greatest), never, never)


def _extreme(nest: Nest, body: ReduceBody, term: Facts, skip: Flags) -> Facts:
    axes = _reduced(nest)
    best = np.max if body.combine is Combine.MAX else np.min
    return Facts(
        best(term.low, axis=axes),
        best(term.high, axis=axes),
        some(term.nan, axes),
        some(term.minus & term.holds_zero, axes),
    )


def _product(nest: Nest, body: ReduceBody, term: Facts, skip: Flags) -> Facts:
    """Nothing is known but of factors that are all 1, or all at most 1."""
    axes = _reduced(nest)
    small = np.maximum(np.abs(term.low), np.abs(term.high)) <= 1
    bounded = every(small & ~term.nan, axes)
    ones = every(skip, axes)
    unknown = Facts.unknown(body.body.dtype, bounded.ndim)
    low = np.where(ones, 1.0, np.where(bounded, -1.0, unknown.low))
    high = np.where(bounded | ones, 1.0, unknown.high)
    nan = ~bounded & ~ones & unknown.nan
    return Facts(low, high, nan, np.asarray(~ones & body.body.dtype.is_float))


COMBINED: dict[Combine, Callable[[Nest, ReduceBody, Facts, Flags], Facts]] = {
    Combine.SUM: _sum,
    Combine.PROD: _product,
    Combine.MAX: _extreme,
    Combine.MIN: _extreme,
}


def _contract(nest: Nest, body: ContractBody, routes: tuple[Route, ...], operands: list[Facts]) -> NestFacts:
    a, b = operands[:2]
    skip = skipped_products(a, b, annihilates=body.annihilates)
    finish = _finish(nest, _products(nest, body, a, b, skip), operands[2:])
    return NestFacts(routes, (), finish, skip, _shaped(finish[-1], len(nest.out_dims)))


def skipped_products(a: Facts, b: Facts, *, annihilates: bool) -> Flags:
    """Iterations whose products are all zero: a zero tile times a finite one, or times anything if a 0 annihilates."""
    if annihilates:
        return np.asarray(a.zero | b.zero)
    return np.asarray(a.zero & b.finite | b.zero & a.finite)


def _products(nest: Nest, body: ContractBody, a: Facts, b: Facts, skip: Flags) -> Facts:
    """Bounds from the largest factors of a row and a column of tiles: coarse, but linear in tiles."""
    axes = _reduced(nest)
    passes = len(body.fidelity.passes)
    with np.errstate(all="ignore"):
        sizes = [np.maximum(np.abs(x.low), np.abs(x.high)).max(axis=axes, keepdims=True) for x in (a, b)]
        size = np.nan_to_num(sizes[0] * sizes[1], nan=np.inf, posinf=np.inf) * TILE * passes
    rising = every(a.low >= 0, axes, keep=True) & every(b.low >= 0, axes, keep=True)
    nan = ~(every(a.finite, axes, keep=True) & every(b.finite, axes, keep=True))
    total = _total(nest, _accumulator(body), np.where(rising, 0.0, -size), size, nan, TILE * passes)
    nothing = every(skip, axes)
    return total.with_zero(nothing)


def _accumulator(body: ContractBody) -> DType:
    return DType.F32 if body.dtype.is_float else DType.I32


def _gather(workload: Workload, nest: Nest, body: GatherBody, known: Sequence[Facts]) -> NestFacts:
    """Elements of the source, and zeros where there are none."""
    source = known[nest.operands[0].storage]
    rank = len(nest.out_dims)
    zero = Facts.within(0.0, 0.0, 1)
    out = join(source.hull().each(lambda part: part.reshape(1)), zero).each(lambda part: part.reshape((1,) * rank))
    if source.zero.any():
        shape = workload.storages[nest.operands[0].storage].shape
        results, sources = relation(body.index_map, shape)
        filled = np.zeros(int(np.prod(nest.out_dims)), np.bool_)
        filled[results[~np.broadcast_to(source.zero, TileGrid(shape).dims).reshape(-1)[sources]]] = True
        out = zero_where(out, ~filled.reshape(nest.out_dims))
    return NestFacts((), (), (), NEVER.reshape((1,) * rank), out)


def _take(nest: Nest, known: Sequence[Facts]) -> NestFacts:
    """Any rows of the source, and zeros where there are none."""
    rank = len(nest.out_dims)
    source = known[nest.operands[1].storage].hull().each(lambda part: part.reshape((1,) * rank))
    return NestFacts((), (), (), NEVER.reshape((1,) * rank), join(source, Facts.within(0.0, 0.0, rank)))


def zero_where(facts: Facts, where: Flags) -> Facts:
    """The same with tiles in `where` zero, of the sign they may have."""
    zero = facts.with_zero(where)
    return Facts(zero.low, zero.high, zero.nan, np.broadcast_to(facts.minus, zero.minus.shape))
