"""Bounds of scalar expressions one tile at a time, for the checker: from the definitions of the operations.

An operation that rises or falls in each operand takes its extremes at the ends of their intervals; zeros of either sign
are tried too, where products and quotients turn. NaN among the tried values means that NaN may arise.
"""

from collections.abc import Callable, Sequence
from itertools import product
from math import floor, isinf, isnan
from typing import NamedTuple

import numpy as np

from compiler.numerics import DType, Expr, ScalarOp
from compiler.numerics.evaluate import TRANSCENDENTAL, apply, cast
from compiler.numerics.expr import ScalarNode


class Bound(NamedTuple):
    """Elements lie between `low` and `high`; with `nan` some may be NaN."""

    low: float
    high: float
    nan: bool = False

    @property
    def is_zero(self) -> bool:
        return self == (0.0, 0.0, False)

    @property
    def is_finite(self) -> bool:
        return not self.nan and not isinf(self.low) and not isinf(self.high)


FALSE, EITHER, TRUE = Bound(0.0, 0.0), Bound(0.0, 1.0), Bound(1.0, 1.0)


def anything(dtype: DType) -> Bound:
    """All that a type can hold."""
    if dtype.is_float:
        return Bound(-np.inf, np.inf, True)
    if dtype is DType.BOOL:
        return EITHER
    info = np.iinfo(np.dtype(dtype.numpy.name))
    return Bound(float(info.min), float(info.max))


def bounds(expr: Expr, operands: Sequence[Bound]) -> list[Bound]:
    """The bounds of every node."""
    found: list[Bound] = []
    for node in expr.nodes:
        if node.op is ScalarOp.ARG:
            found.append(operands[int(node.value)])
        elif node.op is ScalarOp.CONST:
            value = float(node.value)
            found.append(anything(node.dtype) if isnan(value) else Bound(value, value))
        elif node.op is ScalarOp.SUB and node.args[0] == node.args[1]:
            found.append(Bound(0.0, 0.0, not found[node.args[0]].is_finite))
        else:
            args = [found[arg] for arg in node.args]
            found.append(_SPECIAL.get(node.op, _tried)(node, args, expr.nodes[node.args[0]].dtype))
    return found


def _tried(node: ScalarNode, args: Sequence[Bound], source: DType) -> Bound:
    """The hull of the values at all combinations of ends and zeros."""
    points = [sorted({arg.low, arg.high} | ({0.0} if arg.low <= 0 <= arg.high else set())) for arg in args]
    if source.is_float:
        points = [[*tried, *([-0.0] if 0.0 in tried else [])] for tried in points]
    values = [_value(node, tried, source) for tried in product(*points)]
    numbers = [value for value in values if not isnan(value)]
    nan = any(arg.nan for arg in args) or len(numbers) < len(values)
    if not numbers or (node.dtype.is_block and set(numbers) != {0.0}):
        return anything(node.dtype)
    low, high = min(numbers), max(numbers)
    if node.op in TRANSCENDENTAL:
        low, high = _slack(low, -1.0), _slack(high, 1.0)
    return _fitted(low, high, nan, node.dtype)


def _value(node: ScalarNode, tried: Sequence[float], source: DType) -> float:
    """One value of an operation: integers are not wrapped yet, floats are rounded."""
    if not source.is_float and node.op in _WHOLE:
        return _WHOLE[node.op](*tried)
    if node.op is ScalarOp.CAST and not source.is_float and not node.dtype.is_float:
        return float(tried[0] != 0) if node.dtype is DType.BOOL else tried[0]
    kind = np.float32 if source.is_float else np.int64 if source is not DType.BOOL else np.bool_
    return float(apply(node.op, node.dtype, [np.asarray(value, np.float64).astype(kind) for value in tried]))


def _slack(end: float, sign: float) -> float:
    return end if end == 0 or isinf(end) else end + sign * (abs(end) * 2.0**-20 + 2.0**-126)


def _fitted(low: float, high: float, nan: bool, dtype: DType) -> Bound:
    if dtype.is_float:
        ends = cast(np.asarray([low, high], np.float32), dtype).astype(np.float64)
        return anything(dtype) if np.isnan(ends).any() else Bound(float(ends[0]), float(ends[1]), nan)
    limits = anything(dtype)
    return Bound(low, high) if limits.low <= low and high <= limits.high else limits


def _quotient(x: float, y: float) -> float:
    return float(floor(x / y)) if y else 0.0


_WHOLE: dict[ScalarOp, Callable[..., float]] = {
    ScalarOp.ADD: lambda x, y: x + y,
    ScalarOp.SUB: lambda x, y: x - y,
    ScalarOp.MUL: lambda x, y: x * y,
    ScalarOp.NEG: lambda x: -x,
    ScalarOp.ABS: abs,
}


def _where(node: ScalarNode, args: Sequence[Bound], source: DType) -> Bound:
    condition, then, other = args
    if condition in (TRUE, FALSE):
        return then if condition == TRUE else other
    return Bound(min(then.low, other.low), max(then.high, other.high), then.nan or other.nan)


def _equal(node: ScalarNode, args: Sequence[Bound], source: DType) -> Bound:
    a, b = args
    apart = a.high < b.low or b.high < a.low
    same = a == b and a.low == a.high and not a.nan
    found = TRUE if same else FALSE if apart else EITHER
    return found if node.op is ScalarOp.EQ else Bound(1.0 - found.high, 1.0 - found.low)


