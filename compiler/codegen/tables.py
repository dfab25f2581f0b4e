"""Code that walks irregular sets: loops whose counts vary, and offsets that follow no formula.

Whoever emits an instruction gives the numbers that a place in the code takes, in the order of execution, one per turn
of the innermost loop. `TableCode` finds the cheapest way to produce them: a constant; a multiple of the counters of
loops; else a table, whose next value a `Fetch` takes at the start of the outermost loop inside which it stays the same.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from compiler.codegen.code import GUARD_VARIABLE, CodeBuilder, Counter, Term, affine
from compiler.diagnostics import InternalError
from compiler.program.image import Code
from compiler.program.instructions import Affine, Amount, Fetch, Variable

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Number:
    """`constant`, plus multiples of counters, plus what variable `variable` holds unless that is -1."""

    constant: int
    terms: tuple[Term, ...] = ()
    variable: int = -1

    def plus(self, constant: int, terms: Sequence[Term] = ()) -> Affine:
        return affine(self.constant + constant, (*self.terms, *terms), self.variable)


@dataclass(slots=True)
class _Loop:
    """A loop that is open: how often it turns in each turn of the one around it, and where its body begins.

    `held` are the variables that keep their value during a turn, by the values that they take; `used` are all that are
    set in a turn, those of loops inside included.
    """

    counts: Numbers
    counter: Counter
    start: int
    held: dict[bytes, int] = field(default_factory=dict)
    used: set[int] = field(default_factory=set)


class TableCode(CodeBuilder):
    """A `CodeBuilder` with variables and tables."""

    def __init__(self, origin: int) -> None:
        super().__init__(origin)
        self._tables: list[tuple[int, ...]] = []
        self._open = [_Loop(np.ones(1, np.int64), Counter(-1), 0)]

    @contextmanager
    def turns(self, counts: Numbers) -> Iterator[Counter]:
        """Repeat what is emitted inside `counts[t]` times in turn `t` of the innermost loop, at least once in all."""
        amount = self.amount(counts)
        assert amount, "a loop that never turns"
        with self.loop(amount) as counter:
            self._open.append(_Loop(counts, counter, len(self._instructions)))
            yield counter
            inner = self._open.pop()
        self._open[-1].used |= inner.used

    def number(self, values: Numbers) -> Number:
        """Return a number that is `values[t]` in turn `t` of the innermost loop of varying count."""
        terms: list[Term] = []
        for at in reversed(range(len(self._open))):
            least = int(values.min(initial=values[0])) if len(values) else 0
            if (values == least).all():
                return Number(least, tuple(terms))
            here = self._open[at]
            found = _progression(values, here.counts)
            if found is None:
                return Number(least, tuple(terms), self._fetched(at, values - least))
            values, step = found
            terms += [(step, here.counter)] if step else []
        raise InternalError("codegen: a number that varies outside of all loops")

    def amount(self, values: Numbers) -> Amount:
        """Return an amount that is `values[t]` in turn `t`, or 0 if that is all that it ever is."""
        for at in reversed(range(len(self._open))):
            if not values.any():
                return 0
            if (values == values[0]).all():
                return int(values[0])
            found = _progression(values, self._open[at].counts)
            if found is None or found[1]:
                return Variable(self._fetched(at, values))
            values = found[0]
        raise InternalError("codegen: an amount that varies outside of all loops")

    def build(self) -> Code:
        return Code(tuple(self._instructions), tuple(self._origins), tuple(self._tables))

    def _fetched(self, at: int, values: Numbers) -> int:
        """The variable that takes these values in the turns of open loop `at`."""
        home = self._open[at]
        key = values.tobytes()
        if key not in home.held:
            variable = self._free_variable(at)
            home.held[key] = variable
            home.used.add(variable)
            self._tables.append(tuple(values.tolist()))
            self._insert(at, Fetch(variable, len(self._tables) - 1))
        return home.held[key]

    def _free_variable(self, at: int) -> int:
        """A variable that nothing sets from the start of the body of loop `at` to its end."""
        taken = set(self._open[at].used)
        for loop in self._open[:at]:
            taken.update(loop.held.values())
        for loop in self._open[at + 1 :]:
            taken |= loop.used
        free = next((variable for variable in range(GUARD_VARIABLE) if variable not in taken), None)
        if free is None:
            raise InternalError(f"codegen: a thread needs more than {GUARD_VARIABLE} variables")
        return free

    def _insert(self, at: int, instruction: Fetch) -> None:
        """Put an instruction at the start of the body of open loop `at`."""
        start = self._open[at].start
        self._instructions.insert(start, instruction)
        self._origins.insert(start, self.origin)
        for inner in self._open[at + 1 :]:
            inner.start += 1


def _progression(values: Numbers, counts: Numbers) -> tuple[Numbers, int] | None:
    """Return numbers `first`, one per run, and `step` with `values = first + step * index in the run`, if there are.

    Run `i` has `counts[i]` values. What `first` is for an empty run does not matter.
    """
    if not len(counts):
        return values[:0], 0
    starts = np.cumsum(counts) - counts
    long = starts[counts > 1]
    step = int(values[long[0] + 1] - values[long[0]]) if len(long) else 0
    runs = np.repeat(np.arange(len(counts)), counts)
    firsts = values - step * (np.arange(len(values)) - starts[runs])
    filled = np.flatnonzero(counts)
    nearest = filled[np.maximum(np.searchsorted(filled, np.arange(len(counts)), side="right") - 1, 0)]
    first = firsts[starts[nearest]]
    return (first, step) if (first[runs] == firsts).all() else None
