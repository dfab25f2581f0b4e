"""Write one thread's instructions, with loops as `with` blocks and addresses as sums over their counters."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

from compiler.program.image import Code
from compiler.program.instructions import VARIABLES, Affine, Amount, End, Instruction, Loop

NO_GUARD = -1
GUARD_VARIABLE = VARIABLES - 1
"""What was last probed by a compute thread; tables take the variables before it."""


@dataclass(frozen=True, slots=True)
class Counter:
    """The counter of an open loop, outermost depth 0; -1 stands for a loop of one iteration, which is not emitted."""

    depth: int


Term: TypeAlias = tuple[int, Counter]
"""A coefficient and the counter that it multiplies."""

Step: TypeAlias = tuple[int, int, Counter]
"""An axis of a stage's space, tiles along it, and the counter of the loop that advances by so many."""


def affine(constant: int, terms: Sequence[Term] = (), variable: int = -1) -> Affine:
    """Return `constant` plus the sum of `terms`, plus what variable `variable` holds unless that is -1."""
    depth = max((counter.depth for _, counter in terms), default=-1)
    coefficients = [0] * (depth + 1)
    for coefficient, counter in terms:
        if counter.depth >= 0:
            coefficients[counter.depth] += coefficient
    while coefficients and coefficients[-1] == 0:
        coefficients.pop()
    return Affine(constant, tuple(coefficients), variable)


class CodeBuilder:
    """Collects instructions with their origin."""

    def __init__(self, origin: int) -> None:
        self.origin = origin
        """That of what is emitted from now on."""
        self._instructions: list[Instruction] = []
        self._origins: list[int] = []
        self._depth = 0

    def emit(self, *instructions: Instruction) -> None:
        self._instructions.extend(instructions)
        self._origins.extend([self.origin] * len(instructions))

    @contextmanager
    def loop(self, count: Amount) -> Iterator[Counter]:
        """Repeat what is emitted inside `count` times; yields the counter."""
        if count == 1:
            yield Counter(-1)
            return
        self.emit(Loop(count))
        self._depth += 1
        yield Counter(self._depth - 1)
        self._depth -= 1
        self.emit(End())

    def build(self) -> Code:
        return Code(tuple(self._instructions), tuple(self._origins))
