"""Bounds of every scalar operation, given bounds of its operands.

A rule returns bounds on the exact result; `step` rounds them as the machine does. Rounding is monotone, so rounded
bounds hold for rounded results. Functions that a device approximates get some slack; their values at infinities are
exact.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from compiler.numerics import DType, Expr, ScalarOp
from compiler.numerics.evaluate import TRANSCENDENTAL, cast
from compiler.numerics.expr import COMPARISONS, ScalarNode
from compiler.prune.facts import LARGEST, SMALLEST, Bounds, Facts, Flags

Range: TypeAlias = tuple[Bounds, Bounds, Flags]
"""Least and greatest number, and whether NaN may arise (from operands that are numbers)."""
Rule: TypeAlias = Callable[[Sequence[Facts], DType], Range]

SLACK = 2.0**-20
"""Relative slack of an approximated function: four times what a device may be off."""

TINY = 2.0**-126
"""The smallest normal f32; a device may flush an approximated result below it."""


def evaluate(expr: Expr, operands: Sequence[Facts]) -> list[Facts]:
    """The facts of every node of `expr`; the last is the result's."""
    found: list[Facts] = []
    for node in expr.nodes:
        if node.op is ScalarOp.ARG:
            found.append(operands[int(node.value)])
        elif node.op is ScalarOp.CONST:
            found.append(_constant(node))
        else:
            found.append(_operation(expr, node, [found[arg] for arg in node.args]))
    return found


def _operation(expr: Expr, node: ScalarNode, args: Sequence[Facts]) -> Facts:
    """Rules that look at more than bounds: a difference of equals, and casts that wrap."""
    if node.op is ScalarOp.SUB and node.args[0] == node.args[1]:
        zero = np.zeros(args[0].low.shape)
        return Facts(zero, zero, ~args[0].finite, zero != 0)
    if node.op is ScalarOp.CAST and node.dtype.is_integer and expr.nodes[node.args[0]].dtype.is_integer:
        low, high, _ = _rounded(args[0].low, args[0].high, node.dtype)
        return Facts(low, high, args[0].nan, args[0].minus)
    return step(node.op, node.dtype, args)


def _constant(node: ScalarNode) -> Facts:
    value = float(node.value)
    if value != value:
        return Facts.unknown(node.dtype, 0)
    minus = np.asarray(node.dtype.is_float and value == 0 and bool(np.signbit(value)))
    return Facts(np.asarray(value), np.asarray(value), np.asarray(False), minus)


def step(op: ScalarOp, dtype: DType, args: Sequence[Facts]) -> Facts:
    """The facts of one operation."""
    with np.errstate(all="ignore"):
        low, high, nan = RULES[op](args, dtype)
        if op not in QUIET:
            nan = nan | np.logical_or.reduce(np.broadcast_arrays(*(arg.nan for arg in args)))
        low, high, over = _rounded(low, high, dtype)
        nan = nan | over
        minus = MINUS.get(op, _maybe)(args) & (low <= 0) & (high >= 0) if dtype.is_float else np.asarray(False)
        if not dtype.is_float:
            nan = np.asarray(False)
    return Facts(low, high, np.asarray(nan), np.asarray(minus))


def _rounded(low: Bounds, high: Bounds, dtype: DType) -> Range:
    """Round the ends; integers that may wrap, and ends that are not numbers, may be anything.

    The last array is where numbers may become NaN: in types without infinities. How elements of a type with shared
    exponents are rounded depends on their neighbors: only zeros are sure.
    """
    if dtype.is_float:
        zero = (low == 0) & (high == 0)
        lost = ~zero if dtype.is_block else np.asarray(False)
        low, high = (cast(end.astype(np.float32), dtype).astype(np.float64) for end in (low, high))
        over = np.isnan(low) | np.isnan(high)
        return np.where(over | lost, -np.inf, low), np.where(over | lost, np.inf, high), over | lost
    lost = ~((low >= SMALLEST[dtype]) & (high <= LARGEST[dtype]))
    return np.where(lost, SMALLEST[dtype], low), np.where(lost, LARGEST[dtype], high), _NO


_NO = np.asarray(False)


def _least(ends: Sequence[Any]) -> Bounds:
    return np.asarray(np.minimum.reduce(np.broadcast_arrays(*ends)), np.float64)


def _greatest(ends: Sequence[Any]) -> Bounds:
    return np.asarray(np.maximum.reduce(np.broadcast_arrays(*ends)), np.float64)


