"""Scalar expressions: what a fused map computes for each element, with the rounding of every step.

The same expression is interpreted by the reference (NumPy), printed in graphs and assembly, and compiled to native
code by the emulator, so its meaning is fixed here:

- an operation on a narrow float (bf16, f16, fp8) computes in float32 and rounds the result to that type, to nearest
  even; fusing operations into one kernel therefore never changes a bit of the result;
- integer arithmetic wraps, that of i8 and u8 after every step; division and remainder round toward minus infinity
  (NumPy's `//` and `%`), and give 0 where the divisor is 0;
- `MULZ` is `MUL`, but 0 where one factor is 0 and the other is NaN or infinite;
- `MIN` and `MAX` of floats give NaN when either operand is NaN (NumPy's `minimum` and `maximum`);
- `MOD` of floats has the sign of the divisor (NumPy's `%`); `ROUND` takes halves to even; `SIGN` of either zero is +0
  and of NaN is NaN; `CAST` from an integer to a narrow float goes through f32, any other cast is `round_to`;
- block floats are only cast; a cast to one depends on the neighbors, so it is the last step of its expression;
- comparisons give bool; `WHERE(c, a, b)` picks, it does not multiply.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from compiler.numerics.dtypes import DType


class ScalarOp(Enum):
    """An operation on scalars; the value is its name in printed form."""

    __hash__ = object.__hash__  # there is one object of each; that of `Enum` is computed in Python

    ARG = "arg"
    CONST = "const"
    CAST = "cast"
    ADD = "add"
    SUB = "sub"
    MUL = "mul"
    MULZ = "mulz"
    DIV = "div"
    MOD = "mod"
    MIN = "min"
    MAX = "max"
    POW = "pow"
    NEG = "neg"
    ABS = "abs"
    EXP = "exp"
    LOG = "log"
    SQRT = "sqrt"
    RSQRT = "rsqrt"
    TANH = "tanh"
    ERF = "erf"
    SIN = "sin"
    COS = "cos"
    FLOOR = "floor"
    CEIL = "ceil"
    ROUND = "round"
    SIGN = "sign"
    LT = "lt"
    LE = "le"
    EQ = "eq"
    NE = "ne"
    GT = "gt"
    GE = "ge"
    AND = "and"
    OR = "or"
    NOT = "not"
    WHERE = "where"

    @property
    def arity(self) -> int:
        """Number of operands that are expressions."""
        return _ARITY[self]


_UNARY = {
    *(ScalarOp.CAST, ScalarOp.NEG, ScalarOp.ABS, ScalarOp.EXP, ScalarOp.LOG, ScalarOp.SQRT, ScalarOp.RSQRT),
    *(ScalarOp.TANH, ScalarOp.ERF, ScalarOp.SIN, ScalarOp.COS, ScalarOp.FLOOR, ScalarOp.CEIL, ScalarOp.ROUND),
    *(ScalarOp.SIGN, ScalarOp.NOT),
}
_ARITY = {op: 1 if op in _UNARY else 2 for op in ScalarOp} | {
    ScalarOp.ARG: 0,
    ScalarOp.CONST: 0,
    ScalarOp.WHERE: 3,
}

COMPARISONS = frozenset({ScalarOp.LT, ScalarOp.LE, ScalarOp.EQ, ScalarOp.NE, ScalarOp.GT, ScalarOp.GE})


@dataclass(frozen=True, slots=True)
class ScalarNode:
    """One step: `op` applied to earlier nodes, giving a value of `dtype`.

    `value` is the operand number of an `ARG` and the constant of a `CONST`; it is 0 elsewhere. A float constant is
    exactly representable in `dtype`.
    """

    op: ScalarOp
    dtype: DType
    args: tuple[int, ...] = ()
    value: float | int = 0


@dataclass(frozen=True, slots=True)
class Expr:
    """Steps in order; the last one is the result.

    Invariants: every argument of a node is smaller than its index; `ARG` numbers are below the operand count of the
    user and each number appears in at most one node; operands of arithmetic have one common type. (`ExprBuilder` also
    makes the order canonical; only the printed form of a graph relies on that.)
    """

    nodes: tuple[ScalarNode, ...]

    @property
    def dtype(self) -> DType:
        return self.nodes[-1].dtype

    @property
    def arg_count(self) -> int:
        """One more than the largest operand number used, 0 if none is."""
        return max((int(node.value) + 1 for node in self.nodes if node.op is ScalarOp.ARG), default=0)

    @property
    def is_identity(self) -> bool:
        return len(self.nodes) == 1 and self.nodes[0].op is ScalarOp.ARG


class ExprBuilder:
    """Collects nodes and shares equal ones."""

    def __init__(self) -> None:
        self._nodes: list[ScalarNode] = []
        self._index: dict[tuple[ScalarNode, str], int] = {}

    def add(self, node: ScalarNode) -> int:
        key = (node, repr(node.value))  # 0.0 == -0.0, but they are different constants
        if key not in self._index:
            self._index[key] = len(self._nodes)
            self._nodes.append(node)
        return self._index[key]

    def dtype(self, node: int) -> DType:
        return self._nodes[node].dtype

    def arg(self, number: int, dtype: DType) -> int:
        return self.add(ScalarNode(ScalarOp.ARG, dtype, (), number))

    def const(self, value: float | int, dtype: DType) -> int:
        return self.add(ScalarNode(ScalarOp.CONST, dtype, (), value))

    def op(self, op: ScalarOp, dtype: DType, *args: int) -> int:
        return self.add(ScalarNode(op, dtype, args))

    def inline(self, expr: Expr, operands: Sequence[int]) -> int:
        """Add the nodes of `expr`, its operand `k` replaced by node `operands[k]`; return the result's node."""
        mapped: list[int] = []
        for node in expr.nodes:
            if node.op is ScalarOp.ARG:
                mapped.append(operands[int(node.value)])
            else:
                mapped.append(
                    self.add(ScalarNode(node.op, node.dtype, tuple(mapped[a] for a in node.args), node.value))
                )
        return mapped[-1]

    def build(self, result: int) -> Expr:
        """Return the expression for node `result`: the nodes it uses, each after its arguments, in depth-first order.

        The order depends on the expression only, so equal expressions are equal tuples.
        """
        order: dict[int, int] = {}
        pending = [result]
        while pending:
            missing = [arg for arg in self._nodes[pending[-1]].args if arg not in order]
            if missing:
                pending.append(missing[0])
            else:
                order.setdefault(pending.pop(), len(order))
        nodes = (self._nodes[old] for old in order)
        return Expr(tuple(ScalarNode(n.op, n.dtype, tuple(order[a] for a in n.args), n.value) for n in nodes))


def identity(dtype: DType) -> Expr:
    """The expression that returns its operand 0."""
    return Expr((ScalarNode(ScalarOp.ARG, dtype),))
