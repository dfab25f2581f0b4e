"""The rules that a scalar expression obeys, independent of whoever built it."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np

from compiler.numerics.dtypes import FLOATS, NUMBERS, DType, integer_range, round_to
from compiler.numerics.expr import COMPARISONS, Expr, ScalarNode, ScalarOp

_FLOATS = frozenset(FLOATS)
_NUMBERS = frozenset(NUMBERS)
_ELEMENTS = frozenset(dtype for dtype in DType if not dtype.is_block)
_BOOL = frozenset({DType.BOOL})

_NUMERIC_OPS = {
    *(ScalarOp.ADD, ScalarOp.SUB, ScalarOp.MUL, ScalarOp.MULZ, ScalarOp.DIV, ScalarOp.MOD, ScalarOp.MIN, ScalarOp.MAX),
    *(ScalarOp.NEG, ScalarOp.ABS, ScalarOp.SIGN, ScalarOp.LT, ScalarOp.LE, ScalarOp.GT, ScalarOp.GE),
}
_LOGIC_OPS = {ScalarOp.AND, ScalarOp.OR, ScalarOp.NOT}
_ANY_OPS = {ScalarOp.EQ, ScalarOp.NE, ScalarOp.WHERE}


def accepted(op: ScalarOp) -> frozenset[DType]:
    """The element types that the operands of `op` may have (for `WHERE`: its two values)."""
    if op in _NUMERIC_OPS:
        return _NUMBERS
    if op in _LOGIC_OPS:
        return _BOOL
    if op is ScalarOp.CAST:
        return frozenset(DType)
    return _ELEMENTS if op in _ANY_OPS else _FLOATS


def result_dtype(op: ScalarOp, operand: DType) -> DType:
    """The type of `op` on operands of type `operand` (for `WHERE`: its two values); not defined for `CAST`."""
    return DType.BOOL if op in COMPARISONS else operand


def expr_problem(expr: Expr, operands: Sequence[DType]) -> str | None:
    """Return the first rule that `expr` breaks as a function of operands of the given types, or None."""
    return _problem(expr, tuple(operands), tuple([type(node.value) for node in expr.nodes]))


@lru_cache(maxsize=4096)
def _problem(expr: Expr, operands: tuple[DType, ...], _: tuple[type, ...]) -> str | None:
    """Programs repeat a few expressions over and over. The types of the values tell apart what is equal: 1 and 1.0."""
    if not expr.nodes:
        return "an expression has at least one node"
    for index, node in enumerate(expr.nodes):
        for problem in _node_problems(expr, index, operands):
            return f"node {index} ({node.op.value}): {problem}"
    numbers = [node.value for node in expr.nodes if node.op is ScalarOp.ARG]
    return "an operand number appears in two nodes" if len(set(numbers)) < len(numbers) else None


def _node_problems(expr: Expr, index: int, operands: Sequence[DType]) -> Iterator[str]:
    node = expr.nodes[index]
    if len(node.args) != node.op.arity:
        yield f"{len(node.args)} arguments, but {node.op.arity} are needed"
    elif not all(0 <= arg < index for arg in node.args):
        yield "an argument is not an earlier node"
    elif node.op is ScalarOp.ARG:
        yield from _arg_problems(node, operands)
    elif node.op is ScalarOp.CONST:
        if not is_exact(node.value, node.dtype):
            yield f"{node.value!r} is not exactly representable in {node.dtype.value}"
    else:
        yield from _typing_problems(node, [expr.nodes[arg].dtype for arg in node.args])
        if node.dtype.is_block and index < len(expr.nodes) - 1:
            yield f"a cast to {node.dtype.value} is not the last step"


def _arg_problems(node: ScalarNode, operands: Sequence[DType]) -> Iterator[str]:
    if not isinstance(node.value, int) or not 0 <= node.value < len(operands):
        yield f"operand {node.value!r} does not exist"
    elif operands[node.value] is not node.dtype:
        yield f"operand {node.value} has type {operands[node.value].value}, not {node.dtype.value}"


def _typing_problems(node: ScalarNode, types: list[DType]) -> Iterator[str]:
    if node.value != 0:
        yield "only arg and const carry a value"
    if node.op is ScalarOp.WHERE and types.pop(0) is not DType.BOOL:
        yield "the condition is not a bool"
    if len(set(types)) > 1:
        yield f"operands of different types: {', '.join(t.value for t in types)}"
    elif types[0] not in accepted(node.op):
        yield f"not defined on {types[0].value}"
    elif node.op is not ScalarOp.CAST and node.dtype is not result_dtype(node.op, types[0]):
        yield f"the result has type {result_dtype(node.op, types[0]).value}, not {node.dtype.value}"


def is_exact(value: float | int, dtype: DType) -> bool:
    """True when `dtype` holds `value` without rounding (every float type holds NaN, but not all hold infinities)."""
    if dtype is DType.BOOL:
        return value in (0, 1)
    if dtype.is_integer:
        least, greatest = integer_range(dtype)
        return isinstance(value, int) and least <= value <= greatest
    if isinstance(value, int) and abs(value) > 2**53:
        return False
    return value != value or float(round_to(np.float64(value).reshape(1), dtype).astype(np.float64)[0]) == value
