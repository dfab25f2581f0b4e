"""Programs with every element type: what they mean, what is refused, and what a contraction then reads."""

import numpy as np
import pytest

from compiler.diagnostics import DiagnosticError
from compiler.frontend import load, lower
from compiler.ir import Contract, TensorGraph
from compiler.numerics import DType
from compiler.numerics.dtypes import FLOATS, INTEGERS, round_to
from compiler.passes import run_pipeline
from runtime.reference import evaluate
from runtime.testing.strategies import tensors_for

BLOCKS = [dtype for dtype in DType if dtype.is_block]


def graph_of(text: str) -> TensorGraph:
    return lower(load(text, "p.mesh"), None, {})


def refused(text: str) -> list[str]:
    with pytest.raises(DiagnosticError) as caught:
        graph_of(text)
    return [f"{found.code} {found.message}" for found in caught.value.diagnostics]


@pytest.mark.parametrize("dtype", FLOATS)
def test_every_step_of_a_float_is_rounded(dtype: DType) -> None:
    name = dtype.value
    graph = graph_of(f"program p(x: input {name}[40], y: input {name}[40]) -> {name}[40] {{ return x * y + 1 }}")
    fed = tensors_for(graph, 0, whole=False)
    x, y = (fed[key].astype(np.float32) for key in "xy")
    product = round_to(x * y, dtype).astype(np.float32)
    np.testing.assert_array_equal(evaluate(graph, fed)["out"], round_to(product + np.float32(1), dtype))


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_wrap(dtype: DType) -> None:
    name = dtype.value
    graph = graph_of(
        f"program p(x: input {name}[4, 32]) -> (y: {name}[4, 32], z: {name}[4]) {{ return x * x, sum(x, axis=1) }}"
    )
    x = np.random.default_rng(0).integers(0, 256, (4, 32)).astype(dtype.numpy)
    found = evaluate(graph, {"x": x})
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(found["y"], x * x)
        np.testing.assert_array_equal(found["z"], x.sum(axis=1, dtype=dtype.numpy))


@pytest.mark.parametrize("dtype", BLOCKS)
@pytest.mark.parametrize(
    ("expression", "what"),
    [
        ("x + x", "E0311 `+` takes"),
        ("x == x", "E0311 `==` takes"),
        ("x @ x", "E0311 `@` takes"),
        ("sum(x, axis=0)", "E0311 `sum` takes"),
        ("x.T", "E0311 elements of"),
        ("pad(x[0:4], axis=0, before=28)", "E0311 elements of"),
        ("reshape(x, 16, 64)", "E0311 elements of"),
    ],
)
def test_a_block_type_is_only_cast(dtype: DType, expression: str, what: str) -> None:
    name = dtype.value
    (found,) = refused(f"program p(x: input {name}[32, 32]) -> {name}[32, 32] {{ return {expression} }}")
    assert found.startswith(what)


@pytest.mark.parametrize("dtype", BLOCKS)
@pytest.mark.parametrize("text", ["y = {name}(x.T)", "y[j, i] = {name}(x[i, j])"])
def test_blocks_lie_along_the_last_axis_that_is_seen(dtype: DType, text: str) -> None:
    name = dtype.value
    body = text.format(name=name)
    graph = graph_of(f"program p(x: input f32[20, 40]) -> {name}[40, 20] {{\n    {body}\n    return y\n}}")
    fed = tensors_for(graph, 0, whole=False)
    np.testing.assert_array_equal(evaluate(graph, fed)["out"], round_to(fed["x"].T, dtype))


@pytest.mark.parametrize(
    ("dtype", "number", "found"),
    [
        ("i8", "300", "E0313 300 does not fit into an i8"),
        ("u8", "-1", "E0313 -1 does not fit into a u8"),
        ("i8", "0.5", "E0313 0.5 is not an integer"),
        ("fp8_e4m3", "500", "E0313 500 is beyond the largest fp8_e4m3"),
        ("fp8_e4m3", "inf", "E0313 inf is beyond the largest fp8_e4m3"),
    ],
)
def test_a_number_that_a_type_does_not_have(dtype: str, number: str, found: str) -> None:
    (message,) = refused(f"program p(x: input {dtype}[4]) -> {dtype}[4] {{ return x + ({number}) }}")
    assert message.startswith(found)


def test_two_element_types_do_not_mix() -> None:
    (message,) = refused("program p(x: input bf16[4], y: input f16[4]) -> bf16[4] { return x + y }")
    assert message.startswith("E0304")


@pytest.mark.parametrize(
    ("left", "right", "through", "read"),
    [
        (DType.BF16, DType.BFP8, "bf16", (DType.BF16, DType.BFP8)),
        (DType.BFP4, DType.BFP8, "bf16", (DType.BFP4, DType.BFP8)),
        (DType.FP8_E4M3, DType.FP8_E5M2, "f32", (DType.FP8_E4M3, DType.FP8_E5M2)),
        (DType.I8, DType.I8, "i32", (DType.I8, DType.I8)),
        (DType.U8, DType.U8, "i32", (DType.U8, DType.U8)),
        (DType.F16, DType.F16, "f32", (DType.F16, DType.F16)),
        (DType.I8, DType.U8, "i32", (DType.I32, DType.I32)),
        (DType.I8, DType.I8, "f32", (DType.F32, DType.F32)),
        (DType.F16, DType.BFP8, "f32", (DType.F32, DType.F32)),
    ],
)
def test_a_contraction_reads_what_is_stored(left: DType, right: DType, through: str, read: tuple[DType, DType]) -> None:
    graph = graph_of(
        f"program p(x: input {left.value}[8, 32], w: weight {right.value}[32, 8]) -> {through}[8, 8]"
        f" {{ return {through}(x) @ {through}(w) }}"
    )
    after = run_pipeline(graph)
    (product,) = (op for op in after.ops if isinstance(op.kind, Contract))
    assert tuple(after.ops[value].type.dtype for value in product.inputs[:2]) == read
    fed = tensors_for(graph, 0, whole=False)
    np.testing.assert_array_equal(evaluate(graph, fed)["out"], evaluate(after, fed)["out"])


def test_a_cast_that_wraps_is_not_one_that_saturates() -> None:
    text = "program p(x: input u8[256]) -> (i8[256], i8[256]) { return i8(x), i8(f32(x)) }"
    graph = run_pipeline(graph_of(text))
    x = np.arange(256).astype(np.uint8)
    wrapped, saturated = evaluate(graph, {"x": x}).values()
    np.testing.assert_array_equal(wrapped, x.view(np.int8))
    np.testing.assert_array_equal(saturated, np.minimum(x, 127).astype(np.int8))
