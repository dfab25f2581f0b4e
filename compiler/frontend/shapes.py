"""Subscripts, permutations and reshapes: which element stands where."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TypeAlias

from compiler.diagnostics import DiagnosticError, Label, Span
from compiler.frontend.affine import Affine, check_inside, outside, room, unbound
from compiler.frontend.context import Context
from compiler.frontend.elementwise import permute
from compiler.frontend.values import Axis, Index, Operand, Tensor
from compiler.numerics.expr import identity


@dataclass(frozen=True, slots=True)
class Bounds:
    """`start : stop : step`, with None for what is left out."""

    start: int | None = None
    stop: int | None = None
    step: int | None = None


@dataclass(frozen=True, slots=True)
class Rest:
    """`...` in a subscript."""


Place: TypeAlias = Index | int | Bounds | Rest | Affine


@dataclass(frozen=True, slots=True)
class Item:
    """What stands between the brackets for one axis (or, `Rest`, for several)."""

    place: Place
    span: Span


def subscript(ctx: Context, base: Operand, items: Sequence[Item], span: Span) -> Tensor:
    """Select elements: an integer drops its axis, a range keeps it, an index turns it into an axis of that index.

    Raises E0303 for extents that disagree, E0305 for an index of unknown extent, E0309 for a place out of range, E0314
    for too many or too few items.
    """
    tensor = base.value
    assert isinstance(tensor, Tensor)
    full = complete(ctx, base, tensor, items)
    windows = [window(ctx, base, item, extent) for item, extent in zip(full, tensor.shape, strict=True)]
    if _needs_window(tensor, full):
        return _pick(ctx, tensor, full, windows, span)
    id = _slice(ctx, tensor, windows, span)
    fixed = [number for number, item in enumerate(full) if isinstance(item.place, int)]
    visible = [number for number, item in enumerate(full) if isinstance(item.place, Bounds)]
    axes: list[Axis] = []
    for axis in tensor.axes:
        place = axis if isinstance(axis, Index) else full[axis].place
        if isinstance(place, Index):
            axes.append(place)
        elif isinstance(axis, int) and axis in visible:
            axes.append(visible.index(axis))
    if fixed:
        shape = [n for n, axis in zip(ctx.builder.type(id).shape, tensor.axes, strict=True) if axis not in fixed]
        id = ctx.builder.reshape(id, shape, ctx.span(span))
    return ctx.tensor(id, axes)


def complete(ctx: Context, base: Operand, tensor: Tensor, items: Sequence[Item]) -> list[Item]:
    """One item per visible axis: `...`, or what is missing at the end, becomes whole axes."""
    rests = [number for number, item in enumerate(items) if isinstance(item.place, Rest)]
    given = len(items) - len(rests)
    indexed = any(isinstance(item.place, Index) and item.place.name for item in items)
    if given > tensor.rank or len(rests) > 1 or (given < tensor.rank and indexed and not rests):
        helps = ("write `...` for the axes that are not named",) if given < tensor.rank and not rests else ()
        message = f"{given} subscript{'' if given == 1 else 's'} for a value of {counted_axes(tensor.rank)}"
        place = Span(items[0].span.source, items[0].span.line, items[0].span.column, *_end(items[-1].span))
        raise ctx.error("E0314", message, Label(place), Label(base.span, f"this is {tensor}"), helps=helps)
    position = rests[0] if rests else len(items)
    whole = [Item(Bounds(), base.span)] * (tensor.rank - given)
    return [*items[:position], *whole, *items[position + len(rests) :]]


def counted_axes(rank: int) -> str:
    """`1 axis`, `2 axes`."""
    return f"{rank} ax{'is' if rank == 1 else 'es'}"


def _end(span: Span) -> tuple[int, int]:
    return span.end_line, span.end_column


def _needs_window(tensor: Tensor, items: Sequence[Item]) -> bool:
    """Whether a subscript is a sum, or an index stands twice, as in a diagonal."""
    indices = [*tensor.indices, *(item.place for item in items if isinstance(item.place, Index))]
    return any(isinstance(item.place, Affine) for item in items) or len(set(indices)) < len(indices)


def _pick(ctx: Context, tensor: Tensor, items: Sequence[Item], windows: Sequence[range], span: Span) -> Tensor:
    """The elements at affine places; axes that are going to be reduced come first, where that costs least."""
    places = [axis if isinstance(axis, Index) else items[axis].place for axis in tensor.axes]
    sums = [_as_affine(place) for place in places]
    indices = sorted({index for s in sums for index in s.indices}, key=lambda i: (not i.reduced, ctx.key(i)))
    visible = [number for number, item in enumerate(items) if isinstance(item.place, Bounds)]
    shape = [*(index.extent or 1 for index in indices), *(len(windows[number]) for number in visible)]
    base, steps = [], []
    for axis, s in zip(tensor.axes, sums, strict=True):
        terms = dict(s.terms)
        window = windows[axis] if isinstance(axis, int) and axis in visible else None
        base.append(window.start if window is not None else s.constant % tensor.extent(axis))
        row = [terms.get(index, 0) for index in indices]
        steps.append([*row, *(window.step if window is not None and axis == v else 0 for v in visible)])
    id = ctx.builder.window(tensor.id, shape, base, steps, ctx.span(span))
    return ctx.tensor(id, [*indices, *range(len(visible))])


def _as_affine(place: Place) -> Affine:
    """What `place` adds to a coordinate beside a range, which is added apart."""
    match place:
        case Affine():
            return place
        case Index():
            return Affine(0, ((place, 1),))
        case int(number):
            return Affine(number)
    return Affine(0)


def window(ctx: Context, base: Operand, item: Item, extent: int) -> range:
    """The elements of an axis that `item` selects."""
    match item.place:
        case Index():
            bind(ctx, item.place, extent, item.span)
            return range(extent)
        case int(number):
            if not -extent <= number < extent:
                raise _outside(ctx, base, item, f"element {number} is out of range for an axis of extent {extent}")
            return range(number % extent, number % extent + 1)
        case Bounds(start, stop, step):
            return _range(ctx, base, item, (start, stop, step), extent)
        case Rest():
            return range(extent)
        case Affine() as subscript:
            fit(ctx, subscript, extent, item.span)
            check_inside(ctx, subscript, extent, item.span)
            return range(extent)


def fit(ctx: Context, subscript: Affine, extent: int, span: Span) -> None:
    """Let the one index of unknown extent, if there is one, run as far as an axis of `extent` allows."""
    open_ = unbound(subscript)
    if len(open_) == 1:
        found = room(subscript, open_[0], extent)
        if found < 1:
            raise outside(ctx, subscript, extent, span)
        bind(ctx, open_[0], found, span)


def _range(
    ctx: Context, base: Operand, item: Item, bounds: tuple[int | None, int | None, int | None], extent: int
) -> range:
    start, stop, step = bounds
    if step is not None and step < 1:
        raise _outside(ctx, base, item, f"the step of a slice is {step}, but must be positive")
    first, last = (0 if start is None else start), (extent if stop is None else stop)
    if not (-extent <= first <= extent and -extent <= last <= extent):
        raise _outside(ctx, base, item, f"the slice {first}:{last} is out of range for an axis of extent {extent}")
    first, last = (value + extent if value < 0 else value for value in (first, last))
    if first >= last:
        raise _outside(ctx, base, item, f"the slice {first}:{last} is empty")
    return range(first, last, step or 1)


def _outside(ctx: Context, base: Operand, item: Item, message: str) -> DiagnosticError:
    return ctx.error("E0309", message, Label(item.span), Label(base.span, f"this is {base.value}"))


def _slice(ctx: Context, tensor: Tensor, windows: Sequence[range], span: Span) -> int:
    wanted = [range(tensor.extent(axis)) if isinstance(axis, Index) else windows[axis] for axis in tensor.axes]
    if all(window == range(extent) for window, extent in zip(wanted, tensor.type.shape, strict=True)):
        return tensor.id
    starts, stops, steps = zip(*((w.start, w.stop, w.step) for w in wanted), strict=True)
    return ctx.builder.slice(tensor.id, starts, stops, steps, ctx.span(span))


def bind(ctx: Context, index: Index, extent: int, span: Span) -> None:
    """Note that `index` subscripts an axis of `extent`; raises E0303 if another axis said otherwise."""
    if index.extent is None:
        index.extent, index.origin = extent, span
    elif index.extent != extent:
        assert index.origin is not None
        raise ctx.error(
            "E0303",
            f"the index `{index.name}` runs along axes of different extents: {index.extent} and {extent}",
            Label(span, f"this axis has extent {extent}"),
            Label(index.origin, f"this axis has extent {index.extent}"),
        )


def transpose(ctx: Context, operand: Operand, order: Sequence[int] | None, span: Span) -> Tensor:
    """Permute the visible axes, by default swap the last two; raises E0308 for what is no permutation."""
    tensor = operand.value
    assert isinstance(tensor, Tensor)
    rank = tensor.rank
    if order is None:
        if rank < 2:
            message = "a transpose swaps the last two axes, but there are fewer"
            raise ctx.error("E0308", message, Label(operand.span, f"this is {tensor}"))
        order = [*range(rank - 2), rank - 1, rank - 2]
    normal = [axis + rank if axis < 0 else axis for axis in order]
    if sorted(normal) != list(range(rank)):
        message = f"({', '.join(map(str, order))}) does not permute {rank} axes"
        raise ctx.error("E0308", message, Label(span), Label(operand.span, f"this is {tensor}"))
    return ctx.tensor(tensor.id, [axis if isinstance(axis, Index) else normal.index(axis) for axis in tensor.axes])


def reshape(ctx: Context, operand: Operand, shape: Sequence[int], span: Span) -> Tensor:
    """The same elements, in row-major order, in another visible shape; one extent may be -1. Raises E0310."""
    tensor = operand.value
    assert isinstance(tensor, Tensor)
    size = prod(tensor.shape)
    known = prod(extent for extent in shape if extent != -1)
    if shape.count(-1) == 1 and known > 0 and size % known == 0:
        shape = [size // known if extent == -1 else extent for extent in shape]
    if any(extent < 1 for extent in shape) or prod(shape) != size:
        message = f"{size} elements cannot be arranged as [{', '.join(map(str, shape))}]"
        raise ctx.error("E0310", message, Label(span), Label(operand.span, f"this is {tensor}"))
    lead = list(tensor.indices)
    id = permute(ctx, tensor.id, [tensor.axes.index(axis) for axis in (*lead, *range(tensor.rank))], span)
    full = [*(tensor.extent(axis) for axis in lead), *shape]
    return ctx.tensor(ctx.builder.reshape(id, full, ctx.span(span)), [*lead, *range(len(shape))])


def collect(ctx: Context, operand: Operand, targets: Sequence[Index | Rest], span: Span) -> Tensor:
    """The tensor that `name[targets] = value` defines: axes of indices become visible ones.

    Raises E0314 when the value has visible axes that the left side does not mention.
    """
    tensor = operand.value
    assert isinstance(tensor, Tensor)
    if tensor.rank and not any(isinstance(target, Rest) for target in targets):
        message = f"the right side has {counted_axes(tensor.rank)} that the left side does not name"
        helps = ("subscript the tensors on the right side, or write `...` for their axes on the left",)
        raise ctx.error("E0314", message, Label(operand.span, f"each element is {tensor}"), helps=helps)
    tensor = _spread(ctx, tensor, [target for target in targets if isinstance(target, Index)], span)
    numbers: dict[Axis, int] = {}
    for target in targets:
        for axis in range(tensor.rank) if isinstance(target, Rest) else (target,):
            numbers[axis] = len(numbers)
    return ctx.tensor(tensor.id, [numbers.get(axis, axis) for axis in tensor.axes])


def _spread(ctx: Context, tensor: Tensor, indices: Sequence[Index], span: Span) -> Tensor:
    """Repeat `tensor` along those of `indices` that it does not depend on."""
    missing = [index for index in indices if index not in tensor.axes]
    if not missing:
        return tensor
    extents = [index.extent or 1 for index in missing]
    thin = ctx.builder.reshape(tensor.id, (*(1 for _ in missing), *tensor.type.shape), ctx.span(span))
    shape = (*extents, *tensor.type.shape)
    id = ctx.builder.map(identity(tensor.dtype), (thin,), ctx.span(span), shape=shape)
    return ctx.tensor(id, (*missing, *tensor.axes))


def settle(ctx: Context, tensor: Tensor, span: Span) -> int:
    """The operation whose axes are the visible ones of `tensor`, in order."""
    return permute(ctx, tensor.id, [tensor.axes.index(axis) for axis in range(tensor.rank)], span)
