"""Move reshapes that only add or drop unit axes out from between elementwise operations.

Index notation drops the axis that a reduction keeps (`m[i] = max(j) s[i, j]`) and adds it again where the value is
used (`s[i, j] - m[i]`). A reshape of a computed value therefore sinks below the maps that follow, until it meets its
inverse; a reshape of values that nobody computes (inputs, weights, constants) rises above the map, out of its way.
"""

from compiler.ir import Constant, Fed, Iota, Map, Operation, Reshape, TensorType
from compiler.ir.rules import Shape
from compiler.passes.rewrite import Rewriter


def sink_reshape(op: Operation, new: Rewriter) -> int | None:
    """Turn a map of reshaped computed values into a reshaped map, if every operand can take the shape before."""
    assert isinstance(op.kind, Map)
    if op.type.dtype.is_block:
        return None
    operands = [new.ops[value] for value in op.inputs]
    computed = [source for source in operands if not _is_leaf(source, new)]
    if not all(isinstance(source.kind, Reshape) for source in computed):
        return None
    if any(new.uses[source.id] > 1 and _adds_axes(source, new) for source in computed):
        return None  # each user would get a reshape of its own
    shapes = {new.shape(source.inputs[0]) for source in computed}
    if len(shapes) != 1 or any(source.type.shape != op.type.shape for source in computed):
        return None
    (shape,) = shapes
    inputs = _reshaped(op.inputs, op.type.shape, shape, new)
    if inputs is None:
        return None
    inner = new.emit(op.kind, inputs, TensorType(shape, op.type.dtype), op.span)
    return new.emit(Reshape(), (inner,), op.type, op.span)


def hoist_reshape(op: Operation, new: Rewriter) -> int | None:
    """Turn a reshaped map of inputs, weights and constants into a map of reshaped ones."""
    source = new.ops[op.inputs[0]]
    if not isinstance(source.kind, Map) or new.uses[source.id] > 1:
        return None
    if not all(_is_leaf(new.ops[value], new) for value in source.inputs):
        return None
    inputs = _reshaped(source.inputs, source.type.shape, op.type.shape, new)
    return None if inputs is None else new.emit(source.kind, inputs, op.type, source.span)


def _adds_axes(op: Operation, new: Rewriter) -> bool:
    return len(op.type.shape) > len(new.shape(op.inputs[0]))


def _is_leaf(op: Operation, new: Rewriter) -> bool:
    if isinstance(op.kind, Reshape):
        return _is_leaf(new.ops[op.inputs[0]], new)
    return isinstance(op.kind, Fed | Constant | Iota)


def _reshaped(values: tuple[int, ...], before: Shape, after: Shape, new: Rewriter) -> list[int] | None:
    """Operands of a map over `before`, reshaped for the same map over `after`; None if that is not possible
    (elements that share exponents do not move)."""
    if any(new.ops[v].type.dtype.is_block for v in values):
        return None
    same = [extent for extent in before if extent != 1] == [extent for extent in after if extent != 1]
    if not same or any(new.shape(v) != before and new.ops[v].type.size != 1 for v in values):
        return None
    return [_reshape(new.ops[v], after if new.shape(v) == before else (1,) * len(after), new) for v in values]


def _reshape(op: Operation, shape: Shape, new: Rewriter) -> int:
    source = new.ops[op.inputs[0]] if isinstance(op.kind, Reshape) else op
    if source.type.shape == shape:
        return source.id
    return new.emit(Reshape(), (source.id,), TensorType(shape, source.type.dtype), op.span)
