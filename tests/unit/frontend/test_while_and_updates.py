"""What `while` and assignments to some elements mean, against loops and assignments of Python."""

from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from compiler.frontend import load, lower
from runtime.reference import evaluate

Array = NDArray[np.generic]


def run(text: str, **tensors: Array | int) -> dict[str, Array]:
    fed = {name: np.asarray(value, np.int32) if isinstance(value, int) else value for name, value in tensors.items()}
    return dict(evaluate(lower(load(text, "t.mesh"), None, {}), fed))


COUNT = """
program p(x: input f32[{shape}], stop: input f32[{condition}]) -> (f32[{shape}], i32[{condition}]) {{
    n = i32(stop * 0.0)
    while {test} < stop limit {limit} {{
        step = 1.0 / (stop - {test})
        x = x + 1.0 + 0.0 * {broadcast}
        n = n + 1
    }}
    return x, n
}}
"""


@given(st.integers(1, 5), st.lists(st.integers(-3, 8), min_size=3, max_size=3))
def test_each_row_takes_its_own_turns(limit: int, stops: list[int]) -> None:
    """A row ends when its first element reaches its stop, and is never divided by what follows."""
    text = COUNT.format(shape="3, 2", condition="3", test="x[:, 0]", limit=limit, broadcast="reshape(step, 3, 1)")
    x = np.array([[0.0, 10.0], [1.0, 20.0], [2.0, 30.0]], np.float32)
    found = run(text, x=x, stop=np.array(stops, np.float32))
    turns = [min(limit, max(0, stop - start)) for start, stop in enumerate(stops)]
    np.testing.assert_array_equal(found["out1"], turns)
    np.testing.assert_array_equal(found["out0"], x + np.array(turns, np.float32)[:, None])


@given(st.integers(0, 9))
def test_one_condition_for_all(stop: int) -> None:
    text = COUNT.format(shape="2, 2", condition="", test="x[0, 0]", limit=6, broadcast="step").replace("[]", "")
    x = np.array([[0.0, 5.0], [7.0, 1.0]], np.float32)
    found = run(text, x=x, stop=np.asarray(stop, np.float32))
    np.testing.assert_array_equal(found["out0"], x + min(stop, 6))
    assert found["out1"] == min(stop, 6)


def test_a_condition_that_failed_stays_so() -> None:
    """The second turn would be asked for again by what another name says."""
    text = """program p(x: input f32[2, 1]) -> f32[2, 1] {
        all = x * 0.0
        while max(x) < 3.0 and x < 2.0 or all > 0.0 limit 5 {
            x = x + 1.0
        }
        return x
    }"""
    np.testing.assert_array_equal(run(text, x=np.array([[0.0], [1.0]], np.float32))["out"], [[2.0], [2.0]])


def test_a_number_is_a_condition() -> None:
    text = (
        "program p(n: input i32, x: input f32) -> f32 {\n while n limit 4 {\n n = n - 1\n x = 2.0 * x\n }\n return x\n}"
    )
    assert [int(run(text, n=n, x=np.ones((), np.float32))["out"]) for n in (0, 1, 3, 9)] == [1, 2, 8, 16]


@pytest.mark.parametrize(("size", "turns"), [(3, 3), (9, 5)])
def test_a_condition_known_at_compile_time(size: int, turns: int) -> None:
    text = """dim N = 1
    program p(x: input f32) -> f32 {
        n = 0
        while n < N limit 5 { x = x + 1.0
            n = n + 1 }
        return x
    }"""
    graph = lower(load(text, "t.mesh"), None, {"N": size})
    assert evaluate(graph, {"x": np.zeros((), np.float32)})["out"] == turns


@pytest.mark.parametrize("inner", ["for k in 0:2 { x = x + 1.0 }", "if 1 > 0 { x = x + 2.0 }", "y = 2.0\n x = x + y"])
def test_bodies_hold_any_statement(inner: str) -> None:
    text = f"program p(x: input f32[3]) -> f32[3] {{\n while x < 5.0 limit 9 {{\n {inner}\n }}\n return x\n}}"
    np.testing.assert_array_equal(run(text, x=np.array([0.0, 4.0, 7.0], np.float32))["out"], [6.0, 6.0, 7.0])


