"""Identities of reshapes, transposes and slices: operations that move elements and compute nothing."""

from dataclasses import replace

import numpy as np

from compiler.ir import Constant, Contract, Iota, Map, Operation, Reshape, Slice, Transpose, cast_expr
from compiler.ir.evaluate import evaluate_operation
from compiler.ir.rules import letter_problems
from compiler.numerics.dtypes import fits
from compiler.numerics.fidelity import product_dtype
from compiler.passes.rewrite import Rewriter


def reshape(op: Operation, new: Rewriter) -> int | None:
    """Skip a reshape to the same shape; see through an earlier reshape."""
    source = new.ops[op.inputs[0]]
    if source.type == op.type:
        return source.id
    if isinstance(source.kind, Reshape):
        origin = new.ops[source.inputs[0]]
        return origin.id if origin.type == op.type else new.emit(Reshape(), (origin.id,), op.type, op.span)
    return None


def transpose(op: Operation, new: Rewriter) -> int | None:
    """Skip a transpose that keeps the order, merge two into one, and call one that moves only unit axes a reshape."""
    assert isinstance(op.kind, Transpose)
    source, perm = new.ops[op.inputs[0]], op.kind.perm
    if isinstance(source.kind, Transpose):
        perm, source = tuple(source.kind.perm[axis] for axis in perm), new.ops[source.inputs[0]]
    moved = [axis for axis in perm if source.type.shape[axis] != 1]
    if moved == sorted(moved):
        return source.id if source.type == op.type else new.emit(Reshape(), (source.id,), op.type, op.span)
    return None if perm == op.kind.perm else new.emit(Transpose(perm), (source.id,), op.type, op.span)


def slice(op: Operation, new: Rewriter) -> int | None:
    """Skip a slice of everything; merge a slice of a slice."""
    assert isinstance(op.kind, Slice)
    source = new.ops[op.inputs[0]]
    if source.type == op.type:
        return source.id
    if isinstance(source.kind, Slice):
        outer, inner = op.kind, source.kind
        starts = tuple(i + s * o for i, s, o in zip(inner.starts, inner.steps, outer.starts, strict=True))
        steps = tuple(s * o for s, o in zip(inner.steps, outer.steps, strict=True))
        return new.emit(Slice(starts, steps), source.inputs, op.type, op.span)
    return None


def rows_known(op: Operation, new: Rewriter) -> int | None:
    """Let a take be a slice where the numbers of rows are known, and evenly spaced upward."""
    source, numbers = (new.ops[value] for value in op.inputs)
    if isinstance(numbers.kind, Reshape):
        numbers = new.ops[numbers.inputs[0]]
    if not isinstance(numbers.kind, Constant | Iota) or source.type.shape[:-2] != op.type.shape[:-2]:
        return None
    values = evaluate_operation(numbers.kind, (), numbers.type).ravel()
    first, last = int(values[0]), int(values[-1])
    step = int(values[1]) - first if len(values) > 1 else 1
    even = step > 0 and np.array_equal(values, first + step * np.arange(op.type.shape[-2]))
    if not even or first < 0 or last >= source.type.shape[-2]:
        return None
    lead = len(op.type.shape) - 2
    return new.emit(Slice((*(0,) * lead, first, 0), (*(1,) * lead, step, 1)), (source.id,), op.type, op.span)


def numbers_of_rows(op: Operation, new: Rewriter) -> int | None:
    """Let a take read the numbers of rows in the order in which they lie, in a row or in a column."""
    source, numbers = op.inputs
    between = new.ops[numbers]
    if not isinstance(between.kind, Reshape):
        return None
    (origin,) = between.inputs
    *lead, rows, columns = between.type.shape
    return (
        new.emit(op.kind, (source, origin), op.type, op.span) if new.shape(origin) == (*lead, columns, rows) else None
    )


def absorb_transpose(op: Operation, new: Rewriter) -> int | None:
    """Let a contraction read a transposed operand in the order in which it lies, where its letters allow that."""
    assert isinstance(op.kind, Contract)
    letters, inputs = [op.kind.a, op.kind.b], list(op.inputs)
    for side in (0, 1):
        source = new.ops[inputs[side]]
        if isinstance(source.kind, Transpose):
            named = zip(source.kind.perm, letters[side], strict=True)
            candidate = [*letters]
            candidate[side] = "".join(letter for _, letter in sorted(named))
            if not list(letter_problems(candidate[0], candidate[1], op.kind.out)):
                letters, inputs[side] = candidate, source.inputs[0]
    if tuple(inputs) == op.inputs:
        return None
    return new.emit(replace(op.kind, a=letters[0], b=letters[1]), inputs, op.type, op.span)


def absorb_cast(op: Operation, new: Rewriter) -> int | None:
    """Let a contraction read operands before a cast that keeps every value, where the products stay the same."""
    wide = [new.ops[value].type.dtype for value in op.inputs[:2]]
    narrow = [_before_cast(new.ops[value], new) for value in op.inputs[:2]]
    for pair in ((narrow[0], narrow[1]), (narrow[0], op.inputs[1]), (op.inputs[0], narrow[1])):
        if pair == op.inputs[:2]:
            continue
        product = product_dtype(*(new.ops[value].type.dtype for value in pair))
        if product is not None and product.wide is wide[0].wide:
            return new.emit(op.kind, pair + op.inputs[2:], op.type, op.span)
    return None


def _before_cast(op: Operation, new: Rewriter) -> int:
    """What `op` casts without a loss, `op` itself if it does nothing of the kind."""
    if not isinstance(op.kind, Map) or len(op.inputs) != 1:
        return op.id
    source = new.ops[op.inputs[0]]
    plain = op.kind.expr == cast_expr(source.type.dtype, op.type.dtype) and fits(source.type.dtype, op.type.dtype)
    return source.id if plain and source.type.shape == op.type.shape else op.id
