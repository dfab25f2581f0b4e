"""Arguments that are known at compile time: integers, extents and axes."""

from collections.abc import Sequence

from compiler.diagnostics import Label, Span
from compiler.frontend.context import Context
from compiler.frontend.shapes import counted_axes
from compiler.frontend.values import Number, Operand, Tensor

MAX_EXTENT = 2**31 - 1


def axis_of(ctx: Context, option: Operand, operand: Operand) -> int:
    """The number of a visible axis of `operand`; raises E0308."""
    assert isinstance(operand.value, Tensor)
    rank = operand.value.rank
    axis = integer(ctx, option, "an axis")
    if not -rank <= axis < rank:
        message = f"axis {axis} does not exist: the value has {counted_axes(rank)}"
        raise ctx.error("E0308", message, Label(option.span), Label(operand.span, f"this is {operand.value}"))
    return axis % rank


def axes_of(ctx: Context, options: Sequence[Operand], operand: Operand, span: Span) -> list[int]:
    """The numbers of distinct axes of `operand`; raises E0308."""
    axes = [axis_of(ctx, option, operand) for option in options]
    if len(set(axes)) < len(axes):
        raise ctx.error("E0308", "an axis is named twice", Label(span))
    return axes


def integer(ctx: Context, operand: Operand, what: str) -> int:
    """The value of an integer known at compile time; raises E0312."""
    value = operand.value
    if isinstance(value, Number) and isinstance(value.value, int) and not isinstance(value.value, bool):
        return value.value
    found = f"{value}, a tensor" if isinstance(value, Tensor) else f"{value}"
    message = f"{what} is an integer known at compile time"
    raise ctx.error("E0312", message, Label(operand.span, f"this is {found}"))


def extent_of(ctx: Context, operand: Operand) -> int:
    """A positive extent; raises E0312."""
    extent = integer(ctx, operand, "an extent")
    if not 1 <= extent <= MAX_EXTENT:
        message = f"an extent is {extent}, but must be between 1 and {MAX_EXTENT}"
        raise ctx.error("E0312", message, Label(operand.span))
    return extent


def tensor_operand(ctx: Context, name: str, operand: Operand) -> Operand:
    """`operand`, which must be a tensor; raises E0313."""
    if isinstance(operand.value, Number):
        message = f"`{name}` takes a tensor, but is given the number {operand.value}"
        raise ctx.error("E0313", message, Label(operand.span), helps=(f"give it a type: `f32({operand.value})`",))
    return operand
