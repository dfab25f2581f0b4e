"""Elements chosen by the values of a tensor, without a branch.

Where the last axis is kept, whole rows are moved (`Take`): exact, whatever the elements. Elements along the last axis
are chosen by a product with a one-hot matrix, which is exact if all are finite, as are blocks of floats.
"""

from collections.abc import Sequence
from math import prod

from compiler.diagnostics import Label, Span
from compiler.frontend.context import Context
from compiler.frontend.contraction import reduce_product
from compiler.frontend.elementwise import convert, elementwise, permute, require
from compiler.frontend.reduction import Fold
from compiler.frontend.values import Axis, Index, Number, Operand, Tensor
from compiler.numerics import TILE, DType, ScalarOp
from compiler.numerics.dtypes import NUMBERS


def take_along(ctx: Context, base: Operand, index: Index, by: Operand, span: Span) -> Tensor:
    """`base` at the place `by` of the axis of `index`, which vanishes; 0 where `by` is out of range.

    Raises E0204 when `by` is not one i32 for each value of the indices, E0311 for a `base` of bools.
    """
    value, numbers = base.value, by.value
    assert isinstance(value, Tensor)
    assert isinstance(numbers, Tensor)
    if numbers.rank or numbers.dtype is not DType.I32:
        message = f"a subscript is an integer, a slice, an index or one i32, but this is {numbers}"
        helps = (
            ("`take(x, index, axis=...)` takes whole tensors of indices",) if numbers.rank else ("cast it: `i32(...)`",)
        )
        raise ctx.error("E0204", message, Label(by.span), helps=helps)
    require(ctx, "a subscript by a tensor", base, NUMBERS)
    if value.axes[-1] in (index, *numbers.axes) or value.dtype.is_block:
        return _product(ctx, base, index, by, span)
    between = value.axes[value.axes.index(index) + 1 : -1]
    if between and value.extent(between[-1]) % TILE == 0 and not set(between) & set(numbers.axes):
        return _take_matrices(ctx, value, index, numbers, span)
    return _take_rows(ctx, value, index, numbers, span)


def _product(ctx: Context, base: Operand, index: Index, by: Operand, span: Span) -> Tensor:
    value = base.value
    assert isinstance(value, Tensor)
    numbers = ctx.tensor(ctx.builder.iota((value.extent(index),), 0, ctx.span(span)), (index,))
    hit = elementwise(ctx, ScalarOp.EQ, [by, Operand(numbers, span)], span)
    one = convert(ctx, Operand(hit, span), value.dtype, span)
    return reduce_product(ctx, Fold.SUM, Operand(one, by.span), base, summed=[index], span=span)


def _take_rows(ctx: Context, value: Tensor, index: Index, numbers: Tensor, span: Span) -> Tensor:
    """Rows of matrices whose rows `index` counts; each number that is not one for each matrix has a row."""
    kept = [axis for axis in value.axes[:-1] if axis is not index]
    fresh = [axis for axis in numbers.axes if axis not in value.axes]
    row, repeated = fresh[-1:], fresh[:-1]
    source = permute(ctx, value.id, [value.axes.index(axis) for axis in (*kept, index, value.axes[-1])], span)
    matrix = value.extent(index), value.type.shape[-1]
    source = _shaped(ctx, source, (*(value.extent(axis) for axis in kept), *(1 for _ in repeated), *matrix), span)
    lead = [*kept, *repeated]
    held = [axis for axis in (*lead, *row) if axis in numbers.axes]
    picked = permute(ctx, numbers.id, [numbers.axes.index(axis) for axis in held], span)
    rows = numbers.extent(row[0]) if row else 1
    repeats = (numbers.extent(axis) if axis in numbers.axes else 1 for axis in lead)
    found = ctx.builder.take(source, _shaped(ctx, picked, (*repeats, 1, rows), span), rows, ctx.span(span))
    axes: list[Axis] = [*lead, *row, value.axes[-1]]
    if not row:
        shape = ctx.builder.type(found).shape
        found = _shaped(ctx, found, (*shape[:-2], shape[-1]), span)
    return ctx.tensor(found, axes)


def _take_matrices(ctx: Context, value: Tensor, index: Index, numbers: Tensor, span: Span) -> Tensor:
    """What `index` counts, all rows of it: the rows of all are counted as one axis, which changes no page."""
    at = value.axes.index(index)
    between = value.axes[at + 1 : -1]
    extents = [value.extent(axis) for axis in between]
    rows, all_rows = prod(extents), value.extent(index) * prod(extents)
    shape = (*value.type.shape[:at], all_rows, value.type.shape[-1])
    whole = Index("", index.order, span, reduced=True)
    joined = ctx.tensor(_shaped(ctx, value.id, shape, span), (*value.axes[:at], whole, value.axes[-1]))
    row = Index("", (ctx.next_order(), 0), span)
    places = _row_numbers(ctx, numbers, value.extent(index), row, rows, span)
    found = _take_rows(ctx, joined, whole, places, span)
    split = found.axes.index(row)
    shape = (*found.type.shape[:split], *extents, *found.type.shape[split + 1 :])
    axes = (*found.axes[:split], *between, *found.axes[split + 1 :])
    return ctx.tensor(_shaped(ctx, found.id, shape, span), axes)


def _row_numbers(ctx: Context, numbers: Tensor, extent: int, row: Index, rows: int, span: Span) -> Tensor:
    """The numbers of the `rows` rows of each thing that is picked; -1 where there is none."""

    def apply(op: ScalarOp, *operands: Tensor | int) -> Tensor:
        values = [Operand(Number(x) if isinstance(x, int) else x, span) for x in operands]
        found = elementwise(ctx, op, values, span)
        assert isinstance(found, Tensor)
        return found

    each = ctx.tensor(ctx.builder.iota((rows,), 0, ctx.span(span)), (row,))
    first = apply(ScalarOp.MUL, numbers, rows)
    inside = apply(ScalarOp.AND, apply(ScalarOp.GE, numbers, 0), apply(ScalarOp.LT, numbers, extent))
    return apply(ScalarOp.WHERE, inside, apply(ScalarOp.ADD, first, each), -1)


def _shaped(ctx: Context, id: int, shape: Sequence[int], span: Span) -> int:
    if ctx.builder.type(id).shape == tuple(shape):
        return id
    return ctx.builder.reshape(id, tuple(shape), ctx.span(span))
