"""Sums of products: matrix products and their relatives become `Contract`, the rest a map and a reduction."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

from compiler.diagnostics import Label, Span
from compiler.frontend.context import Context
from compiler.frontend.elementwise import align, broadcast, common_type, permute, require
from compiler.frontend.packing import pack, reads_window, unpack
from compiler.frontend.reduction import Fold, drop, reduce
from compiler.frontend.values import Axis, Index, Operand, Tensor
from compiler.numerics import DType, ExprBuilder, ScalarOp
from compiler.numerics.dtypes import NUMBERS
from compiler.numerics.fidelity import Fidelity

_LETTERS = "abcdefghijlopqrstuvwxyz"


def matmul(ctx: Context, left: Operand, right: Operand, span: Span) -> Tensor:
    """`left @ right`: product of the last two axes, the leading ones broadcast; a vector is a row or a column.

    Raises E0302 when the inner extents differ or an operand has no axes.
    """
    a, b = left.value, right.value
    if not isinstance(a, Tensor) or not isinstance(b, Tensor) or a.rank == 0 or b.rank == 0:
        culprit = left if not isinstance(a, Tensor) or a.rank == 0 else right
        message = "`@` multiplies matrices, but an operand has no axes"
        raise ctx.error("E0302", message, Label(culprit.span, f"this is {culprit.value}"), helps=("write `*`",))
    common_type(ctx, "`@`", (left, right), span)
    require(ctx, "`@`", left, NUMBERS)
    if a.shape[-1] != b.shape[-2:][0]:
        raise ctx.error(
            "E0302",
            f"the inner extents of a matrix product differ: {a.shape[-1]} and {b.shape[-2:][0]}",
            Label(left.span, f"this is {a}: rows of {a.shape[-1]}"),
            Label(right.span, f"this is {b}: columns of {b.shape[-2:][0]}"),
        )
    return _matmul(ctx, Operand(a, left.span), Operand(b, right.span), span)


def _matmul(ctx: Context, left: Operand, right: Operand, span: Span) -> Tensor:
    a, b = left.value, right.value
    assert isinstance(a, Tensor)
    assert isinstance(b, Tensor)
    lead = max(a.rank, b.rank, 2) - 2
    batch = [_fresh(ctx, number) for number in range(lead)]
    m, n, k = (_fresh(ctx, lead + number) for number in range(3))
    x = _named(a, [*batch[max(0, lead - a.rank + 2) :], *((m, k) if a.rank > 1 else (k,))])
    y = _named(b, [*batch[max(0, lead - b.rank + 2) :], *((k, n) if b.rank > 1 else (k,))])
    x, y = _broadcast_batch(ctx, (x, left.span), (y, right.span), batch, span)
    product = sum_of_products(ctx, Fold.SUM, x, y, summed=[k], span=span)
    names = [*batch, *([m] if a.rank > 1 else []), *([n] if b.rank > 1 else [])]
    return _visible(ctx, product, names, span)


def reduce_product(
    ctx: Context, fold: Fold, left: Operand, right: Operand, *, summed: Sequence[Index], span: Span
) -> Tensor:
    """`sum(summed) left * right` or its mean; visible axes broadcast. Some factor has each index."""
    common_type(ctx, "`*`", (left, right), span)
    require(ctx, f"`{fold.value}` of a product", left, NUMBERS)
    broadcast(ctx, (left, right), span, "the factors do not broadcast")
    a, b = left.value, right.value
    assert isinstance(a, Tensor)
    assert isinstance(b, Tensor)
    rank = max(a.rank, b.rank)
    axes = [_fresh(ctx, number) for number in range(rank)]
    x, y = _named(a, axes[rank - a.rank :]), _named(b, axes[rank - b.rank :])
    x, y = _broadcast_batch(ctx, (x, left.span), (y, right.span), axes, span)
    return _visible(ctx, sum_of_products(ctx, fold, x, y, summed=summed, span=span), axes, span)


def sum_of_products(ctx: Context, fold: Fold, a: Tensor, b: Tensor, *, summed: Sequence[Index], span: Span) -> Tensor:
    """Combine products over `summed`; `a` and `b` have indices only. No product is rounded before it is added."""
    if fold is Fold.SUM and (plan := _best(ctx, a, b, summed)) is not None:
        packed = pack(ctx, a, b, summed, span) if reads_window(ctx, a, b) else None
        if packed is None:
            return _contract(ctx, plan, span)
        total = sum_of_products(ctx, fold, packed.a, packed.b, summed=[packed.k], span=span)
        return unpack(ctx, total, packed, span)
    wide = a.dtype.wide
    axes, ids = align(ctx, (a, b), span)
    inputs = list(dict.fromkeys(ids))
    expr = ExprBuilder()
    factors = [expr.arg(inputs.index(id), a.dtype) for id in ids]
    if wide is not a.dtype:
        factors = [expr.op(ScalarOp.CAST, wide, factor) for factor in factors]
    product = ctx.builder.map(expr.build(expr.op(ctx.multiplication(wide), wide, *factors)), inputs, ctx.span(span))
    return reduce(ctx, fold, Operand(ctx.tensor(product, axes), span), summed, span=span, result=a.dtype)


def _fresh(ctx: Context, number: int) -> Index:
    """An index that stands for visible axis `number`."""
    return Index(f"axis {number}", (ctx.rest_order, number), Span("<none>", 1, 1, 1, 1))


def _named(tensor: Tensor, names: Sequence[Index]) -> Tensor:
    """`tensor` with index `names[d]` for visible axis `d`."""
    return Tensor(tensor.id, tensor.type, tuple(a if isinstance(a, Index) else names[a] for a in tensor.axes))


def _visible(ctx: Context, tensor: Tensor, names: Sequence[Index], span: Span) -> Tensor:
    """The reverse of `_named`: the axes of `names` become visible again; those that were dropped come back as 1."""
    missing = [name for name in names if name not in tensor.axes]
    roles: list[Axis] = [names.index(a) if a in names else a for a in tensor.axes if isinstance(a, Index)]
    roles += [names.index(name) for name in missing]
    if not missing:
        return ctx.tensor(tensor.id, roles)
    shape = (*tensor.type.shape, *(1 for _ in missing))
    return ctx.tensor(ctx.builder.reshape(tensor.id, shape, ctx.span(span)), roles)


def _broadcast_batch(
    ctx: Context, left: tuple[Tensor, Span], right: tuple[Tensor, Span], batch: Sequence[Index], span: Span
) -> tuple[Tensor, Tensor]:
    """Drop the axes of extent 1 that are repeated along the other operand's; raises E0301 for others that differ."""
    (a, a_span), (b, b_span) = left, right
    for index in batch:
        if index not in a.axes or index not in b.axes or a.extent(index) == b.extent(index):
            continue
        if a.extent(index) == 1:
            a = drop(ctx, a, [index], span)
        elif b.extent(index) == 1:
            b = drop(ctx, b, [index], span)
        else:
            raise ctx.error(
                "E0301",
                f"the leading axes of a product do not broadcast: extents {a.extent(index)} and {b.extent(index)}",
                Label(b_span, "second factor"),
                Label(a_span, "first factor"),
            )
    return a, b


