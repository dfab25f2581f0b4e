"""Intervals that hold whatever a correct device may compute.

An `Enclosure` pairs the reference value of each element with the smallest and the largest value that a device may hold
there. A device may differ in two ways only: sums and products of floats may be taken in any order, in f32; and the
functions in `TRANSCENDENTAL` may be up to `ULPS` units in the last place off. Every other step is exact, so without
these the three arrays agree; and rounding is monotone, so rounding the ends of an interval encloses what a device
rounds. Intervals ignore correlations: in `x - x` both operands vary independently (but `x != x` asks for NaN alone).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from compiler.numerics import DType, Expr, ScalarOp
from compiler.numerics.blocks import exponents_of, join, split
from compiler.numerics.dtypes import INTEGERS, integer_range
from compiler.numerics.evaluate import TRANSCENDENTAL, Array, apply, cast, constant
from runtime.reference.ranges import RANGES, Range

ULPS = 5.0
"""Distance in f32 units between a device's approximation (4 units off) and the true value, rounding included."""

TINY = 2.0**-126
"""The smallest normal f32; a device may flush an approximated result below it."""

_EXTREMES = {DType.BOOL: (0.0, 1.0)} | {
    dtype: (float(least), float(greatest)) for dtype in INTEGERS for least, greatest in [integer_range(dtype)]
}


@dataclass(frozen=True, slots=True)
class Enclosure:
    """The reference `value` (of its NumPy element type) and the ends of the interval, float64 arrays of its shape.

    An element is *exact* when both ends equal its value, or all three are NaN. An interval of `-inf` to `inf` may also
    hold NaN. `low is high` when every element is exact.
    """

    value: Array
    low: Array
    high: Array

    @property
    def all_exact(self) -> bool:
        return self.low is self.high

    @property
    def is_exact(self) -> Array:
        return np.asarray((self.low == self.high) | np.isnan(self.low) & np.isnan(self.high))

    @property
    def radius(self) -> Array:
        """Largest distance from the value to an end, per element: 0 where exact, infinite where nothing is known."""
        wide = self.value.astype(np.float64)
        with np.errstate(invalid="ignore"):
            distance = np.maximum(self.high - wide, wide - self.low)
        return np.where(self.is_exact, 0.0, np.where(np.isnan(distance), np.inf, distance))


def exact(value: Array) -> Enclosure:
    ends = value.astype(np.float64)
    return Enclosure(value, ends, ends)


def enclose(value: Array, low: Array, high: Array, dtype: DType, is_exact: Array) -> Enclosure:
    """Round the ends to `dtype`; where `is_exact` they become the value, where one is NaN nothing is known."""
    wide = value.astype(np.float64)
    low, high = round_ends(low, dtype), round_ends(high, dtype)
    bottom, top = _EXTREMES.get(dtype, (-np.inf, np.inf))
    lost = ~((low >= bottom) & (high <= top))
    low = np.where(is_exact, wide, np.where(lost, bottom, low))
    high = np.where(is_exact, wide, np.where(lost, top, high))
    found = Enclosure(value, low, high)
    return exact(value) if np.all(found.is_exact) else found


def round_ends(ends: Array, dtype: DType) -> Array:
    """The float64 `ends` as a device would round them to a float type; integers and bools stay."""
    if not dtype.is_float:
        return ends
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return cast(ends.astype(np.float32), dtype).astype(np.float64)


def enclose_expr(expr: Expr, operands: Sequence[Enclosure]) -> Enclosure:
    """Enclose `expr` of broadcastable operands."""
    values: list[Enclosure] = []
    for node in expr.nodes:
        if node.op is ScalarOp.ARG:
            values.append(operands[int(node.value)])
        elif node.op is ScalarOp.CONST:
            values.append(exact(constant(node)))
        else:
            values.append(_step(node.op, node.dtype, [values[arg] for arg in node.args]))
    return values[-1]


def _step(op: ScalarOp, dtype: DType, args: Sequence[Enclosure]) -> Enclosure:
    value = apply(op, dtype, [arg.value for arg in args])
    if op in TRANSCENDENTAL:
        return _approximate(op, dtype, value, args)
    if all(arg.all_exact for arg in args):
        return exact(value)
    if dtype.is_block:
        return _blocks(value, args[0], dtype.magnitude_bits)
    if op in (ScalarOp.EQ, ScalarOp.NE) and args[0] is args[1]:
        return _compared_with_itself(value, args[0])
    low, high = _range(op, dtype, args)
    is_exact = (
        _picked_exact(args) if op is ScalarOp.WHERE else np.logical_and.reduce([a.is_exact for a in _level(args)])
    )
    return enclose(value, low, high, dtype, is_exact)


