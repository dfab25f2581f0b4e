"""`semantics zero_annihilates`: a product with a factor 0 is 0, in the reference, after every pass and on the mesh."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import emulator
from compiler.frontend import load, lower
from compiler.ir import Contract, TensorGraph
from compiler.numerics import DType
from compiler.numerics.dtypes import round_to
from compiler.passes import run_pipeline
from compiler.pipeline import CompileOptions, compile_graph
from compiler.target.load import load_machine
from runtime.reference import compare, evaluate, evaluate_with_bounds

Array = NDArray[np.generic]
Double = NDArray[np.float64]
STRANGE = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-40, 3e38])

PROGRAMS = {
    "elementwise": ("x: input T[40, 33], y: input T[40, 33]", "T[40, 33]", "return x * y * exp(x)"),
    "product": ("x: input T[40, 50], y: input T[50, 36]", "T[40, 36]", "return x @ y"),
    "transposed": ("x: input T[40, 50], y: input T[36, 50]", "T[40, 36]", "return relu(x) @ y.T + 1.0"),
    "batch": ("x: input T[3, 5, 33], y: input T[3, 33, 4]", "T[3, 5, 4]", "return x @ y"),
    "map and sum": ("x: input T[40, 50], y: input T[40, 50]", "T[40]", "r[i] = sum(k) x[i, k] * y[i, k]\nreturn r"),
    "mean": ("x: input T[40, 50], y: input T[50]", "T[40]", "r[i] = mean(k) x[i, k] * y[k]\nreturn r"),
    "convolution": (
        "x: input T[2, 9, 9], y: input T[4, 2, 3, 3]",
        "T[4, 7, 7]",
        "r[o, i, j] = sum(c, p, q) x[c, i + p, j + q] * y[o, c, p, q]\nreturn r",
    ),
    "gate": (
        "x: input T[40, 8], y: input T[40, 1], z: weight T[8, 20]",
        "T[40, 20]",
        "return where(y != 0, y * exp(x @ z), 0)",
    ),
    "plain gate": ("x: input T[40, 8], y: input T[40, 1], z: weight T[8, 20]", "T[40, 20]", "return y * exp(x @ z)"),
    "library": ("x: input T[5, 9]", "T[5, 9]", "return silu(x) + tril(x)"),
    "gathered": ("x: input T[5, 9], n: input i32[4]", "T[4, 9]", "r[t, ...] = x[n[t], ...]\nreturn r"),
}


def graph_of(name: str, dtype: str, *, annihilates: bool = True, clause: str = "") -> TensorGraph:
    parameters, result, body = (text.replace("T[", f"{dtype}[") for text in PROGRAMS[name])
    head = "semantics zero_annihilates\n" if annihilates else ""
    text = f"{head}program p({parameters}) -> {result} {{\n{body}{clause}\n}}"
    return lower(load(text, "t.mesh"), None, {})


def values(graph: TensorGraph, seed: int, share: float) -> dict[str, Array]:
    """Normal deviates, of which a `share` is replaced by zeros, denormals, infinities and NaN."""
    rng = np.random.default_rng(seed)
    found: dict[str, Array] = {}
    for op in graph.ops:
        if hasattr(op.kind, "name"):
            shape = op.type.shape
            if op.type.dtype is DType.I32:
                found[op.kind.name] = rng.integers(-2, 8, shape, np.int32)
                continue
            whole = np.where(rng.random(shape) < 0.5, rng.integers(-2, 3, shape), rng.standard_normal(shape))
            odd = np.where(rng.random(shape) < share, rng.choice(STRANGE, shape), whole)
            found[op.kind.name] = round_to(odd.astype(np.float32), op.type.dtype)
    return found


def mulz(x: Double, y: Double) -> Double:
    with np.errstate(all="ignore"):
        return np.where((x == 0) | (y == 0), 0.0, x * y)


@given(st.sampled_from(["f32", "bf16"]), st.integers(0, 1 << 20), st.sampled_from([0.0, 0.02, 0.5]))
def test_the_reference_sums_products_one_by_one(dtype: str, seed: int, share: float) -> None:
    graph = graph_of("product", dtype)
    tensors = values(graph, seed, share)
    (found,) = evaluate(graph, tensors).values()
    x, y = (tensors[name].astype(np.float64) for name in "xy")
    with np.errstate(all="ignore"):
        wanted = round_to(mulz(x[:, :, None], y).sum(1).astype(np.float32), DType(dtype))
    same = np.isnan(wanted) == np.isnan(found)
    assert same.all()
    with np.errstate(all="ignore"):
        size = mulz(np.abs(x)[:, :, None], np.abs(y)).sum(1)  # large terms that cancel leave what rounding left of them
        got, exact = found.astype(np.float64), wanted.astype(np.float64)
        near = np.abs(got - exact) <= 2e-2 * np.abs(exact) + 1e-5 + 2**-20 * size
    assert (near | (got == exact) | np.isnan(exact)).all()


@given(st.sampled_from(["f32", "bf16"]), st.integers(0, 1 << 20), st.sampled_from([0.02, 0.5]))
def test_elements_are_multiplied_as_they_are_unless_a_zero_meets_what_is_not_finite(
    dtype: str, seed: int, share: float
) -> None:
    text = f"program p(x: input {dtype}[40, 33], y: input {dtype}[40, 33]) -> {dtype}[40, 33] {{ return x * y }}"
    plain = lower(load(text, "t.mesh"), None, {})
    changed = lower(load(f"semantics zero_annihilates\n{text}", "t.mesh"), None, {})
    tensors = values(plain, seed, share)
    (before,), (after,) = evaluate(plain, tensors).values(), evaluate(changed, tensors).values()
    zero = (tensors["x"] == 0) | (tensors["y"] == 0)
    assert (after[zero] == 0).all()
    np.testing.assert_array_equal(before[~zero].astype(np.float64), after[~zero].astype(np.float64))
    kept = ~(zero & np.isnan(before))
    assert (np.signbit(before[kept]) == np.signbit(after[kept])).all()


@given(
    st.sampled_from(sorted(PROGRAMS)),
    st.sampled_from(["f32", "bf16"]),
    st.integers(0, 1 << 20),
    st.sampled_from([0.0, 0.05]),
)
def test_passes_keep_the_meaning(name: str, dtype: str, seed: int, share: float) -> None:
    graph = graph_of(name, dtype)
    tensors = values(graph, seed, share)
    for output, value in evaluate(run_pipeline(graph, check=True), tensors).items():
        np.testing.assert_array_equal(value.astype(np.float64), evaluate(graph, tensors)[output].astype(np.float64))


@pytest.mark.parametrize("dtype", ["f32", "bf16"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_mesh_agrees_with_the_reference(name: str, dtype: str) -> None:
    graph = graph_of(name, dtype)
    image = compile_graph(graph, load_machine("mesh_4x4"), CompileOptions(check_passes=True)).image
    for seed, share in enumerate((0.0, 0.01, 0.3)):
        tensors = values(graph, seed, share)
        outputs = emulator.run(image, tensors).outputs
        for output, (value, bound) in evaluate_with_bounds(graph, tensors).items():
            comparison = compare(value, bound, outputs[output])
            assert comparison.ok, (seed, comparison)
            assert np.isfinite(bound).mean() > 0.3


@pytest.mark.parametrize("fidelity", ["lofi", "hifi2", "hifi3"])
def test_parts_of_products_annihilate_as_well(fidelity: str) -> None:
    graph = graph_of("product", "bf16", clause=f" fidelity({fidelity})")
    assert any(isinstance(op.kind, Contract) and op.kind.annihilates for op in graph.ops)
    image = compile_graph(graph, load_machine("mesh_4x4"), CompileOptions(check_passes=True)).image
    tensors = values(graph, 5, 0.05)
    outputs = emulator.run(image, tensors).outputs
    for output, (value, bound) in evaluate_with_bounds(graph, tensors).items():
        assert compare(value, bound, outputs[output]).ok
    wide = {name: array.astype(np.float32) for name, array in tensors.items()}
    rows = np.flatnonzero((wide["x"] == 0).all(1))
    assert (outputs["out"][rows] == 0).all()


def test_it_costs_what_products_cost() -> None:
    machine = load_machine("mesh_4x4")
    for name in ("elementwise", "product"):
        spans = []
        for annihilates in (False, True):
            graph = graph_of(name, "bf16", annihilates=annihilates)
            tensors = values(graph, 0, 0.0)
            spans.append(emulator.run(compile_graph(graph, machine).image, tensors).profile.makespan)
        assert spans[0] == spans[1]
