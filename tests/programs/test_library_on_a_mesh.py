"""Windows, choices by number and the layers built from them, run on an emulated mesh against the reference."""

import numpy as np
import pytest

import emulator
from compiler.frontend import load, lower
from compiler.pipeline import CompileOptions, compile_graph
from compiler.target.load import load_machine
from runtime.reference import compare, evaluate_with_bounds
from runtime.testing.strategies import tensors_for

PROGRAMS = {
    "convolution": """
program p(x: input bf16[2, 3, 12, 12], w: weight bf16[8, 3, 3, 3]) -> bf16[2, 8, 3, 3] {
    return max_pool2d(relu(conv2d(x, w, stride=2, padding=1)))
}""",
    "depthwise": """
program p(x: input f32[1, 40, 6, 6], w: weight f32[40, 3, 3]) -> f32[1, 40, 5, 5] {
    return avg_pool2d(depthwise_conv2d(x, w, padding=1), stride=1)
}""",
    "choices": """
program p(x: input f32[9, 40], i: input i32[5], n: input i32) -> (f32[5, 40], f32[40], f32[9, 3], i32[9, 3], i32[9]) {
    values, places = topk(x, 3)
    return embedding(i, x), x[n + 2], values, places, argmax(x, axis=1)
}""",
    "arranging": """
program p(x: input bf16[5, 33], y: input bf16[5, 40]) -> (bf16[7, 75], bf16[5, 33], bool[33]) {
    a = pad(concat(x, y, axis=1), axis=(0, 1), before=(1, 0), after=(1, 2), value=-inf)
    mirrored[i, j] = x[4 - i, 32 - j]
    return a, mirrored, any(x > y[:, 3:36], axis=0)
}""",
    "heads": """
program p(q: input f32[4, 5, 8], k: input f32[2, 9, 8], at: input i32[5]) -> f32[4, 5, 8] {
    shared = q[:, 0:1, :] + k[0:1, ...]
    return grouped_attention(rotary(q, at), k, k) + sliding_window_attention(q, shared, shared, 4)
}""",
    "recurrence": """
program p(x: input f32[6, 3, 8], w: weight f32[8, 64], u: weight f32[16, 64], b: weight f32[64]) -> f32[3, 16] {
    h = 0.0 * x[0, :, 0:1] + 0.0 * b[0:16]
    c = h
    for t in 0:6 {
        h, c = lstm_cell(x[t], h, c, w, u, b)
    }
    return h
}""",
    "scan": """
fn step(x: f32[N], y: f32[N], total: f32[N], rate: f32) -> (f32[N], f32[N], f32[N]) {
    total = rate * total + x * y
    return total, total + x, maximum(total, y)
}
program p(x: input f32[9, 5], y: input f32[9, 5]) -> (f32[5], f32[9, 5], f32[9, 5]) {
    last, sums, tops = scan(step, x[0], over=(x, y), given=f32(0.5))
    return last, sums, tops
}""",
    "a loop with a limit": """
program p(a: input f32[16], steps: input i32) -> f32[16] {
    x = a * 0.0 + 4.0
    while steps + 3 > 0 limit 6 {
        x = 0.5 * (x + abs(a) / x)
        steps = steps - 1
    }
    return x
}""",
    "rows that stop": """
program p(x: input f32[70, 40], w: weight f32[40, 40], n: input i32) -> (f32[70, 40], i32[70]) {
    turns = iota(70) * 0
    for i in 0:3 while max(abs(x), axis=1) < 8.0 * f32(n + 2) {
        x = x + relu(x @ w) @ w.T
        turns = turns + i + 1
    }
    return x, turns
}""",
    "changes": """
program p(x: input f32[6, 40], now: input i32, cache: state f32[3, 9, 40]) -> (f32[40], f32[6, 40]) {
    cache[h, now, ...] = f32(h) + x[now]
    cache[0, 2:8] = x
    x[now + 1, 3:] = 7.0
    return cache[1, now], x
}""",
    "lengths": """
program p(x: input f32[3, 40, 8], n: input i32[3]) -> (f32[3, 40, 8], f32[3, 8]) {
    return attention_within(x, x, x, 9 * n), mean_within(x, n)
}""",
    "experts": """
program p(x: input f32[7, 8], g: weight f32[8, 6], v: weight f32[6, 8, 4], w: weight f32[6, 4, 8]) -> f32[7, 8] {
    return mixture_of_experts(x, g, v, w, k=2)
}""",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_program_agrees_with_the_reference(name: str) -> None:
    graph = lower(load(PROGRAMS[name], "p.mesh"), None, {})
    compiled = compile_graph(graph, load_machine("mesh_4x4"), CompileOptions(check_passes=True))
    tensors = tensors_for(graph, 3, whole=False)
    result = emulator.run(compiled.image, tensors)
    for output, (value, bound) in evaluate_with_bounds(graph, tensors).items():
        comparison = compare(value, bound, result.outputs[output])
        assert comparison.ok, (output, comparison)
        assert np.isfinite(bound).mean() > 0.5
