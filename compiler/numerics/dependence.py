"""Which operands of a scalar expression matter where others are known to be zero."""

from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from compiler.numerics.evaluate import apply, constant
from compiler.numerics.expr import Expr, ScalarOp

Known: TypeAlias = NDArray[np.generic] | None
"""What a step gives where the zeros are +0 and where they are -0; None if that depends on other operands too."""


def needed(expr: Expr, zeros: frozenset[int]) -> frozenset[int]:
    """Return the operands that `expr` may depend on where the operands `zeros` are +0 or -0 throughout."""
    known = _steps(expr, zeros)
    wanted, found = [len(expr.nodes) - 1], set()
    while wanted:
        index = wanted.pop()
        node = expr.nodes[index]
        if known[index] is not None:
            continue
        if node.op is ScalarOp.ARG:
            found.add(int(node.value))
        condition = known[node.args[0]] if node.op is ScalarOp.WHERE else None
        if condition is not None and condition[0] == condition[1]:
            wanted.append(node.args[1] if condition[0] else node.args[2])
        else:
            wanted.extend(node.args)
    return frozenset(found)


@lru_cache(maxsize=4096)
def vanishes(expr: Expr, operand: int) -> bool:
    """Whether `expr` is +0 where operand `operand` is +0 or -0, whatever the others are."""
    value = _steps(expr, frozenset({operand}))[-1]
    return value is not None and bool(((value == 0) & ~np.signbit(value.astype(np.float64))).all())


def _steps(expr: Expr, zeros: frozenset[int]) -> list[Known]:
    """What is known of each step of `expr`."""
    known: list[Known] = []
    for index in range(len(expr.nodes)):
        known.append(_step(expr, index, known, zeros))
    return known


def _step(expr: Expr, index: int, known: list[Known], zeros: frozenset[int]) -> Known:
    node = expr.nodes[index]
    if node.op is ScalarOp.ARG:
        return np.array([0.0, -0.0]).astype(node.dtype.numpy) if int(node.value) in zeros else None
    if node.op is ScalarOp.CONST:
        return np.repeat(constant(node).reshape(1), 2)
    values = [known[arg] for arg in node.args]
    if node.op is ScalarOp.WHERE and values[0] is not None and values[0][0] == values[0][1]:
        return values[1] if values[0][0] else values[2]
    decisive = {ScalarOp.AND: False, ScalarOp.OR: True, ScalarOp.MULZ: 0}.get(node.op)
    if decisive is not None and any(value is not None and (value == decisive).all() for value in values):
        return np.array([decisive, decisive]).astype(node.dtype.numpy)
    present = [value for value in values if value is not None]
    return apply(node.op, node.dtype, present) if len(present) == len(values) else None
