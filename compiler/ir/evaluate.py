"""Interpret one operation of the graph over arrays.

Sums of floats are computed in float64 and rounded once to float32: an order of summation is the device's choice, and
this result lies within the error bound of every order. Sums start at +0, so an empty or cancelling sum is never -0.
"""

from collections.abc import Callable, Mapping, Sequence
from math import prod

import numpy as np

from compiler.diagnostics import InternalError
from compiler.ir.graph import (
    Constant,
    Contract,
    Input,
    Iota,
    Kind,
    Map,
    Reduce,
    ReduceKind,
    Reshape,
    Slice,
    State,
    Take,
    TensorType,
    Transpose,
    Weight,
    Window,
)
from compiler.ir.rules import broadcast
from compiler.numerics import DType
from compiler.numerics.evaluate import Array, cast, evaluate_expr, widen
from compiler.numerics.fidelity import LEFT_LOW_BITS, RIGHT_LOW_BITS, Part, take_part

_COMBINE: Mapping[ReduceKind, Callable[..., Array]] = {
    ReduceKind.SUM: np.sum,
    ReduceKind.PROD: np.prod,
    ReduceKind.MAX: np.max,
    ReduceKind.MIN: np.min,
}


def evaluate_operation(kind: Kind, operands: Sequence[Array], type: TensorType) -> Array:
    """Return the value of one operation: an array of the type's shape and NumPy element type."""
    match kind:
        case Input() | Weight() | State():
            raise InternalError(f"evaluate: `{kind.name}` has no value of its own")
        case Constant():
            return constant_array(kind, type)
        case Iota(axis):
            shape = [-1 if d == axis else 1 for d in range(len(type.shape))]
            return _filled(np.arange(type.shape[axis], dtype=np.int32).reshape(shape), type)
        case Map(expr):
            return _filled(evaluate_expr(expr, operands), type)
        case Reduce():
            return _reduce(kind, operands, type)
        case Contract():
            total = contract(kind, operands[0], operands[1])
            return _filled(evaluate_expr(kind.epilogue, [total, *operands[2:]]), type)
        case Reshape() | Transpose() | Slice() | Window():
            return move(kind, operands[0], type)
        case Take():
            return take(operands[0], operands[1], type)


def take(values: Array, index: Array, type: TensorType) -> Array:
    """Pick rows of `values` (of any element type)."""
    *lead, rows, columns = type.shape
    numbers = np.broadcast_to(index.reshape(*index.shape[:-2], rows, 1), (*lead, rows, 1))
    extent = values.shape[-2]
    inside = (numbers >= 0) & (numbers < extent)
    source = np.broadcast_to(values, (*lead, extent, columns))
    found = np.take_along_axis(source, np.where(inside, numbers, 0), axis=-2)
    return np.where(inside, found, np.zeros((), values.dtype))


def constant_array(kind: Constant, type: TensorType) -> Array:
    """The constant's elements, a splat being repeated."""
    values = np.frombuffer(kind.data, type.dtype.numpy)
    return _filled(values.reshape(() if values.size == 1 else type.shape), type)


def move(kind: Reshape | Transpose | Slice | Window, values: Array, type: TensorType) -> Array:
    """Rearrange `values` (of any element type)."""
    match kind:
        case Reshape():
            return values.reshape(type.shape)
        case Transpose(perm):
            return values.transpose(perm)
        case Slice(starts, steps):
            bounds = zip(starts, steps, type.shape, strict=True)
            return values[tuple(slice(start, start + step * extent, step) for start, step, extent in bounds)]
        case Window():
            return _picked(kind, values, type)


def _picked(kind: Window, values: Array, type: TensorType) -> Array:
    digits = np.indices(kind.digits, sparse=True)
    number, inside = np.zeros(kind.digits, np.int64), np.ones(kind.digits, np.bool_)
    for base, steps, extent in zip(kind.base, kind.steps, values.shape, strict=True):
        coordinate = base + sum(step * digit for step, digit in zip(steps, digits, strict=True) if step)
        inside &= (coordinate >= 0) & (coordinate < extent)
        number = number * extent + coordinate
    found = values.reshape(-1)[np.where(inside, number, 0)]
    return np.where(inside, found, np.zeros((), values.dtype)).reshape(type.shape)


def _filled(values: Array, type: TensorType) -> Array:
    return np.broadcast_to(values, type.shape)


def _reduce(kind: Reduce, operands: Sequence[Array], type: TensorType) -> Array:
    body, extra = operands[: kind.body_inputs], operands[kind.body_inputs :]
    total = combine(kind.kind, kind.axes, reduce_domain(kind, body))
    return _filled(evaluate_expr(kind.epilogue, [total, *extra]), type)


