"""Ranges of scalar operations over intervals, in float64.

Each function takes the intervals of the operands and the element type of the result, and returns the smallest and the
largest exact result; NaN where it can say nothing. Ends are representable in the operands' types, so float64 holds sums
and products of them closely enough that rounding to f32 afterwards is right.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from compiler.numerics import DType, ScalarOp
from compiler.numerics.evaluate import TRANSCENDENTAL, Array, multiply_annihilating
from compiler.numerics.expr import COMPARISONS

Range: TypeAlias = tuple[Array, Array]
RangeOf: TypeAlias = Callable[[Sequence[Range], DType], Range]
Function: TypeAlias = Callable[..., Any]

REACH = 1e4
"""Beyond this argument nothing is promised about a device's sine and cosine but that they are at most 1."""


def _rising(f: Function) -> RangeOf:
    """Operations that grow with each operand."""
    return lambda x, _: (np.asarray(f(*(low for low, _ in x))), np.asarray(f(*(high for _, high in x))))


def _falling(f: Function) -> RangeOf:
    return lambda x, _: (np.asarray(f(x[0][1])), np.asarray(f(x[0][0])))


def _hull(candidates: Sequence[Array]) -> Range:
    return np.asarray(np.minimum.reduce(candidates)), np.asarray(np.maximum.reduce(candidates))


def _corners(f: Function, x: Range, y: Range) -> Range:
    return _hull(np.broadcast_arrays(*(np.asarray(f(a, b)) for a in x for b in y)))


def _holds_zero(x: Range) -> Array:
    return np.asarray((x[0] <= 0) & (x[1] >= 0))


def _nan_where(condition: Array, found: Range) -> Range:
    return np.where(condition, np.nan, found[0]), np.where(condition, np.nan, found[1])


def _sub(x: Sequence[Range], _: DType) -> Range:
    (a, b), (c, d) = x
    return a - d, b - c


def _mul(x: Sequence[Range], _: DType) -> Range:
    return _corners(np.multiply, x[0], x[1])


def _mulz(x: Sequence[Range], _: DType) -> Range:
    return _corners(multiply_annihilating, x[0], x[1])


def _div(x: Sequence[Range], dtype: DType) -> Range:
    low, high = _nan_where(_holds_zero(x[1]), _corners(np.divide, x[0], x[1]))
    return (np.floor(low), np.floor(high)) if dtype.is_integer else (low, high)


def _mod(x: Sequence[Range], _: DType) -> Range:
    """Exact for a divisor that is known, over a stretch without a jump; else anything between 0 and the divisor."""
    (low, high), (bottom, top) = x
    first, last = np.mod(low, bottom), np.mod(high, bottom)
    smooth = (bottom == top) & (high - low < np.abs(bottom)) & (first <= last)
    found = np.where(smooth, first, np.minimum(bottom, 0.0)), np.where(smooth, last, np.maximum(top, 0.0))
    return _nan_where(_holds_zero(x[1]) | ~np.isfinite(low) | ~np.isfinite(high), found)


def _abs(x: Sequence[Range], _: DType) -> Range:
    ((low, high),) = x
    nearest = np.minimum(np.abs(low), np.abs(high))
    return np.where(_holds_zero(x[0]), 0.0, nearest), np.maximum(np.abs(low), np.abs(high))


def _pow(x: Sequence[Range], _: DType) -> Range:
    """Corners where the base is positive; where it may be negative only known whole exponents of 0 or more."""
    base, (low, high) = x
    whole = (low == high) & (low >= 0) & (np.floor(low) == low) & np.isfinite(low)
    even = np.mod(low, 2.0) == 0
    rising = np.power(base[0], low), np.power(base[1], low)
    size = _abs([base], DType.F32)
    folded = np.power(size[0], low), np.power(size[1], low)
    corners = _corners(np.power, base, (low, high))
    powers = [np.where(even, f, r) for f, r in zip(folded, rising, strict=True)]
    found = tuple(np.where(whole, p, c) for p, c in zip(powers, corners, strict=True))
    exact = (base[0] == base[1]) & (low == high)
    return _nan_where(~whole & ~exact & (base[0] <= 0), (found[0], found[1]))


def _rsqrt(x: Sequence[Range], dtype: DType) -> Range:
    """Where the operand may be a zero of either sign the result may be infinite, of either sign."""
    ((low, high),) = x
    unsure = (low <= 0) & ((low < high) | (np.signbit(low) != np.signbit(high)))
    return _nan_where(unsure, _falling(TRANSCENDENTAL[ScalarOp.RSQRT])(x, dtype))


