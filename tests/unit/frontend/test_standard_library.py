"""The functions of std.mesh against formulas in double precision."""

import re
from collections.abc import Callable, Mapping
from inspect import signature
from math import erf

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray

import grammar
from compiler.frontend import load, lower
from compiler.frontend.library import library
from compiler.frontend.names import check
from runtime.reference import evaluate

Double = NDArray[np.float64]
RNG = np.random.default_rng(11)
SHAPES = {"x": (3, 4, 6), "w": (6, 5), "b": (5,), "g": (6,), "h": (6,), "q": (2, 4, 8), "k": (2, 7, 8), "v": (2, 7, 3)}
SHAPES |= {
    "q4": (4, 4, 8),
    "line": (2, 3, 11),
    "image": (2, 3, 9, 8),
    "k1": (5, 3, 3),
    "k2": (5, 3, 3, 2),
    "kd": (3, 3, 2),
}
SHAPES |= {"i3": (3,), "i22": (2, 2), "pos": (4,), "t": (3, 4), "s": (3, 5), "c": (3, 5)}
SHAPES |= {"wl": (4, 20), "ul": (5, 20), "bl": (20,), "wg": (4, 15), "ug": (5, 15), "bg": (15,), "cg": (15,)}
SHAPES |= {"gate": (4, 6), "w1": (6, 4, 7), "w2": (6, 7, 4)}
VALUES = {name: 2 * RNG.standard_normal(shape) for name, shape in SHAPES.items()}
VALUES |= {"i3": np.array([4, 1, 4]), "i22": np.array([[3, 0], [9, -1]]), "pos": np.array([7, 0, 3, 100])}
VALUES |= {name: VALUES[name] / 4 for name in ("wl", "ul", "wg", "ug", "w1", "w2", "gate")}
VALUES |= {"l2": np.array([3, 9]), "l3": np.array([-1, 2, 4])}
SHAPES |= {"l2": (2,), "l3": (3,)}
INTEGERS = ("i3", "i22", "pos", "l2", "l3")


def softmax(x: Double, axis: int = -1) -> Double:
    e = np.exp(x - x.max(axis, keepdims=True))
    return np.asarray(e / e.sum(axis, keepdims=True))


def masked_softmax(x: Double) -> Double:
    e = np.where(x > 0.5, np.exp(x), 0)
    total = e.sum(-1, keepdims=True)
    return np.asarray(np.divide(e, total, out=np.zeros_like(e), where=total > 0))


def attention(q: Double, k: Double, v: Double, mask: bool | NDArray[np.bool_] = True) -> Double:
    scores = np.where(mask, q @ k.swapaxes(-1, -2) / np.sqrt(8), -np.inf)
    return np.asarray(softmax(scores) @ v)


def normal(x: Double) -> Double:
    return np.asarray((x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5))


def grouped(q: Double, k: Double, v: Double, mask: bool | NDArray[np.bool_]) -> Double:
    return attention(q, k.repeat(2, 0), v.repeat(2, 0), mask)


def patches(x: Double, size: tuple[int, ...], stride: int, padding: int, border: float = 0) -> Double:
    """`[batch, channels, places..., *size]`."""
    axes = tuple(range(2, x.ndim))
    x = np.pad(x, [(0, 0)] * 2 + [(padding, padding)] * len(axes), constant_values=border)
    view = np.lib.stride_tricks.sliding_window_view(x, size, axis=axes)
    return np.asarray(view[(slice(None), slice(None), *(slice(None, None, stride) for _ in axes))])


def rotary(x: Double, pos: Double) -> Double:
    turned = (x[..., :4] + 1j * x[..., 4:]) * np.exp(1j * pos[:, None] * 10000.0 ** (-np.arange(4) / 4))
    return np.concatenate([turned.real, turned.imag], -1)


def sigmoid(x: Double) -> Double:
    return np.asarray(1 / (1 + np.exp(-x)))


def lstm(t: Double, s: Double, c: Double, wl: Double, ul: Double, bl: Double) -> tuple[Double, Double]:
    i, f, g, o = np.split(t @ wl + s @ ul + bl, 4, 1)
    cell = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return np.asarray(sigmoid(o) * np.tanh(cell)), cell