def _ordered(node: ScalarNode, args: Sequence[Bound], source: DType) -> Bound:
    """Comparisons with NaN are false."""
    found = _tried(node, [Bound(arg.low, arg.high) for arg in args], source)
    return Bound(0.0, found.high) if any(arg.nan for arg in args) else found


def _divided(node: ScalarNode, args: Sequence[Bound], source: DType) -> Bound:
    a, b = args
    if source.is_float:
        if a.low == a.high == 0:
            return Bound(0.0, 0.0, a.nan or b.nan or b.low <= 0 <= b.high)
        return _tried(node, args, source)
    size = max(abs(a.low), abs(a.high))
    if b.low <= 0 <= b.high:
        return _fitted(-size, size, False, node.dtype)
    values = [_quotient(x, y) for x in (a.low, a.high) for y in (b.low, b.high)]
    return _fitted(min(values), max(values), False, node.dtype)


def _remainder(node: ScalarNode, args: Sequence[Bound], source: DType) -> Bound:
    a, b = args
    nan = source.is_float and (a.nan or b.nan or b.low <= 0 <= b.high or isinf(a.low) or isinf(a.high))
    if b.low == b.high and b.low and a.high - a.low < abs(b.low) and a.low % b.low <= a.high % b.low:
        return _fitted(a.low % b.low, a.high % b.low, nan, node.dtype)
    return _fitted(min(b.low, 0.0), max(b.high, 0.0), nan, node.dtype)


def _annihilated(node: ScalarNode, args: Sequence[Bound], source: DType) -> Bound:
    a, b = args
    found = _tried(node, [Bound(a.low, a.high), Bound(b.low, b.high)], source)
    nan = (a.nan and not b.is_zero) or (b.nan and not a.is_zero)
    return Bound(min(found.low, 0.0), max(found.high, 0.0), nan) if a.nan or b.nan else found._replace(nan=nan)


def _rooted(node: ScalarNode, args: Sequence[Bound], source: DType) -> Bound:
    """Functions of positive numbers: NaN below."""
    (a,) = args
    found = _tried(node, [Bound(max(a.low, 0.0), max(a.high, 0.0), a.nan)], source)
    return found._replace(nan=a.nan or a.low < 0)


def _wave(node: ScalarNode, args: Sequence[Bound], source: DType) -> Bound:
    (a,) = args
    return Bound(-1.0, 1.0, a.nan or isinf(a.low) or isinf(a.high))


def _power(node: ScalarNode, args: Sequence[Bound], source: DType) -> Bound:
    base, exponent = args
    if exponent.low == exponent.high and exponent.low > 0 and exponent.low % 2 == 0:
        sizes = (abs(base.low), abs(base.high))
        least = 0.0 if base.low <= 0 <= base.high else min(sizes)
        return _tried(node, [Bound(least, max(sizes), base.nan), exponent], source)
    positive = base.low > 0 and not isinf(base.high) and exponent.is_finite
    return _tried(node, args, source) if positive else anything(node.dtype)


def _casted(node: ScalarNode, args: Sequence[Bound], source: DType) -> Bound:
    (a,) = args
    if node.dtype.is_float:
        return _tried(node, args, source)
    if node.dtype is DType.BOOL:
        return (
            _equal(ScalarNode(ScalarOp.NE, DType.BOOL), [a, FALSE], source)
            if not a.nan
            else Bound(float(not a.low <= 0 <= a.high), 1.0)
        )
    found = _tried(node, [Bound(a.low, a.high)], source)
    return Bound(min(found.low, 0.0), max(found.high, 0.0)) if a.nan else found


_SPECIAL: dict[ScalarOp, Callable[[ScalarNode, Sequence[Bound], DType], Bound]] = {
    ScalarOp.WHERE: _where,
    ScalarOp.EQ: _equal,
    ScalarOp.NE: _equal,
    **dict.fromkeys((ScalarOp.LT, ScalarOp.LE, ScalarOp.GT, ScalarOp.GE), _ordered),
    ScalarOp.DIV: _divided,
    ScalarOp.MOD: _remainder,
    ScalarOp.MULZ: _annihilated,
    **dict.fromkeys((ScalarOp.SQRT, ScalarOp.RSQRT, ScalarOp.LOG), _rooted),
    ScalarOp.SIN: _wave,
    ScalarOp.COS: _wave,
    ScalarOp.POW: _power,
    ScalarOp.CAST: _casted,
}


def depends(expr: Expr, before: Sequence[Bound], after: Sequence[Bound], idle: frozenset[int]) -> bool:
    """Whether the result may depend on the operands `idle`; `before` are the bounds of all nodes, `after` those if
    these operands are replaced."""

    def visit(index: int) -> bool:
        node = expr.nodes[index]
        known = before[index]
        if known == after[index] and known.low == known.high and not known.nan:
            return False
        if node.op is ScalarOp.ARG:
            return int(node.value) in idle
        if node.op is ScalarOp.WHERE and before[node.args[0]] in (TRUE, FALSE):
            condition, then, other = node.args
            return visit(condition) or visit(then if before[condition] == TRUE else other)
        return any(visit(arg) for arg in node.args)

    return visit(len(expr.nodes) - 1)
