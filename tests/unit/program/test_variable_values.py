"""What a variable may hold: what was last put into it, on every way through the loops."""

import numpy as np

from compiler.program.image import Code
from compiler.program.instructions import Affine, End, Fetch, Instruction, Loop, SemWait, Variable
from compiler.program.pages import variable_values


def _held(*instructions: Instruction) -> list[list[int]]:
    """What variable 0 may hold at each use of it."""
    code = Code(tuple(instructions), (), ((10, 11), (20,), (30, 0)))
    values = variable_values(code)
    return [
        np.asarray(values[index][0]).tolist() for index, at in enumerate(instructions) if isinstance(at, SemWait | Loop)
    ]


USE = SemWait(Affine(0, (), 0), 1)


def test_a_later_fetch_replaces_an_earlier_one() -> None:
    assert _held(USE, Fetch(0, 0), USE, Fetch(0, 1), USE) == [[0], [10, 11], [20]]


def test_a_fetch_inside_a_loop_replaces_what_came_before_and_reaches_its_start_again() -> None:
    use = USE
    assert _held(Fetch(0, 0), Loop(2), use, Fetch(0, 1), use, End(), use) == [[10, 11], [10, 11, 20], [20], [20]]


def test_a_loop_that_may_be_passed_over_keeps_what_was_there() -> None:
    assert _held(Fetch(0, 0), Loop(Variable(3)), Fetch(0, 1), USE, End(), USE) == [[10, 11], [20], [10, 11, 20]]


def test_loops_inside_loops() -> None:
    held = _held(Fetch(0, 0), Loop(2), Loop(Variable(3)), Fetch(0, 2), End(), USE, Fetch(0, 1), End(), USE)
    assert held == [[10, 11], [0, 10, 11, 20, 30], [0, 10, 11, 20, 30], [20]]