@dataclass(frozen=True, slots=True)
class _Plan:
    """A contraction in the form that `Contract` demands: the factors in order, and the roles of the last axes.

    `m` or `n` is None where that factor has no axis of its own; an axis of extent 1 then takes its place.
    """

    a: Tensor
    b: Tensor
    m: Index | None
    n: Index | None
    k: Index
    outer: tuple[Index, ...]
    cost: int
    """Elements that have to be transposed before or after."""


def _best(ctx: Context, a: Tensor, b: Tensor, summed: Sequence[Index]) -> _Plan | None:
    """The cheapest contraction, the first of equals; None when there is none."""
    shared = set(a.axes) & set(b.axes)
    own = (set(a.axes) | set(b.axes)) - shared
    if not own or not set(summed) <= shared or len(own | shared) > len(_LETTERS):
        return None
    return min(_plans(ctx, a, b, summed), key=lambda plan: plan.cost)


def _plans(ctx: Context, a: Tensor, b: Tensor, summed: Sequence[Index]) -> Iterator[_Plan]:
    for first, second in ((a, b), (b, a)):
        rows: list[Index | None] = [axis for axis in reversed(first.indices) if axis not in second.axes]
        columns: list[Index | None] = [axis for axis in reversed(second.indices) if axis not in first.axes]
        for k in sorted(summed, key=lambda axis: -first.axes.index(axis)):
            for m in rows or [None]:
                for n in columns or [None]:
                    yield _plan(ctx, (first, second), (m, n, k), summed)


