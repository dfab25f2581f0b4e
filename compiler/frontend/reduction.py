"""Reductions along visible axes and along indices."""

from collections.abc import Collection, Sequence
from enum import Enum

from compiler.diagnostics import Label, Span
from compiler.frontend.context import Context
from compiler.frontend.elementwise import require
from compiler.frontend.values import Axis, Index, Operand, Tensor
from compiler.ir import Reduce, ReduceKind, TensorType
from compiler.numerics import DType, ExprBuilder, ScalarOp


class Fold(Enum):
    """A reduction of the language; the value is its name."""

    SUM = "sum"
    PROD = "prod"
    MAX = "max"
    MIN = "min"
    MEAN = "mean"


_KINDS = {Fold.SUM: ReduceKind.SUM, Fold.MEAN: ReduceKind.SUM, Fold.PROD: ReduceKind.PROD, Fold.MAX: ReduceKind.MAX}
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
    allowed = (DType.F32, DType.BF16) if fold is Fold.MEAN else (DType.F32, DType.BF16, DType.I32)
    require(ctx, f"`{fold.value}`", operand, allowed)
    if not axes:
        return tensor
    places = tuple(sorted(tensor.axes.index(axis) for axis in axes))
    reduced = _emit(ctx, fold, tensor, places, result or tensor.dtype, span)
    return reduced if keep else drop(ctx, reduced, axes, span)


def _emit(ctx: Context, fold: Fold, tensor: Tensor, places: tuple[int, ...], result: DType, span: Span) -> Tensor:
    wide = DType.I32 if tensor.dtype is DType.I32 else DType.F32
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
