"""Subscripts by tensors: rows are moved, elements along the last axis are products, and both give the elements."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from compiler.diagnostics import DiagnosticError
from compiler.frontend import load, lower
from compiler.ir import Contract, GraphBuilder, Slice, Take, TensorGraph, TensorType
from compiler.numerics import DType
from compiler.passes.pipeline import run_pipeline
from runtime.reference import evaluate

Array = NDArray[np.generic]
RNG = np.random.default_rng(3)
SHAPES = {
    "x": (7, 6),
    "z": (3, 7, 6),
    "w": (5, 32, 6),
    "u": (5, 3, 6),
    "deep": (4, 2, 32, 6),
}
VALUES: dict[str, Array] = {name: RNG.standard_normal(shape).astype(np.float32) for name, shape in SHAPES.items()}
INDICES: dict[str, Array] = {
    "i": np.array([3, -1, 6, 7, 0, 3], np.int32),
    "k": np.array([[3, -1], [6, 70], [0, 2**31 - 1]], np.int32),
    "j": np.array([6, 7, 2], np.int32),
    "one": np.array(4, np.int32),
}
FED = VALUES | INDICES
PARAMETERS = ", ".join(
    f"{name}: input {'f32' if name in VALUES else 'i32'}{list(value.shape) if value.shape else ''}"
    for name, value in FED.items()
)


def program(body: str, result: str) -> TensorGraph:
    return lower(load(f"program t({PARAMETERS}) -> {result} {{\n{body}\n}}", "t.mesh"), None, {})


def rows(values: Array, numbers: Array, axis: int) -> Array:
    """What is found along `axis` at each of `numbers`, whose axes come first."""
    moved = np.moveaxis(values, axis, 0)
    found = [moved[n] if 0 <= n < len(moved) else np.zeros_like(moved[0]) for n in numbers.ravel().tolist()]
    return np.stack(found).reshape(*numbers.shape, *moved.shape[1:])


CASES: dict[str, tuple[str, Callable[[], Array]]] = {
    "y[t, ...] = x[i[t], ...]": ("f32[6, 6]", lambda: rows(FED["x"], FED["i"], 0)),
    "y[t, d] = x[i[t], d]": ("f32[6, 6]", lambda: rows(FED["x"], FED["i"], 0)),
    "y[d, t] = x[i[t], d]": ("f32[6, 6]", lambda: rows(FED["x"], FED["i"], 0).T),
    "y = x[one]": ("f32[6]", lambda: FED["x"][4]),
    "y = take(x, i)": ("f32[6, 6]", lambda: rows(FED["x"], FED["i"], 0)),
    "y = take(x, k)": ("f32[3, 2, 6]", lambda: rows(FED["x"], FED["k"], 0)),
    "y = embedding(k, x)": ("f32[3, 2, 6]", lambda: rows(FED["x"], FED["k"], 0)),
    "y = take(z, i, axis=1)": ("f32[3, 6, 6]", lambda: np.moveaxis(rows(FED["z"], FED["i"], 1), 0, 1)),
    "y[b, t, d] = z[b, k[b, t], d]": (
        "f32[3, 2, 6]",
        lambda: np.stack([rows(z, k, 0) for z, k in zip(FED["z"], FED["k"], strict=True)]),
    ),
    "y[b, d] = z[b, j[b], d]": (
        "f32[3, 6]",
        lambda: np.stack([rows(FED["z"][b], FED["j"][b], 0) for b in range(3)]),
    ),
    "y[t, ...] = w[i[t], ...]": ("f32[6, 32, 6]", lambda: rows(FED["w"], FED["i"], 0)),
    "y[t, ...] = u[i[t], ...]": ("f32[6, 3, 6]", lambda: rows(FED["u"], FED["i"], 0)),
    "y = take(deep, k)": ("f32[3, 2, 2, 32, 6]", lambda: rows(FED["deep"], FED["k"], 0)),
    "y = take(deep, i, axis=1)": ("f32[4, 6, 32, 6]", lambda: np.moveaxis(rows(FED["deep"], FED["i"], 1), 0, 1)),
    "y = w[one]": ("f32[32, 6]", lambda: FED["w"][4]),
}


@pytest.mark.parametrize("statement", CASES)
def test_rows_are_moved(statement: str) -> None:
    result, expected = CASES[statement]
    for graph in (program(f"{statement}\nreturn y", result), run_pipeline(program(f"{statement}\nreturn y", result))):
        kinds = {type(op.kind) for op in graph.ops}
        assert Take in kinds
        assert Contract not in kinds
        (value,) = evaluate(graph, FED).values()
        np.testing.assert_array_equal(value, expected())


@pytest.mark.parametrize(
    ("statement", "result", "expected"),
    [
        ("y = take(x, i, axis=1)", "f32[7, 6]", lambda: rows(FED["x"], FED["i"], 1).T),
        ("y[t, d] = x[t, i[d]]", "f32[7, 6]", lambda: rows(FED["x"], FED["i"], 1).T),
        ("y[d] = x[i[d], d]", "f32[6]", lambda: rows(FED["x"], FED["i"], 0).diagonal()),
    ],
)
def test_the_last_axis_is_a_product(statement: str, result: str, expected: Callable[[], Array]) -> None:
    graph = program(f"{statement}\nreturn y", result)
    assert Take not in {type(op.kind) for op in graph.ops}
    (value,) = evaluate(graph, FED).values()
    np.testing.assert_allclose(value.astype(np.float64), expected().astype(np.float64))


def test_what_is_not_picked_does_not_matter() -> None:
    values = FED | {"x": np.where(np.isin(np.arange(7), [0, 3, 6])[:, None], FED["x"], np.nan).astype(np.float32)}
    (value,) = evaluate(program("y = take(x, i)\nreturn y", "f32[6, 6]"), values).values()
    np.testing.assert_array_equal(value, rows(FED["x"], FED["i"], 0))


@pytest.mark.parametrize(("rows", "moves"), [([1, 3, 5], True), ([6], True), ([5, 6, 7], False), ([3, 1], False)])
def test_rows_that_are_known_are_sliced(rows: list[int], moves: bool) -> None:
    builder = GraphBuilder("known")
    numbers = builder.constant(np.array([rows]), DType.I32)
    builder.output("y", builder.take(builder.input("x", TensorType((7, 6), DType.F32)), numbers, len(rows)))
    graph = run_pipeline(builder.build(), check=True)
    assert (Take in {type(op.kind) for op in graph.ops}) is not moves
    (value,) = evaluate(graph, {"x": VALUES["x"]}).values()
    np.testing.assert_array_equal(value, np.stack([VALUES["x"][n] if n < 7 else np.zeros(6) for n in rows]))


def test_the_first_rows_are_sliced() -> None:
    graph = run_pipeline(program("return take(x, iota(5))", "f32[5, 6]"), check=True)
    assert Slice in {type(op.kind) for op in graph.ops}
    (value,) = evaluate(graph, FED).values()
    np.testing.assert_array_equal(value, VALUES["x"][:5])


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("y[t, d] = x[f32(i[t]), d]\nreturn y", "E0204"),
        ("y[t, d] = x[i8(i[t]), d]\nreturn y", "E0204"),
        ("return x[i]", "E0204"),
        ("return take(x, f32(i))", "E0204"),
        ("return take(x > 0.0, i)", "E0311"),
        ("return take(x, 3)", "E0313"),
    ],
)
def test_wrong_numbers_are_refused(body: str, code: str) -> None:
    with pytest.raises(DiagnosticError) as caught:
        program(body, "f32[6, 6]")
    assert [diagnostic.code for diagnostic in caught.value.diagnostics] == [code]


@given(st.sampled_from([DType.F32, DType.BF16, DType.F16, DType.I32, DType.I8, DType.FP8_E4M3]), st.integers(0, 9))
def test_every_type_of_elements_is_moved(dtype: DType, seed: int) -> None:
    source = f"program t(x: input {dtype.value}[9, 4], i: input i32[5]) -> {dtype.value}[5, 4] {{ return take(x, i) }}"
    graph = lower(load(source, "t.mesh"), None, {})
    generator = np.random.default_rng(seed)
    x = generator.integers(-5, 6, (9, 4)).astype(dtype.numpy)
    i = generator.integers(-2, 11, 5).astype(np.int32)
    (value,) = evaluate(graph, {"x": x, "i": i}).values()
    np.testing.assert_array_equal(value, rows(x, i, 0))