def _plan(
    ctx: Context,
    factors: tuple[Tensor, Tensor],
    roles: tuple[Index | None, Index | None, Index],
    summed: Sequence[Index],
) -> _Plan:
    a, b = factors
    m, n, k = roles
    kept = sorted({axis for axis in (*a.indices, *b.indices) if axis not in summed}, key=ctx.key)
    outer = tuple(axis for axis in kept if axis not in (m, n))
    order = [*outer, *(axis for axis in (m, n) if axis is not None)]
    extents = dict(zip((*a.axes, *b.axes), (*a.type.shape, *b.type.shape), strict=True))
    cost = (0 if _fits(a, m, k) else a.type.size) + (0 if _fits(b, n, k) else b.type.size)
    cost += 0 if order == kept else prod(extents[axis] for axis in kept)
    return _Plan(a, b, m, n, k=k, outer=outer, cost=cost)


def _fits(tensor: Tensor, own: Index | None, k: Index) -> bool:
    """True when the last axes of `tensor` already are its own one and `k`, in either order."""
    return tensor.axes[-1] is k if own is None else set(tensor.axes[-2:]) == {own, k}


def _contract(ctx: Context, plan: _Plan, span: Span) -> Tensor:
    own = [axis for axis in (plan.m, plan.n) if axis is not None]
    letters = {plan.k: "k"} | {axis: "m" if axis is plan.m else "n" for axis in own}
    free = iter(_LETTERS)
    for axis in (*plan.outer, *plan.a.indices, *plan.b.indices):
        if axis not in letters:
            letters[axis] = next(free)
    a, a_letters = _factor(ctx, (plan.a, plan.m, "m"), plan.k, letters, span)
    b, b_letters = _factor(ctx, (plan.b, plan.n, "n"), plan.k, letters, span)
    out = "".join(letters[axis] for axis in plan.outer) + "mn"
    fidelity = Fidelity.HIFI4
    if ctx.fidelity is not None and plan.a.type.dtype is DType.BF16:
        fidelity, ctx.fidelity.met = ctx.fidelity.fidelity, True
    annihilates = ctx.annihilates and plan.a.type.dtype.is_float
    id = ctx.builder.contract(
        a_letters, b_letters, out, a, b, ctx.span(span), fidelity=fidelity, annihilates=annihilates
    )
    if len(own) < 2:
        used = letters.values()
        shape = [size for size, letter in zip(ctx.builder.type(id).shape, out, strict=True) if letter in used]
        id = ctx.builder.reshape(id, shape, ctx.span(span))
    return ctx.tensor(id, [*plan.outer, *own])


def _factor(
    ctx: Context, factor: tuple[Tensor, Index | None, str], k: Index, letters: dict[Index, str], span: Span
) -> tuple[int, str]:
    """One operand and its letters, with its own axis and `k` last; an absent own axis becomes one of extent 1."""
    tensor, own, letter = factor
    axes = list(tensor.indices)
    id = tensor.id
    if not _fits(tensor, own, k):
        axes = [*(axis for axis in axes if axis not in (own, k)), *([own] if own else []), k]
        id = permute(ctx, id, [tensor.axes.index(axis) for axis in axes], span)
    names = "".join(letters[axis] for axis in axes)
    if own is None:
        id = ctx.builder.reshape(id, (*ctx.builder.type(id).shape, 1), ctx.span(span))
        names += letter
    return id, names
