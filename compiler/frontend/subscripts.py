"""Subscripts of an expression: what each item stands for, and how far indices run."""

from collections.abc import Callable, Iterator, Sequence

from compiler.diagnostics import Span
from compiler.frontend import ast
from compiler.frontend.affine import Affine, affine, is_computed, room, unbound
from compiler.frontend.context import Context
from compiler.frontend.frames import Frame
from compiler.frontend.options import integer, tensor_operand
from compiler.frontend.shapes import Bounds, Item, Rest, bind, subscript
from compiler.frontend.taking import take_along
from compiler.frontend.values import Index, Operand, Tensor

Evaluate = Callable[[ast.Expression, Frame], Operand]


def _rebinds(node: ast.Item, name: str) -> bool:
    return isinstance(node, ast.Reduction) and any(index.text == name for index in node.indices)


class Subscripts:
    """Reads subscripts; `operand` evaluates an expression."""

    def __init__(self, ctx: Context, operand: Evaluate) -> None:
        self.ctx = ctx
        self.operand = operand

    def find_extent(self, index: Index, frame: Frame, *, in_sums: bool = True) -> None:
        """Bind `index` to the first axis that it subscripts alone, else as far as all sums that it stands in allow."""
        rooms: list[tuple[int, Span]] = []
        for item, extent in self.places(index, frame):
            if isinstance(item, ast.Name) and item.text == index.name:
                bind(self.ctx, index, extent, item.span)
                return
            if in_sums and is_computed(item, {index.name: index}):
                rooms += self.room(index, item, extent, frame)
        if rooms:
            bind(self.ctx, index, *min(rooms, key=lambda found: found[0]))

    def places(self, index: Index, frame: Frame) -> Iterator[tuple[ast.Item, int]]:
        """What stands for each axis of known extent of named tensors, where `index` can be used."""
        for node in ast.walk(frame.scopes[index], lambda node: not _rebinds(node, index.name)):
            if not isinstance(node, ast.Subscript) or not isinstance(node.base, ast.Name):
                continue
            value = frame.values.get(node.base.text)
            rest = [isinstance(item, ast.Rest) for item in node.items]
            for number, item in enumerate(node.items):
                axis = number - len(node.items) if any(rest[:number]) else number
                if isinstance(value, Tensor) and -value.rank <= axis < value.rank:
                    yield item, value.shape[axis]

    def room(self, index: Index, item: ast.Item, extent: int, frame: Frame) -> list[tuple[int, Span]]:
        """How far `index` can run in a sum all of whose other indices are known; nothing if they are not."""
        assert isinstance(item, ast.Binary | ast.Unary)
        names = {part.text for part in ast.walk(item) if isinstance(part, ast.Name)}
        known = all(name in frame.values or name in frame.indices for name in names)
        found = self.affine(item, frame) if known else None
        if found is None or index not in found.indices:
            return []
        for other in unbound(found):
            if other is not index:
                self.find_extent(other, frame, in_sums=False)
        if unbound(found) != [index]:
            return []
        return [(fits, item.span)] if (fits := room(found, index, extent)) > 0 else []

    def affine(self, node: ast.Expression, frame: Frame) -> Affine | None:
        """A subscript as a sum of multiples of indices, or None."""

        def number(part: ast.Expression) -> int | None:
            operand = self.operand(part, frame)
            return None if isinstance(operand.value, Tensor) else integer(self.ctx, operand, "a factor in a subscript")

        return affine(node, frame.indices, number)

    def value(self, base: ast.Expression, items: Sequence[ast.Item], node: ast.Subscript, frame: Frame) -> Tensor:
        """The value of a subscript; places that depend on data are picked one after the other."""
        operand = tensor_operand(self.ctx, "[]", self.operand(base, frame))
        found = [self.item(item, frame) for item in items]
        chosen = [
            (Index("", (self.ctx.next_order(), 0), i.span, reduced=True), i) for i in found if isinstance(i, Operand)
        ]
        for index, item in chosen:
            found[found.index(item)] = Item(index, item.span)
        value = subscript(self.ctx, operand, [i for i in found if isinstance(i, Item)], node.span)
        for index, by in chosen:
            assert isinstance(by, Operand)
            value = take_along(self.ctx, Operand(value, node.span), index, by, node.span)
        return value

    def item(self, node: ast.Item, frame: Frame) -> Item | Operand:
        """A subscript; one that depends on data is an operand."""
        match node:
            case ast.Rest():
                return Item(Rest(), node.span)
            case ast.SliceItem(start, stop, step):
                parts = (self.bound(part, frame) if part is not None else None for part in (start, stop, step))
                return Item(Bounds(*parts), node.span)
            case ast.Name(text) if text in frame.indices:
                return Item(frame.indices[text], node.span)
        if is_computed(node, frame.indices) and (found := self.affine(node, frame)) is not None:
            for index in unbound(found):
                self.find_extent(index, frame, in_sums=False)
            for index in unbound(found):
                self.find_extent(index, frame)
            return Item(found, node.span)
        operand = self.operand(node, frame)
        if isinstance(operand.value, Tensor):
            return operand
        return Item(integer(self.ctx, operand, "a subscript"), node.span)

    def bound(self, node: ast.Expression, frame: Frame) -> int:
        return integer(self.ctx, self.operand(node, frame), "a bound of a slice")
