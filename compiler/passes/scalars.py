"""Rewrite scalar expressions without changing a bit of what they compute (the payload of a NaN aside)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import copysign, nan

import numpy as np

from compiler.ir import Constant, Operation
from compiler.numerics import DType, Expr, ExprBuilder, ScalarNode, ScalarOp
from compiler.numerics.dtypes import fits
from compiler.numerics.evaluate import Array, apply, constant
from compiler.passes.rewrite import is_splat

ACCUMULATOR = -1
"""Stands for operand 0 of an epilogue among the values that an expression is applied to."""

_INVOLUTIONS = {ScalarOp.NEG, ScalarOp.NOT}
_IDEMPOTENT = {ScalarOp.MIN, ScalarOp.MAX, ScalarOp.AND, ScalarOp.OR}


@dataclass(frozen=True, slots=True)
class Applied:
    """An expression and the graph values that are its operands, each of them once (or `ACCUMULATOR`, first)."""

    expr: Expr
    inputs: tuple[int, ...]


def compose(
    expr: Expr, inputs: Sequence[int], types: Mapping[int, DType], expand: Mapping[int, Applied] | None = None
) -> Applied:
    """Replace operands by the expressions in `expand`, merge equal operands, drop unused ones and simplify.

    `types` gives the element type of every value involved.
    """
    builder = ExprBuilder()
    leaves: list[int] = []

    def leaf(value: int) -> int:
        if value not in leaves:
            leaves.append(value)
        return builder.arg(leaves.index(value), types[value])

    def operand(value: int) -> int:
        inner = (expand or {}).get(value)
        return leaf(value) if inner is None else builder.inline(inner.expr, [leaf(v) for v in inner.inputs])

    if any(ACCUMULATOR in group for group in (inputs, *(inner.inputs for inner in (expand or {}).values()))):
        leaf(ACCUMULATOR)
    whole = builder.build(builder.inline(expr, [operand(value) for value in inputs]))
    return _compact(simplify_expr(whole), leaves)


def _compact(expr: Expr, leaves: Sequence[int]) -> Applied:
    """Number the operands that `expr` uses from 0, the accumulator staying operand 0."""
    used = {int(node.value) for node in expr.nodes if node.op is ScalarOp.ARG}
    kept = [k for k, value in enumerate(leaves) if k in used or value == ACCUMULATOR]
    number = {k: position for position, k in enumerate(kept)}
    nodes = (
        ScalarNode(node.op, node.dtype, node.args, number[int(node.value)]) if node.op is ScalarOp.ARG else node
        for node in expr.nodes
    )
    return Applied(Expr(tuple(nodes)), tuple(leaves[k] for k in kept))


def splat_expr(op: Operation) -> Applied | None:
    """The constant expression of a splat constant, None for any other operation."""
    if not isinstance(op.kind, Constant) or not is_splat(op):
        return None
    value = np.frombuffer(op.kind.data, op.type.dtype.numpy).reshape(())
    return Applied(Expr((_constant_node(value, op.type.dtype),)), ())


def _constant_node(value: Array, dtype: DType) -> ScalarNode:
    number = float(value) if dtype.is_float else int(value)
    return ScalarNode(ScalarOp.CONST, dtype, (), number if number == number else nan)


def simplify_expr(expr: Expr) -> Expr:
    """Fold constants and apply the identities that hold for every value, NaN, infinities and -0 included."""
    builder = ExprBuilder()
    nodes: list[ScalarNode] = []
    mapped: list[int] = []

    def add(node: ScalarNode) -> int:
        index = builder.add(node)
        nodes[index:] = nodes[index:] or [node]
        return index

    for node in expr.nodes:
        current = ScalarNode(node.op, node.dtype, tuple(mapped[arg] for arg in node.args), node.value)
        replacement = _replace(current, nodes)
        mapped.append(replacement if isinstance(replacement, int) else add(replacement or current))
    return builder.build(mapped[-1])


def _replace(node: ScalarNode, nodes: Sequence[ScalarNode]) -> int | ScalarNode | None:
    """An earlier node of the same value, a node to put in place of `node`, or None."""
    args = [nodes[arg] for arg in node.args]
    if args and all(arg.op is ScalarOp.CONST for arg in args):
        return _constant_node(apply(node.op, node.dtype, [constant(arg) for arg in args]), node.dtype)
    match node.op:
        case ScalarOp.CAST:
            return _cast(node, nodes)
        case ScalarOp.ABS if args[0].op in (ScalarOp.NEG, ScalarOp.ABS):
            return ScalarNode(ScalarOp.ABS, node.dtype, args[0].args)
        case ScalarOp.WHERE:
            return _where(node, args[0])
        case ScalarOp.NE if node.args[0] == node.args[1] and not args[0].dtype.is_float:
            return ScalarNode(ScalarOp.CONST, DType.BOOL, (), False)
        case op if op in _INVOLUTIONS and args[0].op is op:
            return args[0].args[0]
        case op if op in _IDEMPOTENT and node.args[0] == node.args[1]:
            return node.args[0]
    return _neutral(node, args)


def _cast(node: ScalarNode, nodes: Sequence[ScalarNode]) -> int | ScalarNode | None:
    """Skip a cast to the same type, and an inner cast that loses nothing (an integer too large for another one wraps,
    but saturates when it comes by way of a float)."""
    (arg,) = node.args
    if node.dtype is nodes[arg].dtype:
        return arg
    if nodes[arg].op is not ScalarOp.CAST:
        return None
    (source,) = nodes[arg].args
    first, middle = nodes[source].dtype, nodes[arg].dtype
    if not fits(first, middle) or (first.is_integer and middle.is_float and node.dtype.is_integer):
        return None
    return source if first is node.dtype else ScalarNode(ScalarOp.CAST, node.dtype, (source,))


def _where(node: ScalarNode, condition: ScalarNode) -> int | None:
    if condition.op is ScalarOp.CONST:
        return node.args[1 if condition.value else 2]
    return node.args[1] if node.args[1] == node.args[2] else None


def _neutral(node: ScalarNode, args: Sequence[ScalarNode]) -> int | None:
    """The other operand where one is neutral: `x * 1`, `x / 1`, `x - (+0)`, `x + (-0)`; `x + (+0)` turns -0 into +0."""
    if len(args) != 2:
        return None
    for side in (1, 0):
        commutes = node.op in (ScalarOp.MUL, ScalarOp.MULZ, ScalarOp.ADD, ScalarOp.AND, ScalarOp.OR)
        if args[side].op is ScalarOp.CONST and (side == 1 or commutes) and _is_neutral(node.op, args[side]):
            return node.args[1 - side]
    return None


def _is_neutral(op: ScalarOp, constant: ScalarNode) -> bool:
    value = constant.value
    match op:
        case ScalarOp.MUL | ScalarOp.MULZ | ScalarOp.DIV:
            return value == 1
        case ScalarOp.SUB:
            return value == 0 and copysign(1.0, value) > 0
        case ScalarOp.ADD:
            return value == 0 and (constant.dtype.is_integer or copysign(1.0, value) < 0)
        case ScalarOp.AND:
            return bool(value)
        case ScalarOp.OR:
            return not value
    return False
