"""Calls of the functions that are built in."""

from collections.abc import Mapping, Sequence

from compiler.diagnostics import DiagnosticError, Label, Span
from compiler.frontend import ast
from compiler.frontend.arranging import concat, pad, take, windows
from compiler.frontend.catalog import DTYPES, ELEMENTWISE, PAIRWISE
from compiler.frontend.context import Context
from compiler.frontend.elementwise import convert, elementwise
from compiler.frontend.options import axes_of, extent_of, integer, tensor_operand
from compiler.frontend.reduction import REDUCTIONS, reduce
from compiler.frontend.shapes import reshape, transpose
from compiler.frontend.values import Number, Operand, Tensor, Value


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
    if name == "pad":
        return pad(ctx, first, options, span)
    if name == "windows":
        return windows(ctx, first, options, span)
    if name == "take":
        return take(ctx, first, operands[1], options, span)
    if name == "concat":
        return concat(ctx, [tensor_operand(ctx, name, operand) for operand in operands], options, span)
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
        axes = axes_of(ctx, options["axis"], operand, span)
    keep = False
    for option in options.get("keepdims", ()):
        if not isinstance(option.value, Number) or not isinstance(option.value.value, bool):
            raise ctx.error("E0311", "`keepdims` is `true` or `false`", Label(option.span))
        keep = option.value.value
    return reduce(ctx, REDUCTIONS[name], operand, axes, span=span, keep=keep)


def misplaced(ctx: Context, node: ast.Tuple) -> DiagnosticError:
    """The error for a tuple outside of `axis=`."""
    helps = ("tuples name several axes: `sum(x, axis=(0, 1))`",)
    return ctx.error("E0311", "a tuple is no value", Label(node.span), helps=helps)