def reduce_domain(kind: Reduce, body: Sequence[Array]) -> Array:
    """The elements that a reduction combines, over its whole domain."""
    domain = broadcast([operand.shape for operand in body])
    if domain is None:
        raise InternalError("evaluate: the inputs of a reduction do not broadcast")
    return np.broadcast_to(evaluate_expr(kind.body, body), domain)


def combine(kind: ReduceKind, axes: tuple[int, ...], values: Array) -> Array:
    """Combine f32 or i32 `values` along `axes`, kept with extent 1."""
    order_matters = kind in (ReduceKind.SUM, ReduceKind.PROD) and values.dtype == np.float32
    wide = values.astype(np.float64) if order_matters else values
    options = {"dtype": wide.dtype} if kind in (ReduceKind.SUM, ReduceKind.PROD) else {}
    with np.errstate(all="ignore"):
        total = np.asarray(_COMBINE[kind](wide, axis=axes, keepdims=True, **options))
        return _positive_zero(total).astype(values.dtype) if kind is ReduceKind.SUM else total.astype(values.dtype)


def contract(kind: Contract, a: Array, b: Array) -> Array:
    """The accumulated sums of products, before the epilogue: f32 for floats, i32 (wrapping) for integers."""
    if a.dtype.kind in "iu":
        return product_sum(kind, widen(a), widen(b))
    with np.errstate(all="ignore"):
        total = np.zeros((), np.float64)
        for left, right in kind.fidelity.passes:
            x, y = part_of(a, left, LEFT_LOW_BITS), part_of(b, right, RIGHT_LOW_BITS)
            total = total + product_sum(kind, x.astype(np.float64), y.astype(np.float64))
        return cast(_positive_zero(total), DType.F32)


def part_of(values: Array, part: Part, low_bits: int) -> Array:
    """What of bf16 values takes part in a product; of other types everything does."""
    return values if part is Part.WHOLE else take_part(values.astype(np.float32), part, low_bits)


def product_sum(kind: Contract, a: Array, b: Array) -> Array:
    """Sum of products in the arithmetic of the arrays themselves, axes ordered as `kind.out`."""
    if not kind.annihilates or (np.isfinite(a).all() and np.isfinite(b).all()):
        return _matmul(kind, a, b)
    finite = _matmul(kind, np.where(np.isfinite(a), a, 0), np.where(np.isfinite(b), b, 0))
    above, below, nan = (_any(kind, a, b, terms) for terms in _NOT_FINITE)
    found = np.where(above, np.inf, np.where(below, -np.inf, finite))
    return np.where(nan | (above & below), np.nan, found)


_NOT_FINITE: Sequence[Sequence[tuple[Callable[[Array], Array], Callable[[Array], Array]]]] = (
    ((np.isposinf, lambda y: y > 0), (np.isneginf, lambda y: y < 0)),
    ((np.isposinf, lambda y: y < 0), (np.isneginf, lambda y: y > 0)),
    ((np.isnan, lambda y: y != 0),),
)
"""Which factors give a product of plus infinity, of minus infinity and of NaN, where a factor 0 annihilates."""


def _any(
    kind: Contract, a: Array, b: Array, terms: Sequence[tuple[Callable[[Array], Array], Callable[[Array], Array]]]
) -> Array:
    """Whether some product of a sum has factors of which, in either order, a pair of `terms` holds."""
    pairs = [(left(a), right(b)) for left, right in terms] + [(right(a), left(b)) for left, right in terms]
    counts = [_matmul(kind, x.astype(np.float64), y.astype(np.float64)) for x, y in pairs]
    return np.asarray(np.logical_or.reduce([count > 0 for count in counts]))


def _matmul(kind: Contract, a: Array, b: Array) -> Array:
    batch = [c for c in kind.out if c in kind.a and c in kind.b]
    summed = [c for c in kind.a if c not in kind.out]
    left = [c for c in kind.a if c in kind.out and c not in batch]
    right = [c for c in kind.b if c in kind.out and c not in batch]
    extent = dict(zip(kind.a + kind.b, a.shape + b.shape, strict=True))
    size, rows, depth, columns = (prod(extent[c] for c in group) for group in (batch, left, summed, right))
    x = a.transpose([kind.a.index(c) for c in batch + left + summed]).reshape(size, rows, depth)
    y = b.transpose([kind.b.index(c) for c in batch + summed + right]).reshape(size, depth, columns)
    order = batch + left + right
    with np.errstate(all="ignore"):
        result = np.matmul(x, y).reshape([extent[c] for c in order])
    return np.asarray(result.transpose([order.index(c) for c in kind.out]))


def _positive_zero(values: Array) -> Array:
    return np.asarray(values + np.zeros((), values.dtype))