def _rising(f: Callable[..., Any]) -> Rule:
    """Exact operations that grow with each operand."""
    return lambda x, _: (np.asarray(f(*(a.low for a in x))), np.asarray(f(*(a.high for a in x))), _NO)


def _opposite(a: Facts, b: Facts) -> Flags:
    """One may be -inf where the other is +inf."""
    return np.asarray((a.low == -np.inf) & (b.high == np.inf) | (a.high == np.inf) & (b.low == -np.inf))


def _add(x: Sequence[Facts], _: DType) -> Range:
    a, b = x
    return a.low + b.low, a.high + b.high, _opposite(a, b)


def _negative(a: Facts) -> Facts:
    return Facts(-a.high, -a.low, a.nan, a.minus)


def _sub(x: Sequence[Facts], dtype: DType) -> Range:
    return _add([x[0], _negative(x[1])], dtype)


def _mul(x: Sequence[Facts], _: DType) -> Range:
    """Corners; a zero times an infinity is NaN, so what is a number there is the zero times something finite."""
    a, b = x
    corners = [np.nan_to_num(p * q, nan=0.0, posinf=np.inf, neginf=-np.inf) for p in _ends(a) for q in _ends(b)]
    nan = a.holds_zero & b.infinite | b.holds_zero & a.infinite
    return _least(corners), _greatest(corners), np.asarray(nan)


def _mulz(x: Sequence[Facts], dtype: DType) -> Range:
    """A product that is 0 where a factor is; where one is NaN, 0 or NaN."""
    a, b = x
    low, high, _ = _mul(x, dtype)
    unsure = a.nan & b.holds_zero | b.nan & a.holds_zero
    return np.where(unsure, np.minimum(low, 0.0), low), np.where(unsure, np.maximum(high, 0.0), high), _mulz_nan(a, b)


def _mulz_nan(a: Facts, b: Facts) -> Flags:
    return np.asarray(a.nan & ~b.zero | b.nan & ~a.zero)


def _ends(a: Facts) -> tuple[Bounds, Bounds]:
    return a.low, a.high


def _div(x: Sequence[Facts], dtype: DType) -> Range:
    a, b = x
    if not dtype.is_float:
        return _whole_div(a, b)
    corners = [p / q for p in _ends(a) for q in _ends(b)]
    both = a.infinite & b.infinite
    unsure = (b.holds_zero | both) & ~(a.is_value(0) | (a.low == 0) & (a.high == 0) & ~both)
    nothing = (a.low == 0) & (a.high == 0)
    low = np.where(nothing, 0.0, np.where(unsure, -np.inf, _least(corners)))
    high = np.where(nothing, 0.0, np.where(unsure, np.inf, _greatest(corners)))
    return low, high, np.asarray(a.holds_zero & b.holds_zero | both)


def _whole_div(a: Facts, b: Facts) -> Range:
    """Division toward minus infinity; by zero it gives zero."""
    corners = [np.floor(p / q) for p in _ends(a) for q in _ends(b)]
    size = _greatest([np.abs(a.low), np.abs(a.high)])
    unsure = b.holds_zero
    return np.where(unsure, -size, _least(corners)), np.where(unsure, size, _greatest(corners)), _NO


def _mod(x: Sequence[Facts], dtype: DType) -> Range:
    """Exact for a known divisor over a stretch without a jump; else anything between 0 and the divisor."""
    a, b = x
    first, last = np.mod(a.low, b.low), np.mod(a.high, b.low)
    smooth = (b.low == b.high) & (b.low != 0) & np.isfinite(b.low) & (a.high - a.low < np.abs(b.low)) & (first <= last)
    low = np.where(smooth, first, np.minimum(b.low, 0.0))
    high = np.where(smooth, last, np.maximum(b.high, 0.0))
    return low, high, np.asarray(b.holds_zero | a.infinite)


def _abs(x: Sequence[Facts], _: DType) -> Range:
    (a,) = x
    sizes = [np.abs(a.low), np.abs(a.high)]
    return np.where(a.holds_zero, 0.0, _least(sizes)), _greatest(sizes), _NO


def _slack(ends: Bounds, exact: Flags) -> Bounds:
    """How far an approximation may be from these ends; nothing where the value is known exactly or infinite."""
    slack = np.abs(ends) * SLACK + TINY
    return np.where(exact | ~np.isfinite(ends), 0.0, slack)


LEAST = 2.0**-151
"""What is smaller rounds to zero in f32, however little the approximation is off."""


