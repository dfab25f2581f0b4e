"""The names that a body sees while it is lowered."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from compiler.frontend import ast
from compiler.frontend.catalog import CONSTANTS
from compiler.frontend.values import Index, Number, Value
from compiler.numerics import DType


@dataclass(frozen=True, slots=True)
class Scope:
    """What the definitions of one file see outside of themselves."""

    functions: Mapping[str, ast.Function]
    dims: Mapping[str, int]
    _numbers: Mapping[str, Value | None] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        numbers = {name: Number(value) for name, value in (CONSTANTS | dict(self.dims)).items()}
        object.__setattr__(self, "_numbers", numbers)

    def constants(self) -> dict[str, Value | None]:
        """The values that each body begins with."""
        return dict(self._numbers)


@dataclass(slots=True)
class Frame:
    """The names that one body sees; a value of None is one whose statement is wrong."""

    scope: Scope
    values: dict[str, Value | None] = field(default_factory=dict)
    indices: dict[str, Index] = field(default_factory=dict)
    dtypes: Mapping[str, DType] = field(default_factory=dict)
    scopes: dict[Index, ast.Expression] = field(default_factory=dict)
    """Where each index can be subscripted with: the right side of its statement or the body of its reduction."""
