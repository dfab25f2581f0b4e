"""The reference against arithmetic done one number at a time, and the bounds at known places."""

from math import erf, exp, inf, isnan, nan
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from compiler.diagnostics import InternalError
from compiler.ir import parse_graph
from compiler.numerics.evaluate import Array
from runtime.reference import compare, evaluate, evaluate_with_bounds

I32_MIN, I32_MAX = -(2**31), 2**31 - 1
NUMPY = {"f32": np.float32, "bf16": ml_dtypes.bfloat16, "i32": np.int32, "bool": np.bool_}


def mapped(text: str, dtype: str, result: str, *operands: object) -> Any:
    """`map text` of one-element operands of type `dtype`."""
    names = [f"%{i}: {dtype}[1] = input v{i}" for i in range(len(operands))]
    values = ", ".join(f"%{i}" for i in range(len(operands)))
    last = f"%{len(operands)}: {result}[1] = map {text} {values}"
    graph = parse_graph("\n".join(["graph g", *names, last, f"return y = %{len(operands)}"]))
    tensors = {f"v{i}": np.array([v]).astype(NUMPY[dtype]) for i, v in enumerate(operands)}
    return evaluate(graph, tensors)["y"][0]


@pytest.mark.parametrize(
    ("text", "operands", "expected"),
    [
        ("div(arg0, arg1)", (-7, 2), -4),
        ("div(arg0, arg1)", (7, 0), 0),
        ("div(arg0, arg1)", (I32_MIN, -1), I32_MIN),
        ("mod(arg0, arg1)", (-7, 3), 2),
        ("mod(arg0, arg1)", (7, -3), -2),
        ("mod(arg0, arg1)", (7, 0), 0),
        ("add(arg0, arg1)", (I32_MAX, 1), I32_MIN),
        ("mul(arg0, arg1)", (65536, 65536), 0),
        ("neg(arg0)", (I32_MIN,), I32_MIN),
        ("abs(arg0)", (I32_MIN,), I32_MIN),
    ],
)
def test_i32(text: str, operands: tuple[int, ...], expected: int) -> None:
    assert mapped(text, "i32", "i32", *operands) == expected


@pytest.mark.parametrize(
    ("text", "operands", "expected"),
    [
        ("round(arg0)", (2.5,), 2.0),
        ("round(arg0)", (-0.5,), -0.0),
        ("sign(arg0)", (-0.0,), 0.0),
        ("sign(arg0)", (nan,), nan),
        ("mod(arg0, arg1)", (-1.0, 3.0), 2.0),
        ("mod(arg0, arg1)", (1.0, -3.0), -2.0),
        ("max(arg0, arg1)", (nan, 1.0), nan),
        ("min(arg0, arg1)", (1.0, nan), nan),
        ("div(arg0, arg1)", (1.0, 0.0), inf),
        ("div(arg0, arg1)", (1.0, -0.0), -inf),
        ("rsqrt(arg0)", (0.25,), 2.0),
        ("rsqrt(arg0)", (0.0,), inf),
        ("erf(arg0)", (0.5,), float(np.float32(erf(0.5)))),
        ("log(arg0)", (-1.0,), nan),
        ("exp(arg0)", (100.0,), inf),
    ],
)
def test_f32(text: str, operands: tuple[float, ...], expected: float) -> None:
    found = float(mapped(text, "f32", "f32", *operands))
    assert isnan(found) if isnan(expected) else (found, np.signbit(found)) == (expected, np.signbit(expected))


@pytest.mark.parametrize(
    ("operand", "expected"), [(2.9, 2), (-2.9, -2), (nan, 0), (inf, I32_MAX), (-inf, I32_MIN), (3e9, I32_MAX)]
)
def test_a_cast_to_i32_truncates_and_saturates(operand: float, expected: int) -> None:
    assert mapped("cast(i32, arg0)", "f32", "i32", operand) == expected


def test_every_step_of_bf16_rounds() -> None:
    assert mapped("sub(add(arg0, arg1), arg0)", "bf16", "bf16", 256.0, 1.0) == 0.0
    assert mapped("cast(bf16, add(cast(f32, arg0), cast(f32, arg1)))", "bf16", "bf16", 256.0, 3.0) == 260.0
    assert mapped("cast(bool, arg0)", "bf16", "bool", nan)
    assert mapped("cast(bf16, arg0)", "i32", "bf16", 257) == 256.0


def test_sums_accumulate_wide_and_round_once() -> None:
    graph = parse_graph(
        "graph g\n%0: bf16[1, 3] = input x\n"
        "%1: bf16[1, 1] = reduce sum [1] cast(f32, arg0) %0 then cast(bf16, arg0)\nreturn y = %1"
    )
    x = np.array([[256.0, 1.0, 1.0]]).astype(ml_dtypes.bfloat16)
    assert evaluate(graph, {"x": x})["y"] == 258.0
    assert not np.signbit(evaluate(graph, {"x": (-0.0 * x).astype(x.dtype)})["y"].astype(np.float32)).any()


