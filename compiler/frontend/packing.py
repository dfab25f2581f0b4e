"""Sums of products of windows: several indices become one axis of a matrix.

A factor that is read through sums of indices is copied anyway, so it is copied into the form of a matrix: tiles are
then full, whatever the extents of the single indices (a convolution with a kernel of 3 x 3 sums over one axis, not over
two of 3).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import prod

from compiler.diagnostics import Span
from compiler.frontend.context import Context
from compiler.frontend.elementwise import permute
from compiler.frontend.values import Axis, Index, Tensor
from compiler.ir import Window


@dataclass(frozen=True, slots=True)
class Packed:
    """A product to sum over `k`; `groups` are the indices, with their extents, that the others of its indices stand
    for."""

    a: Tensor
    b: Tensor
    k: Index
    groups: dict[Index, tuple[tuple[Index, int], ...]]


def reads_window(ctx: Context, *factors: Tensor) -> bool:
    return any(isinstance(ctx.builder.kind(factor.id), Window) for factor in factors)


def pack(ctx: Context, a: Tensor, b: Tensor, summed: Sequence[Index], span: Span) -> Packed | None:
    """Pack the summed indices, and those next to each other in the result that only one factor has.

    None when there is nothing to pack.
    """
    inner = tuple(sorted(summed, key=ctx.key))
    kept = sorted({axis for axis in (*a.indices, *b.indices) if axis not in summed}, key=ctx.key)
    groups: dict[Index, tuple[Index, ...]] = {}
    for factor, other in ((a, b), (b, a)):
        runs = groupby(kept, lambda axis, f=factor, o=other: axis in f.axes and axis not in o.axes)  # type: ignore[misc]
        own = [tuple(run) for is_own, run in runs if is_own]
        if own and len(own[-1]) > 1:
            groups[_joined(own[-1])] = own[-1]
    if len(inner) < 2 and not groups:
        return None
    k = _joined(inner)
    packed = [_group(ctx, factor, groups | {k: inner}, span) for factor in (a, b)]
    extents = {axis: factor.extent(axis) for factor in (a, b) for axis in factor.indices}
    parts = {index: tuple((part, extents[part]) for part in group) for index, group in groups.items()}
    return Packed(packed[0], packed[1], k, parts)


def unpack(ctx: Context, tensor: Tensor, packed: Packed, span: Span) -> Tensor:
    """Give the result of the packed product its own axes again."""
    if not packed.groups:
        return tensor
    parts = [part for axis in tensor.indices for part in packed.groups.get(axis, ((axis, tensor.extent(axis)),))]
    id = ctx.builder.reshape(tensor.id, [extent for _, extent in parts], ctx.span(span))
    return ctx.tensor(id, [axis for axis, _ in parts])


def _joined(parts: tuple[Index, ...]) -> Index:
    return Index(",".join(part.name for part in parts), parts[0].order, parts[0].span, reduced=parts[0].reduced)


def _group(ctx: Context, factor: Tensor, groups: Mapping[Index, tuple[Index, ...]], span: Span) -> Tensor:
    """Put the axes of each group side by side, the groups last, and make one axis of each."""
    held = {index: parts for index, parts in groups.items() if parts[0] in factor.axes}
    inside = [part for parts in held.values() for part in parts]
    lead = [axis for axis in factor.indices if axis not in inside]
    id = permute(ctx, factor.id, [factor.axes.index(axis) for axis in (*lead, *inside)], span)
    shape = [factor.extent(axis) for axis in lead]
    shape += [prod(factor.extent(part) for part in parts) for parts in held.values()]
    axes: list[Axis] = [*lead, *held]
    return ctx.tensor(ctx.builder.reshape(id, shape, ctx.span(span)), axes)
