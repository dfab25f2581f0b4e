"""Sums of multiples of indices as subscripts, against loops in Python."""

from itertools import product

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from compiler.frontend import load, lower
from compiler.passes import run_pipeline
from runtime.reference import evaluate

FACTORS = st.sampled_from((1, 2, 3, -1, -2))


@given(FACTORS, FACTORS, st.integers(0, 9), st.integers(5, 20), st.integers(1, 4), st.integers(0, 2**31))
def test_convolution_is_a_loop(p: int, r: int, start: int, extent: int, size: int, seed: int) -> None:
    """The open index runs exactly as far as the axis allows."""

    def place(i: int, j: int) -> int:
        return p * i + r * j + start

    def fits(i: int) -> bool:
        return all(0 <= place(i, j) < extent for j in range(size))

    assume(fits(0))
    count = next(i for i in range(extent + 1) if not fits(i))
    text = f"""program t(x: input f32[3, {extent}], w: weight f32[{size}]) -> (f32[3, {count}], f32[{count}, 3]) {{
        y[c, i] = sum(j) x[c, {p} * i + j * {r} + {start}] * w[j]
        z[i, c] = max(j) x[c, {start} + ({p} * i + {r} * j)] * w[j]
        return y, z
    }}"""
    generator = np.random.default_rng(seed)
    x = generator.integers(-9, 9, (3, extent)).astype(np.float32)
    w = generator.integers(-9, 9, size).astype(np.float32)
    found = evaluate(run_pipeline(lower(load(text, "t.mesh"), None, {}), check=True), {"x": x, "w": w})
    terms = np.zeros((3, count, size), np.float32)
    for i, j in product(range(count), range(size)):
        terms[:, i, j] = x[:, place(i, j)] * w[j]
    np.testing.assert_array_equal(found["out0"], terms.sum(-1))
    np.testing.assert_array_equal(found["out1"], terms.max(-1).T)