def test_contractions_sum_over_every_letter_that_is_not_in_the_result() -> None:
    graph = parse_graph(
        "graph g\n%0: i32[2, 3, 5, 4] = input x\n%1: i32[3, 2, 6, 5] = input w\n"
        "%2: i32[2, 4, 6] = contract bckm,cbnk->bmn %0, %1 then arg0\nreturn y = %2"
    )
    generator = np.random.default_rng(0)
    x = generator.integers(-9, 9, (2, 3, 5, 4), dtype=np.int32)
    w = generator.integers(-9, 9, (3, 2, 6, 5), dtype=np.int32)
    found = evaluate(graph, {"x": x, "w": w})["y"]
    assert np.array_equal(found, np.einsum("bckm,cbnk->bmn", x, w))


def test_what_is_fed_must_fit() -> None:
    graph = parse_graph("graph g\n%0: f32[2] = input x\nreturn y = %0")
    with pytest.raises(InternalError, match="no value is given for `x`"):
        evaluate(graph, {})
    with pytest.raises(InternalError, match=r"`x` is f32\[2\], but the value given is float64 of shape \[2\]"):
        evaluate(graph, {"x": np.zeros(2)})


def bounded(text: str, x: Array) -> tuple[Array, Array]:
    """Value and bound of the last operation of a graph with one f32 input."""
    shape = ", ".join(map(str, x.shape))
    last = text.strip().split("\n")[-1].split(":")[0]
    graph = parse_graph(f"graph g\n%0: f32[{shape}] = input x\n{text}\nreturn y = {last}")
    return evaluate_with_bounds(graph, {"x": x.astype(np.float32)})["y"]


SUM = "%1: f32[1] = reduce sum [0] arg0 %0 then arg0\n"


def test_whole_numbers_sum_exactly_below_two_to_the_24() -> None:
    assert bounded(SUM, np.full(1000, 1000.0))[1] == 0
    assert bounded(SUM, np.full(1000, 16777.0))[1] == 0
    assert 0 < bounded(SUM, np.full(1000, 16778.0))[1] < 1100
    assert 0 < bounded(SUM, np.full(1000, 0.1))[1] < 0.01


def test_functions_may_be_a_few_units_off() -> None:
    value, bound = bounded("%1: f32[1] = map exp(arg0) %0", np.array([1.0]))
    assert value[0] == np.float32(exp(1.0))
    assert 4 * np.spacing(value[0]) <= bound[0] <= 6 * np.spacing(value[0])


def test_special_values_are_exact() -> None:
    value, bound = bounded("%1: f32[4] = map log(arg0) %0", np.array([0.0, -1.0, inf, nan]))
    assert value[0] == -inf
    assert isnan(value[1])
    assert not bound.any()


def test_a_jump_is_uncertain_only_where_the_interval_crosses_it() -> None:
    near = np.full((1000,), 0.1)
    assert bounded(SUM + "%2: f32[1] = map floor(arg0) %1", near + 0.0005)[1] == 0
    assert bounded(SUM + "%2: f32[1] = map floor(arg0) %1", near)[1] == 1
    assert bounded(SUM + "%2: bool[1] = map lt(arg0, f32:50.0) %1", near)[1] == 0
    assert bounded(SUM + "%2: bool[1] = map lt(arg0, f32:100.0) %1", near)[1] == 1
    assert bounded(SUM + "%2: i32[1] = map cast(i32, arg0) %1", near)[1] == 1


def test_an_uncertain_condition_covers_both_branches() -> None:
    text = SUM + "%2: f32[1] = map where(lt(arg0, f32:100.0), f32:5.0, f32:-2.0) %1"
    value, bound = bounded(text, np.full((1000,), 0.1))
    assert (value[0], bound[0]) in ((5.0, 7.0), (-2.0, 7.0))


def test_dividing_by_what_may_be_zero_promises_nothing() -> None:
    x = np.array([0.1, 0.2, -0.3])
    assert bounded(SUM + "%2: f32[1] = map div(f32:1.0, arg0) %1", x)[1] == inf


def test_a_comparison_reports_the_worst_element() -> None:
    reference, bound = np.array([1.0, 2.0, nan, inf]), np.array([0.0, 0.5, 0.0, 0.0])
    assert compare(reference, bound, np.array([1.0, 2.5, nan, inf])).ok
    result = compare(reference, bound, np.array([1.5, 4.0, nan, inf]))
    assert (result.ok, result.mismatches, result.worst) == (False, 2, (1,))
    assert (result.reference, result.emulated, result.difference, result.bound) == (2.0, 4.0, 2.0, 0.5)
    assert not compare(reference, bound, np.array([1.0, 2.0, 0.0, inf])).ok
    assert not compare(reference, bound, np.array([1.0, 2.0, nan, -inf])).ok
    assert compare(np.array(1.0), np.array(0.0), np.array(1.0)).worst == ()
