"""Merge moves around a window into it: a window can read and arrange its elements in any order for the same price."""

from itertools import accumulate

from compiler.ir import Operation, Reshape, Transpose, Window
from compiler.ir.rules import Shape
from compiler.passes.rewrite import Rewriter


def moved_window(op: Operation, new: Rewriter) -> int | None:
    """Turn a reshaped or transposed window that nobody else uses into a window."""
    source = new.ops[op.inputs[0]]
    if not isinstance(source.kind, Window) or new.uses[source.id] > 1:
        return None
    if isinstance(op.kind, Reshape):
        return new.emit(source.kind, source.inputs, op.type, op.span)
    assert isinstance(op.kind, Transpose)
    groups = _digits_by_axis(source.kind.digits, source.type.shape)
    if groups is None:
        return None
    order = [digit for axis in op.kind.perm for digit in groups[axis]]
    digits = tuple(source.kind.digits[d] for d in order)
    steps = tuple(tuple(row[d] for d in order) for row in source.kind.steps)
    return new.emit(Window(digits, source.kind.base, steps), source.inputs, op.type, op.span)


def window(op: Operation, new: Rewriter) -> int | None:
    """Let a window read through a transpose, or through a window that it never reads beside."""
    assert isinstance(op.kind, Window)
    source = new.ops[op.inputs[0]]
    if isinstance(source.kind, Transpose):
        inverse = [source.kind.perm.index(axis) for axis in range(len(source.kind.perm))]
        base = tuple(op.kind.base[d] for d in inverse)
        steps = tuple(op.kind.steps[d] for d in inverse)
        return new.emit(Window(op.kind.digits, base, steps), source.inputs, op.type, op.span)
    if not isinstance(source.kind, Window) or source.kind.digits != source.type.shape:
        return None
    if not _inside(op.kind, source.type.shape):
        return None
    return new.emit(_composed(op.kind, source.kind), source.inputs, op.type, op.span)


def _digits_by_axis(digits: tuple[int, ...], shape: Shape) -> list[list[int]] | None:
    """The digits that make up each axis; None if one digit spans several axes."""
    ends = list(accumulate(shape, lambda a, b: a * b, initial=1))[1:]
    groups: list[list[int]] = [[] for _ in shape]
    axis, size = 0, 1
    for number, digit in enumerate(digits):
        while axis < len(shape) and size == ends[axis] and digit != 1:
            axis += 1
        if digit == 1:
            continue
        size *= digit
        groups[axis].append(number)
        if ends[axis] % size:
            return None
    return groups


def _inside(kind: Window, shape: Shape) -> bool:
    """Whether every coordinate lies in a tensor of `shape`."""
    for base, steps, extent in zip(kind.base, kind.steps, shape, strict=True):
        reach = [step * (digit - 1) for step, digit in zip(steps, kind.digits, strict=True)]
        if base + sum(min(r, 0) for r in reach) < 0 or base + sum(max(r, 0) for r in reach) >= extent:
            return False
    return True


def _composed(outer: Window, inner: Window) -> Window:
    """The window that reads through `inner`, whose digits are its coordinates."""
    base = tuple(b + sum(s * o for s, o in zip(row, outer.base, strict=True)) for b, row in _rows(inner))
    steps = tuple(
        tuple(sum(s * outer.steps[d][k] for d, s in enumerate(row)) for k in range(len(outer.digits)))
        for row in inner.steps
    )
    return Window(outer.digits, base, steps)


def _rows(kind: Window) -> list[tuple[int, tuple[int, ...]]]:
    return list(zip(kind.base, kind.steps, strict=True))
