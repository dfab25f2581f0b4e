"""Borders, joining and parting: arrangements that become windows."""

from collections.abc import Mapping, Sequence

from compiler.diagnostics import Label, Span
from compiler.frontend.context import Context
from compiler.frontend.elementwise import elementwise
from compiler.frontend.options import axes_of, axis_of, integer
from compiler.frontend.shapes import Bounds, Item, subscript
from compiler.frontend.taking import take_along
from compiler.frontend.values import Index, Number, Operand, Tensor, Value
from compiler.numerics import ScalarOp

Options = Mapping[str, Sequence[Operand]]


def numbered(ctx: Context, rank: int, axis: int, extent: int, span: Span) -> Tensor:
    """The numbers 0, 1, ... along visible `axis` of a value of `rank`; the other axes have extent 1."""
    shape = [extent if place == axis else 1 for place in range(rank)]
    return ctx.tensor(ctx.builder.iota(shape, axis, ctx.span(span)), range(rank))


def pad(ctx: Context, operand: Operand, options: Options, span: Span) -> Tensor:
    """Put `before` and `after` elements of `value` (0) around the axes `axis`; raises E0209, E0308 and E0312."""
    tensor = operand.value
    assert isinstance(tensor, Tensor)
    if "axis" not in options:
        raise ctx.error("E0209", "the call of `pad` lacks `axis`", Label(span))
    axes = axes_of(ctx, options["axis"], operand, span)
    before, after = (_numbers(ctx, options.get(name, ()), len(axes), 0, span) for name in ("before", "after"))
    if not any((*before, *after)):
        return tensor
    grown = {axis: tensor.shape[axis] + b + a for axis, b, a in zip(axes, before, after, strict=True)}
    starts = dict(zip(axes, before, strict=True))
    padded = moved(ctx, tensor, starts, grown, span)
    value: Value = Number(0)
    for given in options.get("value", ()):
        value = given.value
    if value == Number(0):
        return padded
    result: Value = padded
    for axis, start in starts.items():
        numbers = Operand(numbered(ctx, tensor.rank, axis, grown[axis], span), span)
        ends = (ScalarOp.GE, start), (ScalarOp.LT, start + tensor.shape[axis])
        for op, end in ends:
            inside = elementwise(ctx, op, [numbers, Operand(Number(end), span)], span)
            operands = [Operand(each, span) for each in (inside, result, value)]
            result = elementwise(ctx, ScalarOp.WHERE, operands, span)
    assert isinstance(result, Tensor)
    return result


def windows(ctx: Context, operand: Operand, options: Options, span: Span) -> Tensor:
    """All runs of `size` elements along the axes `axis`; the places inside of a run become new axes at the end.

    Runs begin `stride` elements apart, and their elements are `dilation` apart. Raises E0209, E0308, E0309 and E0312.
    """
    tensor = operand.value
    assert isinstance(tensor, Tensor)
    if "axis" not in options or "size" not in options:
        raise ctx.error("E0209", "the call of `windows` lacks `axis` or `size`", Label(span))
    axes = axes_of(ctx, options["axis"], operand, span)
    size, stride, dilation = (
        _numbers(ctx, options.get(name, ()), len(axes), 1, span) for name in ("size", "stride", "dilation")
    )
    count: dict[int, int] = {}
    for number, axis in enumerate(axes):
        reach = dilation[number] * (size[number] - 1) + 1
        if reach > tensor.shape[axis]:
            message = f"a run of {reach} elements does not fit into axis {axis} of extent {tensor.shape[axis]}"
            raise ctx.error("E0309", message, Label(span), Label(operand.span, f"this is {tensor}"))
        count[axis] = (tensor.shape[axis] - reach) // stride[number] + 1
    kept = [
        count[role] if isinstance(role, int) and role in count else extent
        for role, extent in zip(tensor.axes, tensor.type.shape, strict=True)
    ]
    steps = []
    for place, role in enumerate(tensor.axes):
        inside = [dilation[n] if role == axes[n] else 0 for n in range(len(axes))]
        along = stride[axes.index(role)] if isinstance(role, int) and role in axes else 1
        steps.append([*inside, *(along if place == d else 0 for d in range(len(kept)))])
    id = ctx.builder.window(tensor.id, [*size, *kept], [0] * len(kept), steps, ctx.span(span))
    return ctx.tensor(id, [*(tensor.rank + n for n in range(len(axes))), *tensor.axes])


def _numbers(ctx: Context, given: Sequence[Operand], count: int, least: int, span: Span) -> list[int]:
    """One number of at least `least` (the default) for each of `count` axes."""
    numbers = [integer(ctx, operand, "a number of elements") for operand in given] or [least]
    if any(number < least for number in numbers):
        raise ctx.error("E0312", f"a number of elements is below {least}", Label(given[0].span))
    if len(numbers) not in (1, count):
        message = f"{len(numbers)} numbers are given for {count} axes"
        raise ctx.error("E0209", message, Label(span), helps=("give one number for all axes, or one for each",))
    return numbers * (count if len(numbers) == 1 else 1)


