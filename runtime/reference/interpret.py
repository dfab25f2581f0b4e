"""Interpret a whole graph: the oracle that every run is compared with."""

from collections.abc import Mapping

import numpy as np

from compiler.diagnostics import InternalError
from compiler.ir import Fed, TensorGraph, TensorType
from compiler.ir.evaluate import evaluate_operation
from compiler.numerics.dtypes import round_to
from compiler.numerics.evaluate import Array


def evaluate(graph: TensorGraph, tensors: Mapping[str, Array]) -> dict[str, Array]:
    """Return the value of every output, given the value of every input, weight and state by name.

    Arrays have the shape and the NumPy element type of the operation that they stand for; anything else raises
    `InternalError`: whoever feeds user data has checked it.
    """
    values: list[Array] = []
    for op in graph.ops:
        if isinstance(op.kind, Fed):
            values.append(operand(op.kind.name, op.type, tensors))
        else:
            values.append(evaluate_operation(op.kind, [values[i] for i in op.inputs], op.type))
    return {name: np.ascontiguousarray(values[i]).reshape(values[i].shape) for name, i in graph.outputs}


def operand(name: str, type: TensorType, tensors: Mapping[str, Array]) -> Array:
    """The array fed for `name`, checked against its type; blocks of floats are rounded, as they are when stored."""
    if name not in tensors:
        raise InternalError(f"no value is given for `{name}`, which is {type}")
    array = tensors[name]
    if array.shape != type.shape or array.dtype != type.dtype.numpy:
        raise InternalError(f"`{name}` is {type}, but the value given is {array.dtype} of shape {list(array.shape)}")
    return np.asarray(round_to(array, type.dtype)) if type.dtype.is_block else array
