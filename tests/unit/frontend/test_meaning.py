"""Programs give the values that NumPy gives for the same formula."""

from collections.abc import Callable

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray

from compiler.frontend import load, lower
from compiler.ir import Input, Weight
from runtime.reference import evaluate

Array = NDArray[np.generic]
Float = NDArray[np.float32]
RNG = np.random.default_rng(7)
VALUES: dict[str, Float] = {
    name: RNG.standard_normal(shape).astype(np.float32)
    for name, shape in {
        "a": (4, 5),
        "b": (5, 6),
        "v": (5,),
        "w": (4,),
        "g": (5,),
        "x": (3, 4, 5),
        "y": (3, 5, 4),
        "sq": (4, 4),
        "q": (2, 4, 8),
        "k": (2, 6, 8),
        "u": (2, 6, 3),
        "p": (1, 4, 5),
        "one": (),
    }.items()
}
TYPES = {name: f"f32[{', '.join(map(str, value.shape))}]" if value.shape else "f32" for name, value in VALUES.items()}
PARAMETERS = ", ".join(f"{name}: input {type}" for name, type in TYPES.items())


def run(body: str, result: str) -> Array:
    graph = lower(load(f"program t({PARAMETERS}) -> {result} {{\n{body}\n}}", "t.mesh"), None, {})
    (value,) = evaluate(
        graph, {o.kind.name: VALUES[o.kind.name] for o in graph.ops if isinstance(o.kind, Input)}
    ).values()
    return value


def softmax(x: Float) -> Float:
    e = np.exp(x - x.max(-1, keepdims=True))
    return np.asarray(e / e.sum(-1, keepdims=True))


CASES: list[tuple[str, Callable[..., object]]] = [
    ("return a @ b", lambda a, b: a @ b),
    ("return a @ v", lambda a, v: a @ v),
    ("return w @ a", lambda w, a: w @ a),
    ("return v @ v", lambda v: v @ v),
    ("return x @ y", lambda x, y: x @ y),
    ("return p @ y", lambda p, y: p @ y),
    ("return x @ b", lambda x, b: x @ b),
    ("return a @ y", lambda a, y: a @ y),
    ("return v @ y", lambda v, y: v @ y),
    ("return x @ v", lambda x, v: x @ v),
    ("return (a @ b).T", lambda a, b: (a @ b).T),
    ("return x + v * w[0] - p", lambda x, v, w, p: x + v * w[0] - p),
    ("return x / one % 0.5", lambda x, one: (x / one) % 0.5),
    ("return -x * 2 + 1 / 3", lambda x: -x * 2 + 1 / 3),
    (
        "return where(x > 0.5 and not (x < 1.0 or x == v), x, 1.0 - v)",
        lambda x, v: np.where((x > 0.5) & ~((x < 1) | (x == v)), x, 1 - v),
    ),
    ("return minimum(max(x, v), 0.5) + min(x, 0)", lambda x, v: np.minimum(np.maximum(x, v), 0.5) + np.minimum(x, 0)),
    ("return pow(abs(x), 0.5) + sqrt(abs(x))", lambda x: 2 * np.sqrt(np.abs(x))),
    ("return exp(x) + log(abs(x)) - rsqrt(abs(x))", lambda x: np.exp(x) + np.log(np.abs(x)) - 1 / np.sqrt(np.abs(x))),
    ("return sin(x) * cos(x) + tanh(x)", lambda x: np.sin(x) * np.cos(x) + np.tanh(x)),
    ("return floor(3 * x) + ceil(5 * x)", lambda x: np.floor(3 * x) + np.ceil(5 * x)),
    ("return round(2 * x) * sign(x)", lambda x: np.round(2 * x) * np.sign(x)),
    ("return sum(x)", lambda x: x.sum()),
    ("return sum(x, axis=1)", lambda x: x.sum(1)),
    ("return max(x, axis=(0, -1))", lambda x: x.max((0, 2))),
    ("return mean(x, axis=1, keepdims=true)", lambda x: x.mean(1, keepdims=True)),
    ("return prod(x, axis=0) + min(x, axis=0)", lambda x: x.prod(0) + x.min(0)),
    ("return x[1]", lambda x: x[1]),
    ("return x[:, -1]", lambda x: x[:, -1]),
    ("return x[..., 1:-1:2]", lambda x: x[..., 1:-1:2]),
    ("return x[-2:, 1, ::4]", lambda x: x[-2:, 1, ::4]),
    ("return x[0][1:3].T[2]", lambda x: x[0][1:3].T[2]),
    ("return transpose(x, 2, 0, -2)", lambda x: x.transpose(2, 0, 1)),
    ("return transpose(x)", lambda x: x.swapaxes(1, 2)),
    ("return reshape(x, 2, -1)", lambda x: x.reshape(2, -1)),
    ("return reshape(transpose(x, 2, 1, 0), 20, 3)", lambda x: x.transpose(2, 1, 0).reshape(20, 3)),
    ("return f32(iota(5)) * v", lambda v: np.arange(5, dtype=np.float32) * v),
    ("return f32(i32(x * 4)) + f32(x > 0.0)", lambda x: (x * 4).astype(np.int32) + (x > 0)),
    ("return f32(bf16(x))", lambda x: x.astype(ml_dtypes.bfloat16)),
    ("t[j, i] = a[i, j]\nreturn t", lambda a: a.T),
    ("c[i, j] = v[i] * w[j]\nreturn c", lambda v, w: np.outer(v, w)),
    ("c[i, j] = sum(k) a[i, k] * v[k] * b[k, j]\nreturn c", lambda a, v, b: (a * v) @ b),
    ("c[j, i] = 2.0 * sum(k) a[i, k] * b[k, j] + 1.0\nreturn c", lambda a, b: (2 * a @ b + 1).T),
    ("c[i, j] = sum(k) relu(a[i, k]) * b[k, j]\nreturn c", lambda a, b: np.maximum(a, 0) @ b),
    ("c[i] = max(j, h) (x[h, i, j] - v[j])\nreturn c", lambda x, v: (x - v).max((0, 2))),
    ("c[i] = sum(j) max(h) x[h, i, j]\nreturn c", lambda x: x.max(0).sum(1)),
    ("return sum(i, j) where(i == j, sq[i, j], 0.0)", lambda sq: np.trace(sq)),
    ("m[i, j] = where(j <= i, a[i, j], f32(j))\nreturn m", lambda a: np.where(np.tri(4, 5) > 0, a, np.arange(5.0))),
    ("o[j, i, ...] = softmax(x[i, j, ...])\nreturn o", lambda x: softmax(x).transpose(1, 0, 2)),
    ("o[..., i] = x[i, ...] + sum(j) v[j]\nreturn o", lambda x, v: x.transpose(1, 2, 0) + v.sum()),
    ("o[h, ...] = x[h, ...] @ y[h, ...]\nreturn o", lambda x, y: x @ y),
    ("o[..., n] = sum(k) x[..., k] * b[k, n]\nreturn o", lambda x, b: x @ b),
    ("c[i] = mean(k) (a[i, k] - v[k]) * a[i, k]\nreturn c", lambda a, v: ((a - v) * a).mean(1)),
    ("c[i] = sum(j) a[i, j] * x[2, i, j]\nreturn c", lambda a, x: (a * x[2]).sum(1)),
    ("c[i, j] = w[i] * 0 + sum(k) a[i, k] + 0 * a[0, j]\nreturn c", lambda a: np.repeat(a.sum(1, keepdims=True), 5, 1)),
    ("x = x + 1\nx = x * x\nreturn x", lambda x: (x + 1) ** 2),
]