def moved(ctx: Context, tensor: Tensor, starts: Mapping[int, int], extents: Mapping[int, int], span: Span) -> Tensor:
    """`tensor` moved by `starts` along visible axes inside zeros of other `extents`."""
    places = {tensor.axes.index(axis): axis for axis in starts}
    shape = [extents[places[n]] if n in places else extent for n, extent in enumerate(tensor.type.shape)]
    base = [-starts[places[n]] if n in places else 0 for n in range(len(shape))]
    steps = [[int(n == d) for d in range(len(shape))] for n in range(len(shape))]
    return ctx.tensor(ctx.builder.window(tensor.id, shape, base, steps, ctx.span(span)), tensor.axes)


def concat(ctx: Context, operands: Sequence[Operand], options: Options, span: Span) -> Tensor:
    """Join values along `axis` (the first); raises E0301 when their other extents differ, E0304 for mixed types."""
    first = operands[0].value
    assert isinstance(first, Tensor)
    axis = axis_of(ctx, options["axis"][0], operands[0]) if "axis" in options else 0
    tensors = [operand.value for operand in operands if isinstance(operand.value, Tensor)]
    for operand, tensor in zip(operands, tensors, strict=True):
        expected = [extent for n, extent in enumerate(first.shape) if n != axis]
        if tensor.rank != first.rank or [e for n, e in enumerate(tensor.shape) if n != axis] != expected:
            message = f"values joined along axis {axis} differ in another extent"
            labels = Label(operand.span, f"this is {tensor}"), Label(operands[0].span, f"this is {first}")
            raise ctx.error("E0301", message, *labels)
    if first.rank == 0:
        raise ctx.error("E0308", "`concat` joins along an axis, but the values have none", Label(span))
    return join(ctx, operands, axis, span)


def join(ctx: Context, operands: Sequence[Operand], axis: int, span: Span) -> Tensor:
    """Join values whose other extents agree, by halves: each element moves as often as the number of parts doubles."""
    tensors = [operand.value for operand in operands if isinstance(operand.value, Tensor)]
    if len(operands) == 1:
        return tensors[0]
    middle = len(operands) // 2
    halves = [join(ctx, part, axis, span) for part in (operands[:middle], operands[middle:])]
    start = halves[0].shape[axis]
    total = start + halves[1].shape[axis]
    first, second = (
        Operand(moved(ctx, half, {axis: place}, {axis: total}, span), span)
        for half, place in zip(halves, (0, start), strict=True)
    )
    numbers = Operand(numbered(ctx, halves[0].rank, axis, total, span), span)
    inside = elementwise(ctx, ScalarOp.LT, [numbers, Operand(Number(start), span)], span)
    joined = elementwise(ctx, ScalarOp.WHERE, [Operand(inside, span), first, second], span)
    assert isinstance(joined, Tensor)
    return joined


def split(ctx: Context, operand: Operand, parts: Operand, options: Options, span: Span) -> list[Operand]:
    """Cut `axis` (the first) into `parts` equal parts; raises E0310 when that is not possible."""
    tensor = operand.value
    assert isinstance(tensor, Tensor)
    axis = axis_of(ctx, options["axis"][0], operand) if "axis" in options else 0
    count = integer(ctx, parts, "a number of parts")
    if tensor.rank == 0 or count < 1 or tensor.shape[axis] % count:
        message = f"{tensor} is not cut into {count} equal parts along axis {axis}"
        raise ctx.error("E0310", message, Label(parts.span), Label(operand.span, f"this is {tensor}"))
    length = tensor.shape[axis] // count
    items = [[Item(Bounds(), span)] * axis + [Item(Bounds(n * length, (n + 1) * length), span)] for n in range(count)]
    return [Operand(subscript(ctx, operand, chosen, span), span) for chosen in items]


def take(ctx: Context, operand: Operand, by: Operand, options: Options, span: Span) -> Tensor:
    """The elements `by` of `axis` (the first), whose place the axes of `by` take; 0 where `by` is out of range."""
    tensor, chosen = operand.value, by.value
    assert isinstance(tensor, Tensor)
    if not isinstance(chosen, Tensor):
        raise ctx.error("E0313", f"`take` takes a tensor of i32, but is given the number {chosen}", Label(by.span))
    if tensor.rank == 0:
        raise ctx.error("E0308", "`take` picks along an axis, but the value has none", Label(operand.span))
    axis = axis_of(ctx, options["axis"][0], operand) if "axis" in options else 0
    fresh = [Index("", (ctx.next_order(), 0), span, extent=extent) for extent in chosen.shape]
    hidden = ctx.tensor(chosen.id, [a if isinstance(a, Index) else fresh[a] for a in chosen.axes])
    picked = Index("", (ctx.next_order(), 0), span, reduced=True)
    lower = [a if isinstance(a, Index) or a < axis else picked if a == axis else a - 1 for a in tensor.axes]
    base = Operand(ctx.tensor(tensor.id, lower), operand.span)
    found = take_along(ctx, base, picked, Operand(hidden, by.span), span)
    roles = [
        axis + fresh.index(a) if a in fresh else a + len(fresh) if isinstance(a, int) and a >= axis else a
        for a in found.axes
    ]
    return ctx.tensor(found.id, roles)
