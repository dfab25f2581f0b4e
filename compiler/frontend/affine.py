"""Subscripts that are sums of multiples of indices, such as `2*p + r - 1`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from compiler.diagnostics import DiagnosticError, Label, Span
from compiler.frontend import ast
from compiler.frontend.context import Context
from compiler.frontend.values import Index

_SUMS = (ast.BinaryOperator.ADD, ast.BinaryOperator.SUB)
_OPERATORS = (*_SUMS, ast.BinaryOperator.MUL)


@dataclass(frozen=True, slots=True)
class Affine:
    """`constant + sum(factor * index)` over `terms`; no factor is 0 and no index stands twice."""

    constant: int
    terms: tuple[tuple[Index, int], ...] = ()

    @property
    def indices(self) -> tuple[Index, ...]:
        return tuple(index for index, _ in self.terms)

    def reach(self) -> tuple[int, int]:
        """Smallest and largest value; indices of unknown extent count as 0."""
        ends = [factor * ((index.extent or 1) - 1) for index, factor in self.terms]
        return self.constant + sum(min(end, 0) for end in ends), self.constant + sum(max(end, 0) for end in ends)

    def plus(self, other: "Affine", factor: int) -> "Affine":
        """`self + factor * other`."""
        terms = dict(self.terms)
        for index, value in other.terms:
            terms[index] = terms.get(index, 0) + factor * value
        return Affine(self.constant + factor * other.constant, tuple((i, f) for i, f in terms.items() if f))


def is_computed(node: ast.Item, indices: Mapping[str, Index]) -> bool:
    """Whether a subscript is an operator applied to an index outside of calls and other subscripts."""
    if not isinstance(node, ast.Binary | ast.Unary):
        return False
    inner = ast.walk(node, lambda part: not isinstance(part, ast.Call | ast.Subscript | ast.Reduction))
    return any(isinstance(part, ast.Name) and part.text in indices for part in inner)


def affine(
    node: ast.Expression, indices: Mapping[str, Index], number: Callable[[ast.Expression], int | None]
) -> Affine | None:
    """Read an expression; None when it is not affine. `number` evaluates what holds no index, None for a tensor."""
    match node:
        case ast.Name(text) if text in indices:
            return Affine(0, ((indices[text], 1),))
        case ast.Unary(ast.UnaryOperator.NEG, operand):
            inner = affine(operand, indices, number)
            return Affine(0).plus(inner, -1) if inner is not None else None
        case ast.Binary(op) if op in _OPERATORS:
            return _chain(node, indices, number)
    if any(isinstance(part, ast.Name) and part.text in indices for part in ast.walk(node)):
        return None
    value = number(node)
    return Affine(value) if value is not None else None


def _chain(
    node: ast.Binary, indices: Mapping[str, Index], number: Callable[[ast.Expression], int | None]
) -> Affine | None:
    """Operators from the left, in a loop: a chain may be long."""
    chain = [node]
    while isinstance(left := chain[-1].left, ast.Binary) and left.op in _OPERATORS:
        chain.append(left)
    total = affine(chain[-1].left, indices, number)
    for step in reversed(chain):
        right = affine(step.right, indices, number)
        if total is None or right is None:
            return None
        if step.op in _SUMS:
            total = total.plus(right, 1 if step.op is ast.BinaryOperator.ADD else -1)
        elif not right.terms:
            total = Affine(0).plus(total, right.constant)
        elif not total.terms:
            total = Affine(0).plus(right, total.constant)
        else:
            return None
    return total


def room(subscript: Affine, index: Index, extent: int) -> int:
    """How far `index` can run inside an axis of `extent`, the extents of the other indices being known."""
    low, high = subscript.reach()
    factor = dict(subscript.terms)[index]
    return (extent - 1 - high) // factor + 1 if factor > 0 else low // -factor + 1


def check_inside(ctx: Context, subscript: Affine, extent: int, span: Span) -> None:
    """Raise E0305 for an index of unknown extent, E0309 when the subscript leaves the axis."""
    for index in subscript.indices:
        if index.extent is None:
            notes = ("an index that stands only in sums runs as far as they allow, if all others are known",)
            message = f"nothing tells how far the index `{index.name}` runs"
            raise ctx.error("E0305", message, Label(span), Label(index.span, "introduced here"), notes=notes)
    low, high = subscript.reach()
    if low < 0 or high >= extent:
        raise outside(ctx, subscript, extent, span)


def outside(ctx: Context, subscript: Affine, extent: int, span: Span) -> DiagnosticError:
    """E0309 for a subscript that leaves an axis of `extent`."""
    low, high = subscript.reach()
    runs = ", ".join(f"`{index.name}` from 0 to {index.extent - 1}" for index in subscript.indices if index.extent)
    return ctx.error(
        "E0309",
        f"the subscript runs from {low} to {high}, out of range for an axis of extent {extent}",
        Label(span),
        notes=(f"here {runs}",) if runs else (),
        helps=("`pad(x, axis=..., before=..., after=...)` puts a border around a tensor",),
    )


def unbound(subscript: Affine) -> Sequence[Index]:
    """The indices whose extent is not known yet."""
    return [index for index in subscript.indices if index.extent is None]