@given(st.integers(0, 9))
def test_turns_with_numbers(stop: int) -> None:
    text = """program p(x: input f32[4], stop: input i32) -> (f32[4], i32) {
        turns = 0 * stop
        for i in 1:4 while turns < stop {
            x[i] = x[i - 1] + x[i]
            turns = turns + 1
        }
        return x, turns
    }"""
    found = run(text, x=np.array([1, 2, 3, 4], np.float32), stop=stop)
    wanted = [1, 2, 3, 4]
    for i in range(1, 1 + min(stop, 3)):
        wanted[i] += wanted[i - 1]
    np.testing.assert_array_equal(found["out0"], wanted)
    assert found["out1"] == min(stop, 3)


def test_loops_inside_each_other() -> None:
    text = """program p(x: input f32[3], n: input i32) -> f32[3] {
        while n > 0 limit 3 {
            n = n - 1
            while x < 10.0 limit 2 { x = x + 1.0 }
        }
        return x
    }"""
    x = np.array([0.0, 7.0, 11.0], np.float32)
    np.testing.assert_array_equal(run(text, x=x, n=2)["out"], [4.0, 10.0, 11.0])


SHAPE = (4, 3, 5)
ITEMS = ("1", "-1", "pos", "pos + 1", "0:2", "1:", ":", "index")


def chosen(item: str, axis: int, pos: int) -> list[int]:
    """The places along `axis` that `item` selects."""
    every = list(range(SHAPE[axis]))
    if item.startswith("pos"):
        return [place for place in every if place == pos + item.endswith("1")]
    if ":" in item:
        start, stop = item.split(":")
        return every[int(start or 0) : int(stop or SHAPE[axis])]
    return every if item == "index" else [every[int(item)]]


@given(st.tuples(*[st.sampled_from(ITEMS)] * 3), st.integers(-2, 6), st.integers(0, 3))
def test_an_assignment_changes_the_chosen_elements(items: tuple[str, str, str], pos: int, dropped: int) -> None:
    """`y` lacks the first `dropped` of the axes of slices; each index adds its number."""
    assume(set(items) != {"index"})
    sliced = [axis for axis, item in enumerate(items) if ":" in item][dropped:]
    places = [chosen(item, axis, pos) for axis, item in enumerate(items)]
    y = np.arange(60, dtype=np.float32)[: int(np.prod([len(places[axis]) for axis in sliced]))]
    y = y.reshape([len(places[axis]) for axis in sliced])
    left = ", ".join(f"i{axis}" if item == "index" else item for axis, item in enumerate(items))
    right = " + ".join(["y", *(f"100.0 * f32(i{axis})" for axis, item in enumerate(items) if item == "index")])
    declared = f"f32[{', '.join(map(str, y.shape))}]" if y.ndim else "f32"
    text = (
        f"program p(x: input f32[4, 3, 5], pos: input i32, y: input {declared}) -> f32[4, 3, 5] {{\n"
        f"    x[{left}] = {right}\n    return x\n}}\n"
    )
    x = -np.arange(60, dtype=np.float32).reshape(SHAPE)
    expected = x.copy()
    for at in product(*places):
        numbers = sum(at[axis] for axis, item in enumerate(items) if item == "index")
        expected[at] = y[tuple(places[axis].index(at[axis]) for axis in sliced)] + 100 * numbers
    np.testing.assert_array_equal(run(text, x=x, pos=pos, y=y)["out"], expected)


def test_what_is_assigned_may_read_what_it_changes() -> None:
    text = "program p(x: input f32[4], k: input i32) -> f32[4] {\n x[k] = x[k] + x[0]\n x[1:3] = x[2:4]\n return x\n}"
    np.testing.assert_array_equal(run(text, x=np.array([1, 2, 3, 4], np.float32), k=3)["out"], [1, 3, 5, 5])


def test_a_state_is_changed_in_place() -> None:
    text = "program p(x: input f32[2], n: input i32, s: state f32[3, 2]) -> f32[3, 2] {\n s[n] = x\n return s\n}"
    found = run(text, x=np.array([1, 2], np.float32), n=1, s=np.ones((3, 2), np.float32))
    np.testing.assert_array_equal(found["s"], [[1, 1], [1, 2], [1, 1]])
    np.testing.assert_array_equal(found["out"], found["s"])


def test_a_name_with_a_value_is_a_place_and_another_an_index() -> None:
    text = "program p(x: input f32[3, 3]) -> f32[3, 3] {\n for t in 0:2 {\n x[t, j] = f32(j)\n }\n return x\n}"
    np.testing.assert_array_equal(run(text, x=-np.ones((3, 3), np.float32))["out"], [[0, 1, 2], [0, 1, 2], [-1] * 3])
