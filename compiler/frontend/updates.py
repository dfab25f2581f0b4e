"""`target[places] = value`: the same tensor but for the elements at some places, known now or at run time."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from compiler.diagnostics import DiagnosticError, Label, Span
from compiler.frontend.arranging import moved, numbered
from compiler.frontend.context import Context
from compiler.frontend.elementwise import elementwise, permute
from compiler.frontend.shapes import Bounds, Item, complete, window
from compiler.frontend.values import Index, Number, Operand, Tensor, Value
from compiler.ir import TensorType
from compiler.numerics import DType, ScalarOp


def update(
    ctx: Context,
    old: Operand,
    items: Sequence[Item],
    chosen: Mapping[Index, Operand],
    *,
    evaluate: Callable[[], Operand],
    span: Span,
) -> Value:
    """The tensor `old` in which what `items` select is replaced by `evaluate()`, broadcast to that.

    `chosen` are the places of those indices among `items` that stand for one element, known at run time only; one out
    of range changes nothing. The other indices run along their axes. Raises E0204 for a place that is no i32, E0301,
    E0304, E0309 and E0314.
    """
    tensor = old.value
    assert isinstance(tensor, Tensor)
    full = complete(ctx, old, tensor, items)
    ranges = [window(ctx, old, item, extent) for item, extent in zip(full, tensor.shape, strict=True)]
    for item, chosen_range in zip(full, ranges, strict=True):
        if chosen_range.step != 1:
            helps = ("write all elements with an index: `y[i] = where(i % 2 == 0, ..., y[i])`",)
            raise ctx.error("E0309", "only neighbors are assigned together", Label(item.span), helps=helps)
    value = evaluate()
    if isinstance(value.value, Tensor):
        value = Operand(_arranged(ctx, value, full, ranges, tensor), value.span)
    here = _here(ctx, full, ranges, chosen, tensor, span)
    return elementwise(ctx, ScalarOp.WHERE, [Operand(here, span), value, old], span)


def _here(
    ctx: Context,
    items: Sequence[Item],
    ranges: Sequence[range],
    chosen: Mapping[Index, Operand],
    tensor: Tensor,
    span: Span,
) -> Value:
    """Where `tensor` is replaced: true at the selected places, with an extent of 1 along whole axes."""
    here: Value | None = None
    for axis, (item, extent) in enumerate(zip(items, tensor.shape, strict=True)):
        by = chosen.get(item.place) if isinstance(item.place, Index) else None
        for op, end in [(ScalarOp.EQ, _place(ctx, by))] if by is not None else _ends(ranges[axis], extent, item.span):
            numbers = Operand(numbered(ctx, tensor.rank, axis, extent, item.span), item.span)
            inside = elementwise(ctx, op, [numbers, end], item.span)
            both = [Operand(value, span) for value in (here, inside) if value is not None]
            here = elementwise(ctx, ScalarOp.AND, both, span) if here is not None else inside
    if here is not None:
        return here
    return elementwise(
        ctx, ScalarOp.GE, [Operand(numbered(ctx, tensor.rank, 0, tensor.shape[0], span), span), _number(0, span)], span
    )


def _ends(chosen: range, extent: int, span: Span) -> Iterator[tuple[ScalarOp, Operand]]:
    """The comparisons that hold for the numbers of `chosen` among those below `extent`."""
    if len(chosen) == 1 < extent:
        yield ScalarOp.EQ, _number(chosen.start, span)
        return
    if chosen.start > 0:
        yield ScalarOp.GE, _number(chosen.start, span)
    if chosen.stop < extent:
        yield ScalarOp.LT, _number(chosen.stop, span)


def _number(value: int, span: Span) -> Operand:
    return Operand(Number(value), span)


def _place(ctx: Context, by: Operand) -> Operand:
    if isinstance(by.value, Tensor) and not by.value.rank and by.value.dtype is DType.I32:
        return by
    message = f"a place to assign to is an integer, a slice, a new index or one i32, but this is {by.value}"
    scalar = isinstance(by.value, Tensor) and not by.value.rank
    helps = ("cast it: `i32(...)`",) if scalar else ("if it is meant as an index, choose a name that has no value",)
    raise ctx.error("E0204", message, Label(by.span), helps=helps)


def _arranged(ctx: Context, value: Operand, items: Sequence[Item], ranges: Sequence[range], old: Tensor) -> Tensor:
    """`value` with the axes of `old`, extents of 1 where it has none; along a slice it stands where that does."""
    tensor = value.value
    assert isinstance(tensor, Tensor)
    kept = [axis for axis, item in enumerate(items) if isinstance(item.place, Bounds)]
    wanted = [len(ranges[axis]) for axis in kept]
    fits = zip(reversed(tensor.shape), reversed(wanted), strict=False)
    if tensor.dtype is not old.dtype or tensor.rank > len(kept) or any(own not in (1, extent) for own, extent in fits):
        raise _misfit(ctx, value, TensorType(tuple(wanted), old.dtype))
    kept = kept[len(kept) - tensor.rank :]
    named = {item.place: axis for axis, item in enumerate(items) if isinstance(item.place, Index)}
    roles = [named[axis] if isinstance(axis, Index) else kept[axis] for axis in tensor.axes]
    id = permute(ctx, tensor.id, sorted(range(len(roles)), key=roles.__getitem__), value.span)
    shape = [1] * old.rank
    for role, extent in zip(roles, tensor.type.shape, strict=True):
        shape[role] = extent
    if len(roles) < old.rank:
        id = ctx.builder.reshape(id, shape, ctx.span(value.span))
    spread = ctx.tensor(id, range(old.rank))
    starts = {axis: ranges[axis].start for axis in kept if 1 < shape[axis] < old.shape[axis]}
    extents = {axis: old.shape[axis] for axis in starts}
    return moved(ctx, spread, starts, extents, value.span) if starts else spread


def _misfit(ctx: Context, value: Operand, wanted: TensorType) -> DiagnosticError:
    assert isinstance(value.value, Tensor)
    if value.value.dtype is not wanted.dtype:
        message = f"{value.value} is assigned to elements of {wanted.dtype.value}"
        helps = (f"cast it: `{wanted.dtype.value}(...)`",)
        return ctx.error("E0304", message, Label(value.span, f"this is {value.value}"), helps=helps)
    message = f"{value.value} does not broadcast to {wanted}, what is assigned to"
    return ctx.error("E0301", message, Label(value.span, f"this is {value.value}"))
