"""Enclosures of sums and products that a device may take in any order, in f32.

For n terms in any order the computed sum differs from the exact one by at most `gamma(n) * sum |term|` (N. Higham,
Accuracy and Stability of Numerical Algorithms, section 4.2); for a product the relative error is at most `gamma(n)`.
Whole numbers whose absolute values sum to less than 2**24 are exact in f32 in any order.
"""

import numpy as np

from compiler.ir import Contract, ReduceKind
from compiler.ir.evaluate import combine, contract, part_of, product_sum
from compiler.numerics import DType
from compiler.numerics.evaluate import Array
from compiler.numerics.fidelity import LEFT_LOW_BITS, RIGHT_LOW_BITS, Part, take_part
from runtime.reference.enclosure import TINY, Enclosure, enclose, exact

UNIT = 2.0**-24
"""Relative error of one rounding to f32."""

WHOLE = 2.0**24
"""Whole numbers below this are exact in f32."""

_LARGEST = float(np.finfo(np.float32).max)


def gamma(steps: int) -> float:
    """The relative error of `steps` roundings; infinite when the bound says nothing."""
    return steps * UNIT / (1 - steps * UNIT) if steps * UNIT < 0.5 else np.inf


def enclose_combine(kind: ReduceKind, axes: tuple[int, ...], x: Enclosure) -> Enclosure:
    """Enclose the combination of f32 or i32 elements along `axes`, kept with extent 1."""
    value = combine(kind, axes, x.value)
    if x.all_exact and (value.dtype == np.int32 or kind in (ReduceKind.MAX, ReduceKind.MIN)):
        return exact(value)
    if kind in (ReduceKind.MAX, ReduceKind.MIN):
        return _extreme(kind, axes, x, value)
    return (_sum if kind is ReduceKind.SUM else _product)(axes, x, value)


def _extreme(kind: ReduceKind, axes: tuple[int, ...], x: Enclosure, value: Array) -> Enclosure:
    low, high = combine(kind, axes, x.low), combine(kind, axes, x.high)
    lost = np.any(np.isneginf(x.low) & np.isposinf(x.high), axis=axes, keepdims=True)
    return enclose(value, np.where(lost, np.nan, low), high, _dtype(value), _all_exact(x, axes))


