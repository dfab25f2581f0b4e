"""Numbers that follow no formula: what is emitted takes the values that were asked for, in any nest of loops."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.codegen.code import GUARD_VARIABLE, affine
from compiler.codegen.tables import Numbers, TableCode
from compiler.diagnostics import InternalError
from compiler.program.image import Code
from compiler.program.instructions import VARIABLES, Affine, Await, End, Fetch, Loop, Pop, Variable

Draw = Callable[[st.SearchStrategy[object]], object]


@dataclass
class _Machine:
    """Runs code that consists of loops, fetches and marks; `seen` are the marks and what they showed."""

    code: Code
    seen: dict[int, list[int]] = field(default_factory=dict)
    fetches: int = 0

    def __post_init__(self) -> None:
        self.variables = [0] * VARIABLES
        self.tables = [iter(table) for table in self.code.tables]
        self.run(0, [])

    def run(self, at: int, counters: list[int]) -> int:
        """Run up to the end of the loop that instruction `at` is in; returns the index behind it."""
        while at < len(self.code.instructions):
            match self.code.instructions[at]:
                case End():
                    return at + 1
                case Loop(count):
                    body = at + 1
                    for turn in range(self.value(count)):
                        self.run(body, [*counters, turn])
                    at = self.skip(body)
                    continue
                case Fetch(variable, table):
                    self.variables[variable] = next(self.tables[table])
                    self.fetches += 1
                case Await(mark, page):
                    self.seen.setdefault(mark, []).append(self.offset(page, counters))
                case Pop(mark, pages):
                    self.seen.setdefault(mark, []).append(self.value(pages))
            at += 1
        return at

    def skip(self, at: int) -> int:
        depth = 1
        while depth:
            instruction = self.code.instructions[at]
            depth += isinstance(instruction, Loop) - isinstance(instruction, End)
            at += 1
        return at

    def value(self, amount: int | Variable) -> int:
        return self.variables[amount.index] if isinstance(amount, Variable) else amount

    def offset(self, value: Affine, counters: list[int]) -> int:
        terms = sum(c * counter for c, counter in zip(value.coefficients, counters, strict=False))
        return value.constant + terms + (self.variables[value.variable] if value.variable >= 0 else 0)


@dataclass
class _Author:
    """Writes a random nest of loops with marks, and notes what each mark should show."""

    draw: Draw
    code: TableCode = field(default_factory=lambda: TableCode(0))
    marks: list[list[int]] = field(default_factory=list)

    def number(self, low: int, high: int) -> int:
        value = self.draw(st.integers(low, high))
        assert isinstance(value, int)
        return value

    def body(self, turns: int, depth: int) -> None:
        self.mark(turns)
        if depth == 3:
            return
        for _ in range(self.number(0, 2)):
            counts = self.numbers(turns, 0, 3)
            if counts.any():
                with self.code.turns(counts):
                    self.body(int(counts.sum()), depth + 1)
        self.mark(turns)

    def mark(self, turns: int) -> None:
        values = self.numbers(turns, 0, 40)
        number = len(self.marks)
        if self.number(0, 1):
            self.code.emit(Await(number, self.code.number(values).plus(0)))
        else:
            amount = self.code.amount(values)
            if not amount:
                values = values[:0]
            else:
                self.code.emit(Pop(number, amount))
        self.marks.append(values.tolist())

    def numbers(self, turns: int, low: int, high: int) -> Numbers:
        """Arbitrary, equal, in steps, or from a few."""
        match self.number(0, 3):
            case 0:
                values = [self.number(low, high) for _ in range(turns)]
            case 1:
                values = [self.number(low, high)] * turns
            case 2:
                values = list(range(turns)) if high > 3 else [1] * turns
            case _:
                values = ([self.number(low, high), self.number(low, high)] * turns)[:turns]
        return np.array(values, np.int64)


@st.composite
def _programs(draw: Draw) -> _Author:
    author = _Author(draw)
    author.body(1, 0)
    return author


@given(_programs())
def test_marks_show_what_was_asked_for_and_tables_are_used_up(author: _Author) -> None:
    code = author.code.build()
    machine = _Machine(code)
    for number, values in enumerate(author.marks):
        assert machine.seen.get(number, []) == values
    assert [list(table) for table in machine.tables] == [[] for _ in code.tables]
    assert len(code.origins) == len(code.instructions)


def _shown(counts: list[int], values: list[int]) -> Iterator[object]:
    code = TableCode(0)
    with code.turns(np.array(counts)):
        code.emit(Await(0, code.number(np.array(values)).plus(0)))
    yield from code.build().instructions


def test_what_follows_a_formula_needs_no_table() -> None:
    assert list(_shown([3], [4, 4, 4])) == [Loop(3), Await(0, affine(4)), End()]
    assert list(_shown([3], [4, 6, 8])) == [Loop(3), Await(0, Affine(4, (2,))), End()]


def test_what_stays_the_same_in_a_loop_is_fetched_before_it() -> None:
    code = TableCode(0)
    with code.turns(np.array([3])), code.turns(np.array([2, 2, 2])):
        code.emit(Await(0, code.number(np.array([5, 6, 1, 2, 9, 10])).plus(0)))
    assert code.build().instructions == (
        *(Loop(3), Fetch(0, 0), Loop(2)),
        Await(0, Affine(1, (0, 1), 0)),
        *(End(), End()),
    )
    assert code.build().tables == ((4, 0, 8),)


def test_equal_numbers_share_a_variable() -> None:
    code = TableCode(0)
    with code.turns(np.array([3])):
        for _ in range(2):
            code.emit(Pop(0, code.amount(np.array([3, 1, 2]))))
    assert sum(isinstance(i, Fetch) for i in code.build().instructions) == 1


def test_variables_are_free_again_behind_their_loop() -> None:
    code = TableCode(0)
    for turn in range(GUARD_VARIABLE + 1):
        with code.turns(np.array([3])):
            code.emit(Await(0, code.number(np.array([0, 100, turn])).plus(0)))
    fetches = [i for i in code.build().instructions if isinstance(i, Fetch)]
    assert len(fetches) == GUARD_VARIABLE + 1
    assert {fetch.variable for fetch in fetches} == {0}


def test_more_variables_than_there_are_is_our_bug() -> None:
    code = TableCode(0)
    with code.turns(np.array([3])):
        for turn in range(GUARD_VARIABLE):
            code.number(np.array([0, 100, turn]))
        with pytest.raises(InternalError, match="variables"):
            code.number(np.array([0, 100, GUARD_VARIABLE]))
