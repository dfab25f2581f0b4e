"""Reductions along visible axes and along indices."""

from collections.abc import Collection, Sequence
from enum import Enum

from compiler.diagnostics import Label, Span
from compiler.frontend.context import Context
from compiler.frontend.elementwise import require
from compiler.frontend.values import Axis, Index, Operand, Tensor
from compiler.ir import Reduce, ReduceKind, TensorType
from compiler.numerics import DType, ExprBuilder, ScalarOp
from compiler.numerics.dtypes import FLOATS, NUMBERS


class Fold(Enum):
    """A reduction of the language; the value is its name."""

    SUM = "sum"
    PROD = "prod"
    MAX = "max"
    MIN = "min"
    MEAN = "mean"
    ANY = "any"
    ALL = "all"
    ARGMAX = "argmax"
    ARGMIN = "argmin"


_KINDS = {
    Fold.SUM: ReduceKind.SUM,
    Fold.MEAN: ReduceKind.SUM,
    Fold.PROD: ReduceKind.PROD,
    Fold.MAX: ReduceKind.MAX,
    Fold.ANY: ReduceKind.MAX,
}
_PLACES = {Fold.ARGMAX: Fold.MAX, Fold.ARGMIN: Fold.MIN}
_LOGICAL = (Fold.ANY, Fold.ALL)
REDUCTIONS = {fold.value: fold for fold in Fold}


def reduce(
    ctx: Context,
    fold: Fold,
    operand: Operand,
    axes: Collection[Axis],
    *,
    span: Span,
    keep: bool = False,
    result: DType | None = None,
) -> Tensor:
    """Combine a tensor along `axes`, accumulating in f32 or i32, and round once to `result` (default: its own type).

    The axes vanish from the value, unless `keep` leaves them with extent 1. Raises E0311 for a type that has no such
    reduction.
    """
    tensor = operand.value
    assert isinstance(tensor, Tensor)
    require(ctx, f"`{fold.value}`", operand, _allowed(fold))
    if fold in _PLACES:
        return _place(ctx, fold, operand, axes, span=span, keep=keep)
    if not axes:
        return tensor
    places = tuple(sorted(tensor.axes.index(axis) for axis in axes))
    if all(tensor.type.shape[place] == 1 for place in places):
        message = f"`{fold.value}` runs over a single element, and leaves it as it is"
        ctx.warn("W0302", message, Label(span), Label(operand.span, f"this is {tensor}"), helps=("leave it out",))
    reduced = _emit(ctx, fold, tensor, places, result or tensor.dtype, span)
    return reduced if keep else drop(ctx, reduced, axes, span)


def _allowed(fold: Fold) -> tuple[DType, ...]:
    if fold in _LOGICAL:
        return (DType.BOOL,)
    return FLOATS if fold is Fold.MEAN else NUMBERS


def _place(ctx: Context, fold: Fold, operand: Operand, axes: Collection[Axis], *, span: Span, keep: bool) -> Tensor:
    """Where along one axis the extreme stands first, as an i32; a NaN counts as extreme. Raises E0308."""
    tensor = operand.value
    assert isinstance(tensor, Tensor)
    if len(axes) != 1:
        message = f"`{fold.value}` runs along one axis, but is given {len(axes)}"
        raise ctx.error("E0308", message, Label(span), Label(operand.span, f"this is {tensor}"))
    place = tensor.axes.index(next(iter(axes)))
    extreme = _emit(ctx, _PLACES[fold], tensor, (place,), tensor.dtype, span)
    shape = [extent if n == place else 1 for n, extent in enumerate(tensor.type.shape)]
    numbers = ctx.builder.iota(shape, place, ctx.span(span))
    expr = ExprBuilder()
    element, best, number = expr.arg(0, tensor.dtype), expr.arg(1, tensor.dtype), expr.arg(2, DType.I32)
    hit = expr.op(ScalarOp.EQ, DType.BOOL, element, best)
    if tensor.dtype.is_float:
        hit = expr.op(ScalarOp.OR, DType.BOOL, hit, expr.op(ScalarOp.NE, DType.BOOL, element, element))
    chosen = expr.op(ScalarOp.WHERE, DType.I32, hit, number, expr.const(shape[place], DType.I32))
    places = ctx.builder.map(expr.build(chosen), (tensor.id, extreme.id, numbers), ctx.span(span))
    first = _emit(ctx, Fold.MIN, ctx.tensor(places, tensor.axes), (place,), DType.I32, span)
    return first if keep else drop(ctx, first, axes, span)


def _emit(ctx: Context, fold: Fold, tensor: Tensor, places: tuple[int, ...], result: DType, span: Span) -> Tensor:
    wide = DType.F32 if tensor.dtype.is_float else DType.I32
    body = ExprBuilder()
    element = body.arg(0, tensor.dtype)
    finish = ExprBuilder()
    total = finish.arg(0, wide)
    count = 1
    shape = list(tensor.type.shape)
    for place in places:
        count *= shape[place]
        shape[place] = 1
    if fold is Fold.MEAN:
        total = finish.op(ScalarOp.DIV, wide, total, finish.const(float(count), wide))
    kind = Reduce(
        _KINDS.get(fold, ReduceKind.MIN),
        places,
        body.build(element if tensor.dtype is wide else body.op(ScalarOp.CAST, wide, element)),
        finish.build(total if result is wide else finish.op(ScalarOp.CAST, result, total)),
    )
    id = ctx.builder.add(kind, (tensor.id,), TensorType(tuple(shape), result), ctx.span(span))
    return ctx.tensor(id, tensor.axes)


def drop(ctx: Context, tensor: Tensor, axes: Collection[Axis], span: Span) -> Tensor:
    """Remove `axes`, whose extents are 1; the visible axes behind them move up."""
    kept = [axis for axis in tensor.axes if axis not in axes]
    shape = [tensor.extent(axis) for axis in kept]
    numbers = sorted(axis for axis in kept if isinstance(axis, int))
    roles = [axis if isinstance(axis, Index) else numbers.index(axis) for axis in kept]
    return ctx.tensor(ctx.builder.reshape(tensor.id, shape, ctx.span(span)), roles)


def check_indices(ctx: Context, indices: Sequence[Index], axes: Collection[Axis], where: str) -> None:
    """Raise E0305 for the first of `indices` that is not among the `axes` of the value that runs over it."""
    for index in indices:
        if index not in axes:
            raise ctx.error(
                "E0305",
                f"nothing tells how far the index `{index.name}` runs",
                Label(index.span, "introduced here"),
                notes=(f"an index runs along the axes that are subscripted with it {where}",),
            )
