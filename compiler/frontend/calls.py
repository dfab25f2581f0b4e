"""Calls of the functions that are built in."""

from collections.abc import Mapping, Sequence

from compiler.diagnostics import DiagnosticError, Label, Span
from compiler.frontend import ast
from compiler.frontend.catalog import DTYPES, ELEMENTWISE, PAIRWISE
from compiler.frontend.context import Context
from compiler.frontend.elementwise import convert, elementwise
from compiler.frontend.reduction import REDUCTIONS, reduce
from compiler.frontend.shapes import counted_axes, reshape, transpose
from compiler.frontend.values import Number, Operand, Tensor, Value

MAX_EXTENT = 2**31 - 1


def call_builtin(
    ctx: Context, name: str, operands: Sequence[Operand], options: Mapping[str, Sequence[Operand]], span: Span
) -> Value:
    """Apply the function `name`; `options` holds named arguments, a tuple as several operands."""
    if name in ELEMENTWISE:
        return elementwise(ctx, ELEMENTWISE[name], operands, span)
    if name in PAIRWISE and len(operands) == 2:
        return elementwise(ctx, PAIRWISE[name], operands, span)
    if name in DTYPES:
        return convert(ctx, operands[0], DTYPES[name], span)
    if name == "iota":
        extent = extent_of(ctx, operands[0])
        return ctx.tensor(ctx.builder.iota((extent,), 0, ctx.span(span)), (0,))
    first = tensor_operand(ctx, name, operands[0])
    rest = [integer(ctx, operand, "an axis" if name == "transpose" else "an extent") for operand in operands[1:]]
    if name == "transpose":
        return transpose(ctx, first, rest or None, span)
    if name == "reshape":
        return reshape(ctx, first, rest, span)
    return _reduce(ctx, name, first, options, span)


def _reduce(ctx: Context, name: str, operand: Operand, options: Mapping[str, Sequence[Operand]], span: Span) -> Tensor:
    value = operand.value
    assert isinstance(value, Tensor)
    axes = list(range(value.rank))
    if "axis" in options:
        axes = [_axis(ctx, option, operand) for option in options["axis"]]
    if len(set(axes)) < len(axes):
        raise ctx.error("E0308", "an axis is named twice", Label(span))
    keep = False
    for option in options.get("keepdims", ()):
        if not isinstance(option.value, Number) or not isinstance(option.value.value, bool):
            raise ctx.error("E0311", "`keepdims` is `true` or `false`", Label(option.span))
        keep = option.value.value
    return reduce(ctx, REDUCTIONS[name], operand, axes, span=span, keep=keep)


def _axis(ctx: Context, option: Operand, operand: Operand) -> int:
    assert isinstance(operand.value, Tensor)
    rank = operand.value.rank
    axis = integer(ctx, option, "an axis")
    if not -rank <= axis < rank:
        message = f"axis {axis} does not exist: the value has {counted_axes(rank)}"
        raise ctx.error("E0308", message, Label(option.span), Label(operand.span, f"this is {operand.value}"))
    return axis % rank


def tensor_operand(ctx: Context, name: str, operand: Operand) -> Operand:
    """`operand`, which must be a tensor; raises E0313."""
    if isinstance(operand.value, Number):
        message = f"`{name}` takes a tensor, but is given the number {operand.value}"
        raise ctx.error("E0313", message, Label(operand.span), helps=(f"give it a type: `f32({operand.value})`",))
    return operand


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


def misplaced(ctx: Context, node: ast.Tuple) -> DiagnosticError:
    """The error for a tuple outside of `axis=`."""
    helps = ("tuples name several axes: `sum(x, axis=(0, 1))`",)
    return ctx.error("E0311", "a tuple is no value", Label(node.span), helps=helps)
