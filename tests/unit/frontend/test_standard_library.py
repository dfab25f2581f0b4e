"""The functions of std.mesh against formulas in double precision."""

from collections.abc import Callable, Mapping
from math import erf

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray

import grammar
from compiler.frontend import load, lower
from compiler.frontend.library import library
from runtime.reference import evaluate

Double = NDArray[np.float64]
RNG = np.random.default_rng(11)
SHAPES = {"x": (3, 4, 6), "w": (6, 5), "b": (5,), "g": (6,), "h": (6,), "q": (2, 4, 8), "k": (2, 7, 8), "v": (2, 7, 3)}
VALUES = {name: 2 * RNG.standard_normal(shape) for name, shape in SHAPES.items()}


def softmax(x: Double, axis: int = -1) -> Double:
    e = np.exp(x - x.max(axis, keepdims=True))
    return np.asarray(e / e.sum(axis, keepdims=True))


def attention(q: Double, k: Double, v: Double, mask: bool | NDArray[np.bool_] = True) -> Double:
    scores = np.where(mask, q @ k.swapaxes(-1, -2) / np.sqrt(8), -np.inf)
    return np.asarray(softmax(scores) @ v)


def normal(x: Double) -> Double:
    return np.asarray((x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5))


CASES: dict[str, Callable[..., object]] = {
    "relu(x)": lambda x: np.maximum(x, 0),
    "leaky_relu(x)": lambda x: np.where(x > 0, x, 0.01 * x),
    "leaky_relu(x, slope=0.5)": lambda x: np.where(x > 0, x, 0.5 * x),
    "sigmoid(x)": lambda x: 1 / (1 + np.exp(-x)),
    "silu(x)": lambda x: x / (1 + np.exp(-x)),
    "gelu(x)": lambda x: 0.5 * x * (1 + np.vectorize(erf)(x / np.sqrt(2))),
    "gelu_tanh(x)": lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    "softplus(x)": lambda x: np.log1p(np.exp(x)),
    "softmax(x)": softmax,
    "softmax(x, axis=1)": lambda x: softmax(x, 1),
    "log_softmax(x)": lambda x: np.log(softmax(x)),
    "layernorm(x, g, h)": lambda x, g, h: normal(x) * g + h,
    "rmsnorm(x, g)": lambda x, g: x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5) * g,
    "linear(x, w)": lambda x, w: x @ w,
    "dense(x, w, b)": lambda x, w, b: x @ w + b,
    "attention(q, k, v)": attention,
    "causal_attention(q, k, v)": lambda q, k, v: attention(q, k, v, np.arange(7) <= np.arange(4)[:, None] + 3),
    "mse(g, h)": lambda g, h: ((g - h) ** 2).mean(),
    "cross_entropy(x, f(x))": lambda x: (-softmax(x) * np.log(softmax(x))).sum(-1).mean(),
}


def run(call: str, dtype: str, result: str, values: Mapping[str, NDArray[np.generic]]) -> NDArray[np.generic]:
    parameters = ", ".join(f"{name}: input {dtype}{list(SHAPES[name])}" for name in values)
    text = (
        f"fn f<T>(x: T[...]) -> T[...] {{ return softmax(x) }}\nprogram t({parameters}) -> {result} {{ return {call} }}"
    )
    (value,) = evaluate(lower(load(text, "t.mesh"), None, {}), values).values()
    return value


@pytest.mark.parametrize(("dtype", "tolerance"), [("f32", 2e-5), ("bf16", 0.05)])
@pytest.mark.parametrize("call", CASES)
def test_function_agrees_with_the_formula(call: str, dtype: str, tolerance: float) -> None:
    element = np.dtype(np.float32 if dtype == "f32" else ml_dtypes.bfloat16)
    expected = CASES[call]
    names = expected.__code__.co_varnames[: expected.__code__.co_argcount]
    values = {name: VALUES[name].astype(element) for name in names if name in VALUES}
    wanted = np.asarray(expected(*(value.astype(np.float64) for value in values.values())))
    result = f"{dtype}{list(wanted.shape)}" if wanted.shape else "f32"
    value = run(call, dtype, result, values)
    np.testing.assert_allclose(value.astype(np.float64), wanted, rtol=tolerance, atol=tolerance)


def test_every_function_has_a_case_and_a_comment() -> None:
    functions = {function.name.text for function in library().functions}
    assert functions == {call.split("(")[0] for call in CASES}
    lines = grammar.standard_library().split("\n")
    assert all(lines[function.span.line - 2].startswith("#") for function in library().functions)


@pytest.mark.parametrize("call", ["softmax(x)", "sigmoid(x)", "softplus(x)", "silu(x)", "log_softmax(x)"])
def test_large_arguments_overflow_nowhere(call: str) -> None:
    x = np.linspace(-30000, 30000, 72).reshape(SHAPES["x"]).astype(np.float32)
    assert np.isfinite(run(call, "f32", "f32[3, 4, 6]", {"x": x}).astype(np.float64)).all()


def test_a_function_of_the_file_takes_the_place_of_the_librarys() -> None:
    text = "fn relu(x: f32) -> f32 { return x + 1 }\nprogram t(x: input f32) -> f32 { return relu(x) }"
    (value,) = evaluate(lower(load(text, "t.mesh"), None, {}), {"x": np.asarray(-3, np.float32)}).values()
    assert value == -2