def gru(t: Double, s: Double, wg: Double, ug: Double, bg: Double, cg: Double) -> Double:
    (xr, xz, xn), (hr, hz, hn) = np.split(t @ wg + bg, 3, 1), np.split(s @ ug + cg, 3, 1)
    z = sigmoid(xz + hz)
    return np.asarray((1 - z) * np.tanh(xn + sigmoid(xr + hr) * hn) + z * s)


def there(x: Double, length: Double) -> Double:
    return np.asarray(x * (np.arange(x.shape[1]) < length[:, None])[..., None])


def experts(t: Double, gate: Double, w1: Double, w2: Double) -> Double:
    out = np.zeros_like(t)
    for row, token in enumerate(t):
        scores = token @ gate
        best = np.argsort(-scores)[:2]
        for weight, e in zip(softmax(scores[best]), best, strict=True):
            hidden = token @ w1[e]
            out[row] += weight * (hidden * sigmoid(hidden)) @ w2[e]
    return out


RECENT = np.arange(7) - np.arange(4)[:, None]
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
    "masked_softmax(x, x > 0.5)": masked_softmax,
    "weighted_mean(abs(k).T, v)": lambda k, v: np.abs(k).swapaxes(1, 2) @ v / np.abs(k).sum(1)[..., None],
    "layernorm(x, g, h)": lambda x, g, h: normal(x) * g + h,
    "rmsnorm(x, g)": lambda x, g: x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5) * g,
    "linear(x, w)": lambda x, w: x @ w,
    "dense(x, w, b)": lambda x, w, b: x @ w + b,
    "attention(q, k, v)": attention,
    "causal_attention(q, k, v)": lambda q, k, v: attention(q, k, v, np.arange(7) <= np.arange(4)[:, None] + 3),
    "grouped_attention(q4, k, v)": lambda q4, k, v: grouped(q4, k, v, RECENT <= 3),
    "grouped_attention(q4, k, v, causal=false)": lambda q4, k, v: grouped(q4, k, v, True),
    "sliding_window_attention(q, k, v, window=3)": lambda q, k, v: attention(q, k, v, (RECENT <= 3) & (RECENT > 0)),
    "rotary(q, pos)": lambda q, pos: rotary(q, pos),
    "one_hot(i22, 5)": lambda i22: i22[..., None] == np.arange(5),
    "embedding(i3, w)": lambda w, i3: w[i3.astype(int)],
    "scatter_add(i3, s, rows=6)": lambda s, i3: np.stack([s[i3 == row].sum(0) for row in range(6)]),
    "first(i22, 5)": lambda i22: i22[..., None] > np.arange(5),
    "within(x, l3)": lambda x, l3: there(x, l3),
    "within(w, i3[0])": lambda w, i3: w * (np.arange(6) < i3[0])[:, None],
    "mean_within(x, l3)": lambda x, l3: there(x, l3).sum(1) / np.clip(l3, 1, 4)[:, None],
    "attention_within(q, k, v, l2)": lambda q, k, v, l2: attention(q, k, v, np.arange(7) < l2[:, None, None]),
    "tril(x)": lambda x: np.tril(x),
    "triu(x, diagonal=1)": lambda x: np.triu(x, 1),
    "rank(x)": lambda x: np.argsort(np.argsort(-x, -1, kind="stable"), -1),
    "sort(x)": lambda x: np.sort(x, -1),
    "a, b = topk(x, 2); a": lambda x: np.sort(x, -1)[..., :-3:-1],
    "a, b = topk(x, 2); b": lambda x: np.argsort(-x, -1, kind="stable")[..., :2],
    "conv1d(line, k1)": lambda line, k1: np.einsum("ncpr,kcr->nkp", patches(line, (3,), 1, 0), k1),
    "conv1d(line, k1, stride=3, padding=2)": lambda line, k1: np.einsum("ncpr,kcr->nkp", patches(line, (3,), 3, 2), k1),
    "conv1d(line, k1, dilation=2)": lambda line, k1: np.einsum(
        "ncpr,kcr->nkp", patches(line, (5,), 1, 0)[..., ::2], k1
    ),
    "conv2d(image, k2)": lambda image, k2: np.einsum("ncpqrs,kcrs->nkpq", patches(image, (3, 2), 1, 0), k2),
    "conv2d(image, k2, stride=2, padding=1)": lambda image, k2: np.einsum(
        "ncpqrs,kcrs->nkpq", patches(image, (3, 2), 2, 1), k2
    ),
    "depthwise_conv2d(image, kd, padding=1)": lambda image, kd: np.einsum(
        "ncpqrs,crs->ncpq", patches(image, (3, 2), 1, 1), kd
    ),
    "max_pool2d(image)": lambda image: patches(image, (2, 2), 2, 0).max((-2, -1)),
    "max_pool2d(image, size=3, stride=2, padding=1)": lambda image: patches(image, (3, 3), 2, 1, -np.inf).max((-2, -1)),
    "avg_pool2d(image, size=3, stride=1, padding=1)": lambda image: patches(image, (3, 3), 1, 1).mean((-2, -1)),
    "a, b = lstm_cell(t, s, c, wl, ul, bl); a": lambda t, s, c, wl, ul, bl: lstm(t, s, c, wl, ul, bl)[0],
    "a, b = lstm_cell(t, s, c, wl, ul, bl); b": lambda t, s, c, wl, ul, bl: lstm(t, s, c, wl, ul, bl)[1],
    "gru_cell(t, s, wg, ug, bg, cg)": gru,
    "mixture_of_experts(t, gate, w1, w2, k=2)": lambda t, gate, w1, w2: experts(t, gate, w1, w2),
    "mae(g, h)": lambda g, h: np.abs(g - h).mean(),
    "binary_cross_entropy(g, sigmoid(h))": lambda g, h: (
        -(sigmoid(h) * np.log(sigmoid(g)) + (1 - sigmoid(h)) * np.log(1 - sigmoid(g))).mean()
    ),
    "mse(g, h)": lambda g, h: ((g - h) ** 2).mean(),
    "cross_entropy(x, f(x))": lambda x: (-softmax(x) * np.log(softmax(x))).sum(-1).mean(),
}