def _approximate(f: Callable[..., Any], floor: float = -np.inf) -> Rule:
    """Approximated functions that grow; exact at infinities."""

    def rule(x: Sequence[Facts], _: DType) -> Range:
        (a,) = x
        low, high = np.asarray(f(a.low)), np.asarray(f(a.high))
        low, high = (
            np.where(np.abs(value) < LEAST, 0.0, value + sign * _slack(value, np.isinf(end)))
            for value, end, sign in ((low, a.low, -1.0), (high, a.high, 1.0))
        )
        return np.maximum(low, floor), high, _NO

    return rule


def _log(x: Sequence[Facts], dtype: DType) -> Range:
    (a,) = x
    positive = Facts(np.maximum(a.low, 0.0), np.maximum(a.high, 0.0), a.nan, a.minus)
    low, high, _ = _approximate(TRANSCENDENTAL[ScalarOp.LOG])([positive], dtype)
    return low, high, np.asarray(a.low < 0)


def _sqrt(x: Sequence[Facts], _: DType) -> Range:
    (a,) = x
    return np.sqrt(np.maximum(a.low, 0.0)), np.sqrt(np.maximum(a.high, 0.0)), np.asarray(a.low < 0)


def _rsqrt(x: Sequence[Facts], _: DType) -> Range:
    """Falls from infinity; of -0 it is minus infinity."""
    (a,) = x
    f = TRANSCENDENTAL[ScalarOp.RSQRT]
    low, high = f(np.maximum(a.high, 0.0)), f(np.maximum(a.low, 0.0))
    low, high = np.maximum(low - _slack(low, np.isinf(a.high)), 0.0), high + _slack(high, np.isinf(a.low))
    unsure = (a.low < 0) | a.holds_zero & a.minus
    return np.where(unsure, -np.inf, low), np.where(unsure, np.inf, high), np.asarray(a.low < 0)


def _wave(x: Sequence[Facts], _: DType) -> Range:
    (a,) = x
    one = np.full(a.low.shape, 1 + SLACK)
    return -one, one, a.infinite


def _pow(x: Sequence[Facts], _: DType) -> Range:
    """A base that is positive, or a known even power; else nothing."""
    base, exponent = x
    even = (exponent.low == exponent.high) & (exponent.low > 0) & (np.mod(exponent.low, 2.0) == 0)
    size = _abs([base], DType.F32)
    low, high = np.where(even, size[0], base.low), np.where(even, size[1], base.high)
    corners = [np.power(p, q) for p in (low, high) for q in _ends(exponent)]
    least, greatest = _least(corners), _greatest(corners)
    known = (low > 0) & np.isfinite(high) & np.isfinite(exponent.low) & np.isfinite(exponent.high) | even
    least = np.where(known, np.maximum(least - _slack(least, _NO), 0.0), -np.inf)
    greatest = np.where(known, greatest + _slack(greatest, _NO), np.inf)
    return least, greatest, np.asarray(~known)


def _truth(surely: Any, never: Any, nan: Any = _NO) -> Range:
    return np.where(surely, 1.0, 0.0), np.where(never, 0.0, 1.0), np.asarray(nan)


def _any_nan(x: Sequence[Facts]) -> Flags:
    return np.asarray(np.logical_or.reduce(np.broadcast_arrays(*(a.nan for a in x))))


def _lt(x: Sequence[Facts], _: DType) -> Range:
    a, b = x
    return _truth((a.high < b.low) & ~_any_nan(x), a.low >= b.high)


def _le(x: Sequence[Facts], _: DType) -> Range:
    a, b = x
    return _truth((a.high <= b.low) & ~_any_nan(x), a.low > b.high)


def _same(x: Sequence[Facts]) -> Flags:
    a, b = x
    return np.asarray((a.low == a.high) & (b.low == b.high) & (a.low == b.low) & ~_any_nan(x))


def _apart(x: Sequence[Facts]) -> Flags:
    a, b = x
    return np.asarray((a.high < b.low) | (b.high < a.low))


def _bool(x: Sequence[Facts]) -> Range:
    """Whether a number is not zero; NaN is true."""
    (a,) = x
    return _truth(~a.holds_zero, a.zero)


def _cast(x: Sequence[Facts], dtype: DType) -> Range:
    (a,) = x
    if dtype is DType.BOOL:
        return _bool(x)
    if dtype.is_float:
        return a.low, a.high, _NO
    low, high = (np.trunc(end) for end in _ends(a))
    if dtype is DType.I32:  # into a narrower one floats saturate but integers wrap: then only what fits is sure
        low, high = (np.clip(end, SMALLEST[dtype], LARGEST[dtype]) for end in (low, high))
    return np.where(a.nan, np.minimum(low, 0.0), low), np.where(a.nan, np.maximum(high, 0.0), high), _NO


