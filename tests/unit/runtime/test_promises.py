"""What a program was promised is checked on what it is fed: `finite`, and zeros where it was compiled for zeros."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.diagnostics import DiagnosticError
from compiler.frontend import load, lower
from compiler.numerics import TILE, DType, TileGrid
from compiler.numerics.masks import TileMask
from compiler.pipeline import compile_graph
from compiler.program.image import Image, Role
from compiler.target.load import load_machine
from runtime.feed import random_array
from runtime.promises import check_promises, within_promise
from runtime.session import Session

STRANGE = (np.nan, np.inf, -np.inf)


@dataclass(frozen=True, slots=True)
class Promised:
    shape: tuple[int, ...]
    dtype: DType = DType.F32
    name: str = "w"
    role: Role = Role.WEIGHT
    live: TileMask | None = None
    finite: bool = False


SHAPES = st.lists(st.integers(1, 70), min_size=0, max_size=3).map(tuple).filter(lambda shape: np.prod(shape) < 20_000)


def refused(tensor: Promised, array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> str:
    with pytest.raises(DiagnosticError) as error:
        check_promises(tensor, array, "the array in `w.npy`")
    (diagnostic,) = error.value.diagnostics
    assert diagnostic.code == "E0528"
    return " ".join((diagnostic.message, *diagnostic.notes, *diagnostic.helps))


@given(SHAPES, st.sampled_from([DType.F32, DType.BF16]), st.sampled_from(STRANGE), st.integers(0, 1 << 20))
def test_the_first_element_that_is_not_finite_is_named(
    shape: tuple[int, ...], dtype: DType, value: float, place: int
) -> None:
    tensor = Promised(shape, dtype, finite=True)
    array = np.array(random_array(tensor, 0))
    check_promises(tensor, array)
    place %= array.size
    array.reshape(-1)[place:] = value
    check_promises(Promised(shape, dtype), array)
    text = refused(tensor, array)
    at = [int(i) for i in np.unravel_index(place, shape)] if shape else []
    assert f"`w` is promised to be finite, but element {at} of the array in `w.npy` is {float(value)}" in text
    assert f"{array.size - place} of {array.size} elements" in text
    assert "`numpy.nan_to_num`" in text


def test_whole_numbers_are_finite() -> None:
    check_promises(Promised((3,), DType.I32, finite=True), np.arange(3, dtype=np.int32))


@given(SHAPES, st.integers(0, 1000), st.integers(0, 1 << 20))
def test_a_tile_that_should_be_zero_is_named(shape: tuple[int, ...], seed: int, place: int) -> None:
    generator = np.random.default_rng(seed)
    live = TileMask.of(generator.random(TileGrid(shape).dims) < 0.5)
    tensor = Promised(shape, live=live)
    array = np.array(within_promise(tensor, np.ones(shape, np.float32)))
    check_promises(tensor, array)
    matrix = TileGrid(shape).matrix_shape
    at = np.unravel_index(place % array.size, matrix)
    tile = [*at[:-2], at[-2] // TILE, at[-1] // TILE]
    alive = bool(live.array[tuple(tile)])
    assert array.reshape(matrix)[at] == alive
    array.reshape(matrix)[at] = np.nan
    if alive:
        check_promises(tensor, array)
        return
    text = refused(tensor, array)
    named = [int(i) for i in tile[len(matrix) - len(shape) :]]
    assert f"compiled for a `w` that is zero in tile {named}" in text
    assert f"is {array.reshape(matrix)[at]}" in text
    assert f"{live.array.size - live.count} of {live.array.size} tiles" in text


def test_either_zero_is_a_zero() -> None:
    tensor = Promised((2, 2), live=TileMask.of(np.zeros((1, 1), np.bool_)))
    check_promises(tensor, np.array([[0.0, -0.0], [-0.0, 0.0]], np.float32))


PROGRAM = """
program p(x: input f32[4] finite, y: input f32[4], s: state f32[4] finite) -> f32[4] {
    s = s + y
    return x + y
}
"""


@pytest.fixture(scope="module")
def image() -> Image:
    return compile_graph(lower(load(PROGRAM, "p.mesh"), None, {}), load_machine("mesh_4x4")).image


def test_a_session_refuses_what_breaks_a_promise(image: Image) -> None:
    session = Session(image)
    assert [tensor.name for tensor in session.declared.values() if tensor.finite] == ["x", "s"]
    good, bad = np.ones(4, np.float32), np.array([1, 2, np.inf, 4], np.float32)
    session.feed("y", good)
    for name in ("x", "s"):
        with pytest.raises(DiagnosticError, match=r"E0528.*`[xs]` is promised to be finite, but element \[2\]"):
            session.feed(name, bad)
    session.feed("x", good)
    session.run()
    session.feed("y", bad)
    session.run()
    with pytest.raises(DiagnosticError, match=r"E0528.*`s` .* of what the run before made of it is inf"):
        session.run()
    with pytest.raises(DiagnosticError, match=r"E0528.*what is shared"):
        Session(image, shares=session)
    session.reset()
    session.run()
