"""What an expression stands for while a program is lowered: a tensor of the graph or a number known at compile time."""

from dataclasses import dataclass, field
from typing import TypeAlias

from compiler.diagnostics import Span
from compiler.ir import TensorType
from compiler.numerics import DType

AxisKey: TypeAlias = tuple[float, int]


@dataclass(eq=False, slots=True)
class Index:
    """An index of index notation, from the brackets or the reduction that introduces it.

    `order` ranks the axes of results: indices of the left side come first, in the order of the text. The extent is
    that of the first axis subscripted with the index, which stands at `origin`.
    """

    name: str
    order: AxisKey
    span: Span
    extent: int | None = None
    origin: Span | None = None
    reduced: bool = False
    """Whether a reduction introduces it."""


Axis: TypeAlias = Index | int
"""An axis of an operation: one that an index runs over, or the number of an axis of the value that a program sees."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """Operation `id`, of type `type`, whose axis `d` plays the role `axes[d]`.

    What a program sees is `shape`: the numbered axes in the order of their numbers. A value in index notation carries
    the axes of its indices beside them, so that every operation on visible axes works for all index values at once. A
    permutation of axes is only noted here until an operation demands an order.
    """

    id: int
    type: TensorType
    axes: tuple[Axis, ...]
    rank: int = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rank", len([axis for axis in self.axes if isinstance(axis, int)]))

    @property
    def dtype(self) -> DType:
        return self.type.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        axes, extents = self.axes, self.type.shape
        return tuple([extents[axes.index(number)] for number in range(self.rank)])

    @property
    def indices(self) -> tuple[Index, ...]:
        return tuple(axis for axis in self.axes if isinstance(axis, Index))

    def extent(self, axis: Axis) -> int:
        return self.type.shape[self.axes.index(axis)]

    def __str__(self) -> str:
        return str(TensorType(self.shape, self.dtype))


@dataclass(frozen=True, slots=True)
class Number:
    """A number, or true or false, known at compile time; it takes the element type of the tensor that it meets."""

    value: int | float | bool

    def __str__(self) -> str:
        return str(self.value).lower() if isinstance(self.value, bool) else str(self.value)


Value: TypeAlias = Tensor | Number


@dataclass(frozen=True, slots=True)
class Operand:
    """A value and the expression that gave it."""

    value: Value
    span: Span


class Poisoned(Exception):
    """A value is used whose statement is wrong and already reported."""