def _blocks(value: Array, x: Enclosure, bits: int) -> Enclosure:
    """Round to blocks whose exponent may depend on what is not known: then every element may be a whole step off."""
    wide, low, high = (split(part.astype(np.float32).astype(np.float64)) for part in (value, x.low, x.high))
    size = np.maximum(np.abs(low), np.abs(high))
    crosses = (low <= 0) & (high >= 0)
    least = np.where(crosses, 0.0, np.minimum(np.abs(low), np.abs(high)))
    with np.errstate(all="ignore"):
        exponents = [exponents_of(part.astype(np.float32))[..., None] for part in (least, size)]
        step = np.ldexp(1.0, exponents[1] - 126 - bits)
        slack = np.where(exponents[0] == exponents[1], 0.0, step)
        ends = [_round_with(end, exponents[1], bits) for end in (low, high)]
        unsure = slack > 0
        low = np.where(unsure, low - slack, ends[0])
        high = np.where(unsure, high + slack, ends[1])
    lost = ~np.all(np.isfinite(split(x.low)) & np.isfinite(split(x.high)), axis=-1, keepdims=True)
    known = np.all(split(x.is_exact), axis=-1, keepdims=True)
    low = np.where(known, wide, np.where(lost, -np.inf, low))
    high = np.where(known, wide, np.where(lost, np.inf, high))
    return Enclosure(value, join(low, value.shape), join(high, value.shape))


def _round_with(ends: Array, exponents: Array, bits: int) -> Array:
    """The float64 `ends` rounded with known exponents, as `compiler.numerics.blocks` does."""
    steps = np.ldexp(1.0, exponents - 126 - bits)
    top = (1 << bits) - 1
    return np.asarray(np.clip(np.rint(ends / steps), -top, top) * steps)


def _compared_with_itself(value: Array, x: Enclosure) -> Enclosure:
    """Only NaN differs from itself, and it can hide only where nothing is known."""
    known = ~(np.isneginf(x.low) & np.isposinf(x.high))
    return enclose(value, np.zeros(value.shape), np.ones(value.shape), DType.BOOL, known)


def _range(op: ScalarOp, dtype: DType, args: Sequence[Enclosure]) -> Range:
    """The ends of the exact result over all operands in their intervals; NaN where nothing is known."""
    with np.errstate(all="ignore"):
        low, high = RANGES[op]([(arg.low, arg.high) for arg in args], dtype)
    if op is ScalarOp.WHERE or not dtype.is_float:
        return low, high
    levelled = _level(args)
    lost = np.logical_or.reduce([np.isneginf(arg.low) & np.isposinf(arg.high) for arg in levelled])
    if op is ScalarOp.MULZ:
        lost &= ~np.logical_or.reduce([(arg.low == 0) & (arg.high == 0) for arg in levelled])
    return np.where(lost, np.nan, low), np.where(lost, np.nan, high)


def _level(args: Sequence[Enclosure]) -> list[Enclosure]:
    """The arguments, broadcast to their common shape."""
    shape = np.broadcast_shapes(*(arg.value.shape for arg in args))
    return [Enclosure(*(np.broadcast_to(part, shape) for part in (a.value, a.low, a.high))) for a in args]


def _picked_exact(args: Sequence[Enclosure]) -> Array:
    condition, then, other = _level(args)
    return condition.is_exact & np.where(condition.value, then.is_exact, other.is_exact)


def _approximate(op: ScalarOp, dtype: DType, value: Array, args: Sequence[Enclosure]) -> Enclosure:
    """Widen the true range by what a device may be off; special values (NaN, results at infinity) stay exact."""
    low, high = _range(op, dtype, args)
    low, high = low - _slack(low), high + _slack(high)
    if op in (ScalarOp.EXP, ScalarOp.RSQRT):
        low = np.maximum(low, 0.0)
    levelled = _level(args)
    known = np.logical_and.reduce([arg.is_exact for arg in levelled])
    finite = np.logical_and.reduce([np.isfinite(arg.low) for arg in levelled])
    wide = value.astype(np.float64)
    pole = np.isinf(low) & (low == high)
    return enclose(value, low, high, dtype, known & (~finite | np.isnan(wide) | pole))


def _slack(ends: Array) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):
        unit = np.spacing(np.minimum(np.abs(ends), 2.0**127).astype(np.float32)).astype(np.float64)
    return np.where(np.isfinite(ends), ULPS * unit + np.where(np.abs(ends) < TINY, TINY, 0.0), 0.0)