def _where(x: Sequence[Facts], _: DType) -> Range:
    """The side that is surely taken, or both."""
    condition, then, other = x
    yes, no = condition.low == 1, condition.high == 0
    low, high = np.minimum(then.low, other.low), np.maximum(then.high, other.high)
    return (
        np.where(yes, then.low, np.where(no, other.low, low)),
        np.where(yes, then.high, np.where(no, other.high, high)),
        np.asarray(then.nan & ~no | other.nan & ~yes),
    )


def _maybe(x: Sequence[Facts]) -> Flags:
    return np.asarray(True)


def _never(x: Sequence[Facts]) -> Flags:
    return _NO


def _any_minus(x: Sequence[Facts]) -> Flags:
    return np.asarray(np.logical_or.reduce(np.broadcast_arrays(*(a.minus for a in x))))


def _signed(x: Sequence[Facts]) -> Flags:
    """Zero with the sign of the operands: none without a negative one."""
    return np.asarray(_any_minus(x) | np.logical_or.reduce(np.broadcast_arrays(*(a.low < 0 for a in x))))


MINUS: dict[ScalarOp, Callable[[Sequence[Facts]], Flags]] = {
    ScalarOp.ADD: lambda x: np.asarray(x[0].minus & x[1].minus),
    ScalarOp.SUB: lambda x: x[0].minus,
    ScalarOp.MUL: _signed,
    ScalarOp.MULZ: _signed,
    ScalarOp.DIV: _signed,
    ScalarOp.CAST: _signed,
    ScalarOp.MIN: _any_minus,
    ScalarOp.MAX: _any_minus,
    ScalarOp.FLOOR: _any_minus,
    ScalarOp.CEIL: _signed,
    ScalarOp.ROUND: _signed,
    ScalarOp.SQRT: _any_minus,
    ScalarOp.ABS: _never,
    ScalarOp.EXP: _never,
    ScalarOp.SIGN: _never,
    ScalarOp.WHERE: lambda x: _any_minus(x[1:]),
}
"""When a zero result may be -0; operations that are missing may always give one."""

QUIET = COMPARISONS | {ScalarOp.WHERE, ScalarOp.MULZ, ScalarOp.AND, ScalarOp.OR, ScalarOp.NOT}
"""Operations that do not hand on every NaN of their operands; their rules say which."""

RULES: dict[ScalarOp, Rule] = {
    ScalarOp.CAST: _cast,
    ScalarOp.ADD: _add,
    ScalarOp.SUB: _sub,
    ScalarOp.MUL: _mul,
    ScalarOp.MULZ: _mulz,
    ScalarOp.DIV: _div,
    ScalarOp.MOD: _mod,
    ScalarOp.MIN: _rising(np.minimum),
    ScalarOp.MAX: _rising(np.maximum),
    ScalarOp.POW: _pow,
    ScalarOp.NEG: lambda x, _: (-x[0].high, -x[0].low, _NO),
    ScalarOp.ABS: _abs,
    ScalarOp.EXP: _approximate(TRANSCENDENTAL[ScalarOp.EXP], floor=0.0),
    ScalarOp.LOG: _log,
    ScalarOp.SQRT: _sqrt,
    ScalarOp.RSQRT: _rsqrt,
    ScalarOp.TANH: _approximate(TRANSCENDENTAL[ScalarOp.TANH]),
    ScalarOp.ERF: _approximate(TRANSCENDENTAL[ScalarOp.ERF]),
    ScalarOp.SIN: _wave,
    ScalarOp.COS: _wave,
    ScalarOp.FLOOR: _rising(np.floor),
    ScalarOp.CEIL: _rising(np.ceil),
    ScalarOp.ROUND: _rising(np.rint),
    ScalarOp.SIGN: _rising(np.sign),
    ScalarOp.LT: _lt,
    ScalarOp.LE: _le,
    ScalarOp.GT: lambda x, d: _lt([x[1], x[0]], d),
    ScalarOp.GE: lambda x, d: _le([x[1], x[0]], d),
    ScalarOp.EQ: lambda x, _: _truth(_same(x), _apart(x)),
    ScalarOp.NE: lambda x, _: _truth(_apart(x), _same(x)),
    ScalarOp.AND: _rising(np.minimum),
    ScalarOp.OR: _rising(np.maximum),
    ScalarOp.NOT: lambda x, _: (1.0 - x[0].high, 1.0 - x[0].low, _NO),
    ScalarOp.WHERE: _where,
}
