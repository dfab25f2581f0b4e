"""Compute what is known before the program runs."""

from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np

from compiler.ir import (
    Constant,
    Contract,
    Fed,
    Iota,
    Map,
    Operation,
    Reduce,
    Reshape,
    Take,
    TensorGraph,
    TensorType,
    Window,
)
from compiler.ir.evaluate import constant_array, evaluate_operation
from compiler.ir.rules import broadcast
from compiler.numerics.evaluate import Array
from compiler.passes.rewrite import Rewriter, is_splat, rewrite


@dataclass(frozen=True, slots=True)
class FoldConstants:
    """Replace an operation on constants by a constant.

    Equal elements stay one stored element, whatever the shape. Otherwise an operation is computed only when its result
    has at most `max_elements` elements and takes at most `max_work` scalar steps, so that folding neither swells the
    graph nor takes long. An iota is not folded: its formula is smaller than its elements.

    Before::

        %0: f32[2] = constant [1.0, 2.0]
        %1: f32[2] = constant [3.0]
        %2: f32[2] = map mul(arg0, arg1) %0, %1
        return y = %2

    After::

        %0: f32[2] = constant [3.0, 6.0]
        return y = %0
    """

    max_elements: int = 1 << 16
    max_work: int = 1 << 22
    name: ClassVar[str] = "fold"

    def run(self, graph: TensorGraph) -> TensorGraph:
        return rewrite(graph, self._fold)

    def _fold(self, op: Operation, new: Rewriter) -> int | None:
        operands = [new.ops[value] for value in op.inputs]
        if isinstance(op.kind, Fed | Constant | Iota):
            return None
        if not all(isinstance(operand.kind, Constant) for operand in operands):
            return None
        mixed = isinstance(op.kind, Reduce | Contract | Window | Take)
        if all(is_splat(operand) for operand in operands) and not mixed:
            return _emit(op, new, _evaluate(op, operands, one_element=True))
        if op.type.size > self.max_elements or _work(op, operands) > self.max_work:
            return None
        return _emit(op, new, _evaluate(op, operands, one_element=False))


def _evaluate(op: Operation, operands: list[Operation], *, one_element: bool) -> Array:
    """The value of the operation, or, when all its elements are equal, one of them."""
    if not one_element:
        return evaluate_operation(op.kind, [_array(operand, operand.type) for operand in operands], op.type)
    scalars = [_array(operand, TensorType((), operand.type.dtype)) for operand in operands]
    kind = op.kind if isinstance(op.kind, Map) else Reshape()
    return evaluate_operation(kind, scalars, TensorType((), op.type.dtype))


def _array(op: Operation, type: TensorType) -> Array:
    assert isinstance(op.kind, Constant)
    return constant_array(op.kind, type)


def _emit(op: Operation, new: Rewriter, value: Array) -> int:
    data = np.ascontiguousarray(value).tobytes()
    first = data[: op.type.dtype.itemsize]
    equal = len(data) == len(first) or first * op.type.size == data
    return new.emit(Constant(first if equal else data), (), op.type, op.span)


def _work(op: Operation, operands: list[Operation]) -> int:
    """Scalar steps that the operation takes."""
    shapes = [operand.type.shape for operand in operands]
    match op.kind:
        case Contract(a, b):
            return prod(dict(zip(a + b, shapes[0] + shapes[1], strict=True)).values())
        case Reduce():
            return prod(broadcast(shapes[: op.kind.body_inputs]) or ()) * len(op.kind.body.nodes)
        case Map(expr):
            return op.type.size * len(expr.nodes)
    return op.type.size
