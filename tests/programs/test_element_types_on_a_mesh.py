"""Every element type from the source to the emulated mesh, against the reference; what narrow types save."""

import numpy as np
import pytest

import emulator
from compiler.frontend import load, lower
from compiler.ir import TensorGraph
from compiler.numerics import DType
from compiler.numerics.dtypes import FLOATS, INTEGERS
from compiler.pipeline import CompileOptions, compile_graph
from compiler.target import load_machine
from runtime.reference import compare, evaluate_with_bounds
from runtime.testing.strategies import tensors_for

MESH = load_machine("mesh_4x4")
STORED = [dtype for dtype in DType if dtype.is_float and dtype is not DType.F32]
BLOCKS = [dtype for dtype in DType if dtype.is_block]


def graph_of(text: str) -> TensorGraph:
    return lower(load(text, "p.mesh"), None, {})


def run(graph: TensorGraph, *, whole: bool) -> emulator.RunResult:
    """Run on drawn data; every output lies within its bound."""
    compiled = compile_graph(graph, MESH, CompileOptions(check_passes=True))
    fed = tensors_for(graph, 5, whole=whole)
    result = emulator.run(compiled.image, fed)
    for name, (value, bound) in evaluate_with_bounds(graph, fed).items():
        comparison = compare(value, bound, result.outputs[name])
        assert comparison.ok, (name, comparison)
        assert result.outputs[name].dtype == value.dtype
    return result


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("dtype", FLOATS)
def test_arithmetic_of_floats(dtype: DType, whole: bool) -> None:
    name = dtype.value
    run(
        graph_of(
            f"""
program p(x: input {name}[40, 70], w: weight {name}[70, 33], b: weight {name}[33])
        -> (y: {name}[40, 33], m: {name}[40]) {{
    h = x @ w + b
    return h * sigmoid(h), max(h, axis=1)
}}
"""
        ),
        whole=whole,
    )


@pytest.mark.parametrize("dtype", INTEGERS)
def test_arithmetic_of_integers(dtype: DType) -> None:
    name = dtype.value
    graph = graph_of(
        f"""
program p(x: input {name}[40, 70], w: weight {name}[70, 33]) -> (y: {name}[40, 33], z: i32[40, 33], s: {name}[70]) {{
    return (x @ w) * 5 - 7, i32(x) @ i32(w), sum(x, axis=0) / 3
}}
"""
    )
    run(graph, whole=True)
    assert not any(
        np.any(bound) for _, bound in evaluate_with_bounds(graph, tensors_for(graph, 5, whole=True)).values()
    )


@pytest.mark.parametrize(("stored", "result"), list(zip(STORED, [*STORED[3:], *STORED[:3]], strict=True)))
def test_products_of_stored_weights(stored: DType, result: DType) -> None:
    """What a tile holds beyond the tensor, `exp(0)` here, is no neighbor of an element."""
    wide = "bf16" if stored is not DType.F16 else "f32"
    run(
        graph_of(
            f"""
program p(x: input {wide}[40, 70], w: weight {stored.value}[70, 37], v: weight {stored.value}[37, 70])
        -> (y: {result.value}[40, 37], t: {result.value}[40, 37]) {{
    return {result.value}(exp(x @ {wide}(w))), {result.value}(x @ {wide}(v).T)
}}
"""
        ),
        whole=False,
    )


@pytest.mark.parametrize("dtype", BLOCKS)
def test_a_state_in_blocks(dtype: DType) -> None:
    name = dtype.value
    run(
        graph_of(
            f"""
program p(x: input f32[5, 40], rows: state {name}[5, 40]) -> (same: {name}[5, 40], wide: f32[40]) {{
    before = rows
    rows = {name}(f32(rows) * 0.5 + x)
    return before, sum(f32(rows), axis=0)
}}
"""
        ),
        whole=False,
    )


def test_casts_to_blocks() -> None:
    """From every type, in shapes that fill no tile and no block."""
    for source in DType:
        results = ", ".join(f"{target.value}[3, 37]" for target in BLOCKS)
        casts = ", ".join(f"{target.value}(x)" for target in BLOCKS)
        run(graph_of(f"program p(x: input {source.value}[3, 37]) -> ({results}) {{ return {casts} }}"), whole=False)


def test_narrow_weights_are_read_and_multiplied_faster() -> None:
    def makespan(stored: str) -> int:
        graph = graph_of(
            f"program p(x: input {stored}[128, 512], w: weight {stored}[512, 256]) -> bf16[128, 256]"
            " { return bf16(x) @ bf16(w) }"
        )
        return run(graph, whole=False).profile.makespan

    spans = [makespan(stored) for stored in ("bf16", "bfp8", "bfp4", "bfp2")]
    assert spans == sorted(spans, reverse=True)
    assert spans[0] > 1.5 * spans[2]
