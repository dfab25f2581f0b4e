"""The functions that are built in: how many arguments they take, and which operation they stand for."""

from dataclasses import dataclass

from compiler.frontend.reduction import REDUCTIONS
from compiler.numerics import DType, ScalarOp

CONST = "const"
"""The type of a parameter that is a number known at compile time."""
CONSTANTS = {"inf": float("inf"), "nan": float("nan"), "pi": 3.141592653589793}
ATTRIBUTES = ("T",)
ZERO_ANNIHILATES = "zero_annihilates"
SEMANTICS = (ZERO_ANNIHILATES,)
"""What `semantics` can say."""
DTYPES = {dtype.value: dtype for dtype in DType}

ELEMENTWISE = {
    op.value: op
    for op in (
        *(ScalarOp.EXP, ScalarOp.LOG, ScalarOp.SQRT, ScalarOp.RSQRT, ScalarOp.TANH, ScalarOp.ERF, ScalarOp.SIN),
        *(ScalarOp.COS, ScalarOp.FLOOR, ScalarOp.CEIL, ScalarOp.ROUND, ScalarOp.ABS, ScalarOp.SIGN, ScalarOp.POW),
        ScalarOp.WHERE,
    )
} | {"minimum": ScalarOp.MIN, "maximum": ScalarOp.MAX}
"""Functions of each element alone, by name."""
SINGLE_RESULT = "out"
"""What the result of a program is called, unless it is named; the first of several is then `out0`."""
SCAN = "scan"
"""Takes a function by name, and has as many results as that."""
SPLIT = "split"
"""Has as many results as parts are asked for."""
PAIRWISE = {"min": ScalarOp.MIN, "max": ScalarOp.MAX}
"""Reductions that, given two arguments, compare them elementwise."""


@dataclass(frozen=True, slots=True)
class Builtin:
    """Number of positional arguments, and the names of the optional others."""

    minimum: int
    maximum: int
    keywords: tuple[str, ...] = ()

    @property
    def arguments(self) -> str:
        """How messages say what is taken."""
        if self.maximum > 100:
            return f"at least {counted(self.minimum)}"
        return counted(self.minimum) if self.minimum == self.maximum else f"{self.minimum} or {counted(self.maximum)}"


def counted(number: int, noun: str = "argument") -> str:
    """`1 argument`, `2 arguments`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


BUILTINS: dict[str, Builtin] = {
    **{name: Builtin(op.arity, op.arity) for name, op in ELEMENTWISE.items()},
    **{name: Builtin(1, 2 if name in PAIRWISE else 1, ("axis", "keepdims")) for name in REDUCTIONS},
    **{name: Builtin(1, 1) for name in DTYPES},
    "iota": Builtin(1, 1),
    "concat": Builtin(1, 1000, ("axis",)),
    "pad": Builtin(1, 1, ("axis", "before", "after", "value")),
    "scan": Builtin(2, 1000, ("over", "given")),
    "split": Builtin(2, 2, ("axis",)),
    "take": Builtin(2, 2, ("axis",)),
    "windows": Builtin(1, 1, ("axis", "size", "stride", "dilation")),
    "transpose": Builtin(1, 1000),
    "reshape": Builtin(2, 1000),
}
