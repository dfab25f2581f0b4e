"""Evaluate a graph together with a bound on how far a correct device may be from each element."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from compiler.ir import (
    Constant,
    Contract,
    Input,
    Iota,
    Map,
    Operation,
    Reduce,
    Reshape,
    Slice,
    State,
    Take,
    TensorGraph,
    Transpose,
    Weight,
    Window,
)
from compiler.ir.evaluate import evaluate_operation, move, take
from compiler.ir.rules import broadcast
from compiler.numerics.evaluate import Array
from runtime.reference.accumulate import enclose_combine, enclose_contract
from runtime.reference.enclosure import Enclosure, enclose, enclose_expr, exact
from runtime.reference.interpret import operand


def evaluate_with_bounds(graph: TensorGraph, tensors: Mapping[str, Array]) -> dict[str, tuple[Array, Array]]:
    """Return for every output its value and, elementwise in float64, how far a device may be from it.

    The bound is 0 where a device must match bit for bit (the sign of a zero aside), infinite where any value is right:
    for instance the rounding of a number that may lie on either side of an overflow.
    """
    values: list[Enclosure] = []
    for op in graph.ops:
        values.append(_evaluate(op, [values[i] for i in op.inputs], tensors))
    return {name: (np.array(values[i].value), values[i].radius) for name, i in graph.outputs}


def _evaluate(op: Operation, inputs: Sequence[Enclosure], tensors: Mapping[str, Array]) -> Enclosure:
    match op.kind:
        case Input(name) | Weight(name) | State(name):
            return exact(operand(name, op.type, tensors))
        case Constant() | Iota():
            return exact(evaluate_operation(op.kind, (), op.type))
        case Map(expr):
            return _filled(enclose_expr(expr, inputs), op.type.shape)
        case Reduce():
            return _reduce(op, op.kind, inputs)
        case Contract():
            total = enclose_contract(op.kind, inputs[0], inputs[1])
            return _filled(enclose_expr(op.kind.epilogue, [total, *inputs[2:]]), op.type.shape)
        case Reshape() | Transpose() | Slice() | Window() as kind:
            return _each(inputs[0], lambda part: move(kind, part, op.type))
        case Take():
            return _take(op, inputs[0], inputs[1])


def _reduce(op: Operation, kind: Reduce, inputs: Sequence[Enclosure]) -> Enclosure:
    body, extra = inputs[: kind.body_inputs], inputs[kind.body_inputs :]
    domain = broadcast([x.value.shape for x in body]) or ()
    total = enclose_combine(kind.kind, kind.axes, _filled(enclose_expr(kind.body, body), domain))
    return _filled(enclose_expr(kind.epilogue, [total, *extra]), op.type.shape)


def _take(op: Operation, source: Enclosure, index: Enclosure) -> Enclosure:
    """The rows that are picked; where the number of a row is not certain it may be any of them, or none."""
    picked = _each(source, lambda part: take(part, index.value, op.type))
    if index.all_exact:
        return picked
    sure = index.is_exact.reshape(*index.value.shape[:-2], op.type.shape[-2], 1)
    low = np.where(sure, picked.low, np.minimum(source.low.min(axis=-2, keepdims=True), 0.0))
    high = np.where(sure, picked.high, np.maximum(source.high.max(axis=-2, keepdims=True), 0.0))
    return enclose(picked.value, low, high, op.type.dtype, np.asarray(sure & picked.is_exact))


def _filled(x: Enclosure, shape: tuple[int, ...]) -> Enclosure:
    return _each(x, lambda part: np.broadcast_to(part, shape))


def _each(x: Enclosure, move: Callable[[Array], Array]) -> Enclosure:
    """Rearrange value and ends alike; what is exact stays so."""
    low = move(x.low)
    return Enclosure(move(x.value), low, low if x.all_exact else move(x.high))