@pytest.mark.parametrize(("body", "expected"), CASES, ids=[body for body, _ in CASES])
def test_program_agrees_with_numpy(body: str, expected: Callable[..., object]) -> None:
    names = expected.__code__.co_varnames[: expected.__code__.co_argcount]
    wanted = np.asarray(expected(*(VALUES[name] for name in names)), np.float32)
    value = run(body, f"f32{list(wanted.shape)}" if wanted.shape else "f32")
    assert value.shape == wanted.shape
    np.testing.assert_allclose(value.astype(np.float32), wanted, rtol=1e-5, atol=1e-5)


def test_a_bf16_sum_is_rounded_once() -> None:
    text = "program t(x: input bf16[1000]) -> (s: bf16, d: bf16) {\nreturn sum(i) x[i], sum(i) x[i] * x[i]\n}"
    x = (1 + np.arange(1000) % 7 / 8).astype(ml_dtypes.bfloat16)
    wide = x.astype(np.float64)
    results = evaluate(lower(load(text, "t.mesh"), None, {}), {"x": x})
    assert results["s"] == wide.sum().astype(ml_dtypes.bfloat16)
    assert results["d"] == (wide * wide).sum().astype(ml_dtypes.bfloat16)


def test_integers_wrap_and_divide_downward() -> None:
    text = "program t(x: input i32[4]) -> (s: i32, d: i32[4], r: i32[4]) {\nreturn sum(i) x[i] * x[i], x / 3, x % 3\n}"
    x = np.array([-7, 7, 65536, 2], np.int32)
    results = evaluate(lower(load(text, "t.mesh"), None, {}), {"x": x})
    assert results["s"] == np.int32(49 + 49 + 0 + 4)
    np.testing.assert_array_equal(results["d"], x // 3)
    np.testing.assert_array_equal(results["r"], x % 3)


def test_weights_are_fed_like_inputs() -> None:
    graph = lower(load("program t(x: weight f32[2]) -> f32[2] {\nreturn x\n}", "t.mesh"), None, {})
    assert isinstance(graph.ops[0].kind, Weight)