def _wave(f: Function) -> RangeOf:
    def wave(x: Sequence[Range], _: DType) -> Range:
        ((low, high),) = x
        middle, half = f(0.5 * low + 0.5 * high), 0.5 * (high - low)
        far = (np.abs(low) > REACH) | (np.abs(high) > REACH)
        found = np.where(far, -1.0, np.maximum(middle - half, -1.0)), np.where(far, 1.0, np.minimum(middle + half, 1.0))
        return _nan_where(np.isnan(middle) | np.isnan(half), found)

    return wave


def _less(x: Sequence[Range], *, strictly: bool) -> Range:
    (a, b), (c, d) = x
    surely = b < c if strictly else b <= c
    never = a >= d if strictly else a > d
    return np.where(surely, 1.0, 0.0), np.where(never, 0.0, 1.0)


def _equal(x: Sequence[Range]) -> Range:
    (a, b), (c, d) = x
    same = (a == b) & (c == d) & (a == c)
    return np.where(same, 1.0, 0.0), np.where((b < c) | (d < a), 0.0, 1.0)


def _not(x: Range) -> Range:
    return 1.0 - x[1], 1.0 - x[0]


def _cast(x: Sequence[Range], dtype: DType) -> Range:
    ((low, high),) = x
    if dtype is DType.I32:  # of narrower ones only what fits is known: integers wrap, floats saturate
        ends = [np.clip(np.nan_to_num(np.trunc(end), nan=np.nan), -(2.0**31), 2.0**31 - 1) for end in (low, high)]
        return ends[0], ends[1]
    if dtype.is_integer:
        return np.trunc(low), np.trunc(high)
    if dtype is DType.BOOL:
        return _not(_equal([x[0], (np.zeros(()), np.zeros(()))]))
    return low, high


def _where(x: Sequence[Range], _: DType) -> Range:
    """The branch that is surely taken, or both."""
    (no, yes), then, other = x
    found = [np.where(no == 1, t, np.where(yes == 0, o, f(t, o))) for f, t, o in zip(_ENDS, then, other, strict=True)]
    return found[0], found[1]


_ENDS: tuple[Function, Function] = (np.minimum, np.maximum)

_COMPARE: Mapping[ScalarOp, RangeOf] = {
    ScalarOp.LT: lambda x, _: _less(x, strictly=True),
    ScalarOp.LE: lambda x, _: _less(x, strictly=False),
    ScalarOp.GT: lambda x, _: _less([x[1], x[0]], strictly=True),
    ScalarOp.GE: lambda x, _: _less([x[1], x[0]], strictly=False),
    ScalarOp.EQ: lambda x, _: _equal(x),
    ScalarOp.NE: lambda x, _: _not(_equal(x)),
}
assert _COMPARE.keys() == COMPARISONS

RANGES: Mapping[ScalarOp, RangeOf] = {
    **_COMPARE,
    ScalarOp.CAST: _cast,
    ScalarOp.ADD: _rising(np.add),
    ScalarOp.SUB: _sub,
    ScalarOp.MUL: _mul,
    ScalarOp.MULZ: _mulz,
    ScalarOp.DIV: _div,
    ScalarOp.MOD: _mod,
    ScalarOp.MIN: _rising(np.minimum),
    ScalarOp.MAX: _rising(np.maximum),
    ScalarOp.POW: _pow,
    ScalarOp.NEG: _falling(np.negative),
    ScalarOp.ABS: _abs,
    ScalarOp.EXP: _rising(TRANSCENDENTAL[ScalarOp.EXP]),
    ScalarOp.LOG: _rising(TRANSCENDENTAL[ScalarOp.LOG]),
    ScalarOp.SQRT: _rising(np.sqrt),
    ScalarOp.RSQRT: _rsqrt,
    ScalarOp.TANH: _rising(TRANSCENDENTAL[ScalarOp.TANH]),
    ScalarOp.ERF: _rising(TRANSCENDENTAL[ScalarOp.ERF]),
    ScalarOp.SIN: _wave(np.sin),
    ScalarOp.COS: _wave(np.cos),
    ScalarOp.FLOOR: _rising(np.floor),
    ScalarOp.CEIL: _rising(np.ceil),
    ScalarOp.ROUND: _rising(np.rint),
    ScalarOp.SIGN: _rising(np.sign),
    ScalarOp.AND: _rising(np.minimum),
    ScalarOp.OR: _rising(np.maximum),
    ScalarOp.NOT: lambda x, _: _not(x[0]),
    ScalarOp.WHERE: _where,
}
"""The range of every operation with operands."""