def _sum(axes: tuple[int, ...], x: Enclosure, value: Array) -> Enclosure:
    with np.errstate(all="ignore"):
        low, high = (np.sum(end, axis=axes, keepdims=True) for end in (x.low, x.high))
        size = np.sum(np.maximum(np.abs(x.low), np.abs(x.high)), axis=axes, keepdims=True)
        error = _sum_error(size, x.value.size // value.size, np.all(_is_whole(x), axis=axes, keepdims=True))
        finite = np.sum(_finite_part(x.value), axis=axes, keepdims=True)
        known = _all_exact(x, axes) & ((error == 0) | _surely_infinite(low, finite))
        return enclose(value, low - error, high + error, _dtype(value), known)


def _sum_error(size: Array, terms: int, whole: Array) -> Array:
    """Largest error of a sum whose terms have absolute values that sum to `size`; infinite when it may overflow."""
    error = np.where(size == 0, 0.0, gamma(terms + 1) * size + terms * 2.0**-149)
    error = np.where(size + error > _LARGEST, np.inf, error)
    return np.where(whole & (size < WHOLE), 0.0, error)


def _product(axes: tuple[int, ...], x: Enclosure, value: Array) -> Enclosure:
    """Bounds from the factors' sizes; nothing is known where partial products could leave the normal numbers."""

    def prod(factors: Array) -> Array:
        return np.asarray(np.prod(factors, axis=axes, keepdims=True))

    with np.errstate(all="ignore"):
        crosses = (x.low <= 0) & (x.high >= 0)
        small = np.where(crosses, 0.0, np.minimum(np.abs(x.low), np.abs(x.high)))
        large = np.maximum(np.abs(x.low), np.abs(x.high))
        whole = np.all(_is_whole(x), axis=axes, keepdims=True)
        reach, floor = prod(np.maximum(large, 1)), prod(np.minimum(small, 1))
        error = np.where(whole & (reach < WHOLE), 0.0, gamma(x.value.size // value.size + 1))
        near, far = prod(small) * (1 - error), prod(large) * (1 + error)
        sign = prod(np.where(crosses, 0.0, np.sign(x.low + x.high)))
        low = np.where(sign == 0, -far, np.minimum(sign * near, sign * far))
        high = np.where(sign == 0, far, np.maximum(sign * near, sign * far))
        unsafe = (reach * (1 + error) > _LARGEST) | ((floor < TINY) & (error > 0))
        known = _all_exact(x, axes) & ((error == 0) | ~np.isfinite(far))
        return enclose(value, np.where(unsafe, np.nan, low), high, _dtype(value), known)


def enclose_contract(kind: Contract, a: Enclosure, b: Enclosure) -> Enclosure:
    """Enclose the accumulated sums of products, before the epilogue."""
    value = contract(kind, a.value, b.value)
    same = a.all_exact and b.all_exact
    if same and value.dtype == np.int32:
        return exact(value)
    centre, size, spread = (np.zeros((), np.float64) for _ in range(3))
    with np.errstate(all="ignore"):
        for left, right in kind.fidelity.passes:
            part_a, part_b = _part(a, left, LEFT_LOW_BITS), _part(b, right, RIGHT_LOW_BITS)
            x, y = part_a.value.astype(np.float64), part_b.value.astype(np.float64)
            far_x, far_y = np.abs(x) + part_a.radius, np.abs(y) + part_b.radius
            centre = centre + product_sum(kind, x, y)
            size = size + product_sum(kind, far_x, far_y)
            if not same:
                spread = spread + product_sum(kind, far_x, part_b.radius) + product_sum(kind, part_a.radius, np.abs(y))
        terms = _terms(kind, a.value.shape) * len(kind.fidelity.passes)
        exactly = value.dtype == np.int32
        whole = np.asarray(np.all(_is_whole(a)) & np.all(_is_whole(b)))
        error = np.zeros(()) if exactly else _sum_error(size, terms, whole)
        finite = size
        if not np.isfinite(centre).all():
            finite = product_sum(kind, _finite_part(a.value), _finite_part(b.value))
        known = np.asarray(same) & ((error == 0) | _surely_infinite(centre, finite))
        return enclose(value, centre - spread - error, centre + spread + error, _dtype(value), known)


def _finite_part(values: Array) -> Array:
    """The absolute values, of what is not finite 0."""
    wide = values.astype(np.float64)
    return np.where(np.isfinite(wide), np.abs(wide), 0.0)


def _surely_infinite(total: Array, finite: Array) -> Array:
    """True for a sum that is NaN or infinite in any order of its terms.

    `finite` is the sum of the absolute values of those that are finite: if it may overflow, it can meet an infinity of
    the other sign.
    """
    return np.isnan(total) | (np.isinf(total) & (2 * finite <= _LARGEST))


def _part(x: Enclosure, part: Part, low_bits: int) -> Enclosure:
    """Enclose a part of a bf16 operand: the high part grows with the operand; of a low part only its size is known."""
    if part is Part.WHOLE:
        return x
    value = part_of(x.value, part, low_bits)
    if x.all_exact:
        return exact(value)
    if part is Part.HIGH:
        ends = (take_part(end.astype(np.float32), part, low_bits).astype(np.float64) for end in (x.low, x.high))
        return Enclosure(value, *ends)
    largest = np.maximum(np.abs(x.low), np.abs(x.high)) * 2.0 ** (low_bits - BF16_BITS)
    wide = value.astype(np.float64)
    return Enclosure(value, np.where(x.is_exact, wide, -largest), np.where(x.is_exact, wide, largest))


BF16_BITS = 7
"""Bits of the significand of bf16 after the hidden one."""


def _terms(kind: Contract, shape: tuple[int, ...]) -> int:
    """Products in one sum."""
    return int(np.prod([n for letter, n in zip(kind.a, shape, strict=True) if letter not in kind.out]))


def _all_exact(x: Enclosure, axes: tuple[int, ...]) -> Array:
    return np.asarray(np.all(x.is_exact, axis=axes, keepdims=True))


def _is_whole(x: Enclosure) -> Array:
    """True for the elements that are exact and, if finite, whole."""
    return np.asarray(x.is_exact & ((np.rint(x.low) == x.low) | ~np.isfinite(x.low)))


def _dtype(value: Array) -> DType:
    return DType.I32 if value.dtype == np.int32 else DType.F32