def run(call: str, dtype: str, result: str, values: Mapping[str, NDArray[np.generic]]) -> NDArray[np.generic]:
    types = {name: "i32" if name in INTEGERS else dtype for name in values}
    parameters = ", ".join(f"{name}: input {types[name]}{list(SHAPES[name])}" for name in values)
    *statements, value = call.split("; ")
    body = "\n".join([*statements, f"return {value}"])
    text = f"fn f<T>(x: T[...]) -> T[...] {{ return softmax(x) }}\nprogram t({parameters}) -> {result} {{ {body} }}"
    (found,) = evaluate(lower(load(text, "t.mesh"), None, {}), values).values()
    return found


@pytest.mark.parametrize(("dtype", "tolerance"), [("f32", 2e-5), ("bf16", 0.05)])
@pytest.mark.parametrize("call", CASES)
def test_function_agrees_with_the_formula(call: str, dtype: str, tolerance: float) -> None:
    element = np.dtype(np.float32 if dtype == "f32" else ml_dtypes.bfloat16)
    expected = CASES[call]
    arguments = call.partition("; ")[0].partition("(")[2]
    names = [name for name in signature(expected).parameters if re.search(rf"\b{name}\b", arguments)]
    values = {name: VALUES[name].astype(np.int32 if name in INTEGERS else element) for name in names}
    wanted = np.asarray(expected(*(value.astype(np.float64) for value in values.values())))
    kind = {"b": "bool", "i": "i32"}.get(wanted.dtype.kind, dtype)
    result = f"{kind}{list(wanted.shape)}" if wanted.shape else "f32"
    value = run(call, dtype, result, values)
    np.testing.assert_allclose(value.astype(np.float64), wanted, rtol=tolerance, atol=tolerance)


def test_every_function_has_a_case_and_a_comment() -> None:
    functions = {function.name.text for function in library().functions}
    assert functions == {call.split("(")[0].split(" = ")[-1] for call in CASES}
    lines = grammar.standard_library().split("\n")
    assert all(lines[function.span.line - 2].startswith("#") for function in library().functions)


WITH_NAN = np.array([[2, np.nan, -np.inf, 1, np.nan, 2], [np.nan] * 6, [np.inf, -np.inf, np.nan, 0, -0.0, 3]])


