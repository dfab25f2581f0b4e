"""Elements chosen by the values of a tensor, as products with a one-hot matrix: no branch, exact if all is finite."""

from compiler.diagnostics import Label, Span
from compiler.frontend.context import Context
from compiler.frontend.contraction import reduce_product
from compiler.frontend.elementwise import convert, elementwise, require
from compiler.frontend.reduction import Fold
from compiler.frontend.values import Index, Operand, Tensor
from compiler.numerics import DType, ScalarOp
from compiler.numerics.dtypes import NUMBERS


def take_along(ctx: Context, base: Operand, index: Index, by: Operand, span: Span) -> Tensor:
    """`base` at the place `by` of the axis of `index`, which vanishes; 0 where `by` is out of range.

    Raises E0204 when `by` is not one i32 for each value of the indices, E0311 for a `base` of bools.
    """
    value = base.value
    assert isinstance(value, Tensor)
    assert isinstance(by.value, Tensor)
    if by.value.rank or by.value.dtype is not DType.I32:
        message = f"a subscript is an integer, a slice, an index or one i32, but this is {by.value}"
        helps = (
            ("`take(x, index, axis=...)` takes whole tensors of indices",)
            if by.value.rank
            else ("cast it: `i32(...)`",)
        )
        raise ctx.error("E0204", message, Label(by.span), helps=helps)
    require(ctx, "a subscript by a tensor", base, NUMBERS)
    numbers = ctx.tensor(ctx.builder.iota((value.extent(index),), 0, ctx.span(span)), (index,))
    hit = elementwise(ctx, ScalarOp.EQ, [by, Operand(numbers, span)], span)
    one = convert(ctx, Operand(hit, span), value.dtype, span)
    return reduce_product(ctx, Fold.SUM, Operand(one, by.span), base, summed=[index], span=span)