@pytest.mark.parametrize("seed", range(4))
def test_nan_comes_last_as_in_numpy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    noise = rng.choice([np.nan, np.inf, -np.inf, 0, -0.0, 1, 2], (3, 4, 6))
    x = (np.broadcast_to(WITH_NAN[:, None], (3, 4, 6)) if seed == 0 else noise).astype(np.float32)
    down = np.argsort(-x, -1, kind="stable")

    def same(call: str, result: str, wanted: NDArray[np.generic]) -> None:
        np.testing.assert_array_equal(run(call, "f32", result, {"x": x}), wanted)

    same("rank(x)", "i32[3, 4, 6]", np.argsort(down, -1))
    same("rank(x, upward=true)", "i32[3, 4, 6]", np.argsort(np.argsort(x, -1, kind="stable"), -1))
    same("sort(x)", "f32[3, 4, 6]", np.sort(x, -1))
    same("a, b = topk(x, 4); a", "f32[3, 4, 4]", np.take_along_axis(x, down, -1)[..., :4])
    same("a, b = topk(x, 4); b", "i32[3, 4, 4]", down[..., :4])


def test_whole_numbers_are_sorted_to_their_ends() -> None:
    ends = np.array([2**31 - 1, -(2**31), 0, -1, 7, -(2**31)], np.int32)
    x = np.broadcast_to(ends, (3, 4, 6)).copy()
    text = "program t(x: input i32[3, 4, 6]) -> (i32[3, 4, 6], i32[3, 4, 6]) { return sort(x), rank(x) }"
    up, order = evaluate(lower(load(text, "t.mesh"), None, {}), {"x": x}).values()
    np.testing.assert_array_equal(up, np.sort(x, -1))
    np.testing.assert_array_equal(order[0, 0], [0, 4, 2, 3, 1, 5])


@pytest.mark.parametrize("strange", [np.nan, np.inf, -np.inf])
def test_what_a_mask_covers_does_not_matter(strange: float) -> None:
    x = np.linspace(0.0, 1.0, 72).reshape(SHAPES["x"]).astype(np.float32)
    odd = np.where(x > 0.5, x, strange).astype(np.float32)
    for values in (x, odd):
        found = run("masked_softmax(x, x > 0.5 and x < 2.0)", "f32", "f32[3, 4, 6]", {"x": values})
        np.testing.assert_allclose(found.astype(np.float64), masked_softmax(x.astype(np.float64)), rtol=1e-6)
    assert not found[0].any()


@pytest.mark.parametrize("strange", [np.nan, np.inf, -np.inf])
def test_what_lies_past_the_length_does_not_matter(strange: float) -> None:
    """Of both sequences nothing, something and all; what none of the keys answers is 0."""
    for length in ([0, 2], [7, 5], [-3, 8]):
        past = np.arange(7) >= np.array(length)[:, None]
        values = {name: VALUES[name].astype(np.float32) for name in ("q", "k", "v")}
        odd = {name: np.where(past[..., None], strange, values[name]).astype(np.float32) for name in ("k", "v")}
        l2 = {"l2": np.array(length, np.int32)}
        clean = run("attention_within(q, k, v, l2)", "f32", "f32[2, 4, 3]", {**values, **l2})
        found = run("attention_within(q, k, v, l2)", "f32", "f32[2, 4, 3]", {**values, **odd, **l2})
        np.testing.assert_array_equal(found, clean)
        assert found[0].any() == (length[0] > 0)
        mean = run("mean_within(v, l2)", "f32", "f32[2, 3]", {"v": odd["v"], **l2})
        assert np.isfinite(mean.astype(np.float64)).all()


@pytest.mark.parametrize("call", ["softmax(x)", "sigmoid(x)", "softplus(x)", "silu(x)", "log_softmax(x)"])
def test_large_arguments_overflow_nowhere(call: str) -> None:
    x = np.linspace(-30000, 30000, 72).reshape(SHAPES["x"]).astype(np.float32)
    assert np.isfinite(run(call, "f32", "f32[3, 4, 6]", {"x": x}).astype(np.float64)).all()


def test_a_function_of_the_file_takes_the_place_of_the_librarys() -> None:
    text = "fn relu(x: f32) -> f32 { return x + 1 }\nprogram t(x: input f32) -> f32 { return relu(x) }"
    (value,) = evaluate(lower(load(text, "t.mesh"), None, {}), {"x": np.asarray(-3, np.float32)}).values()
    assert value == -2


def test_names_of_the_library_are_in_order() -> None:
    assert check(library(), {}) == []
