"""States stay from run to run, and programs of one module share them."""

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from compiler.diagnostics import DiagnosticError
from compiler.frontend import load, lower
from compiler.pipeline import compile_graph
from compiler.program.image import Image
from compiler.target.load import load_machine
from runtime.reference import evaluate
from runtime.session import Session

MACHINE = load_machine("mesh_4x4")
COUNTER = """
program count(x: input i32, steps: state i32, sums: state i32[3]) -> (i32, i32[3]) {
    before = sums
    steps = steps + 1
    sums = sums + x * (1 + iota(3))
    return steps, before
}
program peek(sums: state i32[3]) -> i32[3] { return 10 * sums }
program swap(m: state i32[2, 2]) -> i32 {
    m = m.T
    return m[0, 1]
}
"""


def image(text: str, program: str) -> Image:
    return compile_graph(lower(load(text, "p.mesh"), program, {}), MACHINE).image


def test_a_state_begins_with_zeros_and_keeps_what_is_assigned() -> None:
    session = Session(image(COUNTER, "count"))
    for number in range(1, 4):
        session.feed("x", np.asarray(number, np.int32))
        session.run()
        assert session.fetch("out0") == number
        np.testing.assert_array_equal(session.fetch("out1"), number * (number - 1) // 2 * np.array([1, 2, 3]))
    np.testing.assert_array_equal(session.fetch("sums"), [6, 12, 18])
    assert set(session.outputs) == {"out0", "out1"}
    session.reset()
    session.run()
    assert session.fetch("steps") == 1


def test_sessions_share_states_in_both_directions() -> None:
    count = Session(image(COUNTER, "count"))
    peek = Session(image(COUNTER, "peek"), shares=count)
    count.feed("x", np.asarray(2, np.int32))
    count.run()
    peek.run()
    np.testing.assert_array_equal(peek.fetch("out"), [20, 40, 60])
    peek.feed("sums", np.array([7, 7, 7], np.int32))
    count.run()
    np.testing.assert_array_equal(count.fetch("sums"), [9, 11, 13])


def test_sharing_a_state_of_another_type_is_refused() -> None:
    count = Session(image(COUNTER, "count"))
    other = "program p(sums: state f32[3]) -> f32[3] { return sums }"
    with pytest.raises(DiagnosticError):
        Session(image(other, "p"), shares=count)


def test_a_rearranged_state_is_a_new_value() -> None:
    session = Session(image(COUNTER, "swap"))
    session.feed("m", np.array([[1, 2], [3, 4]], np.int32))
    session.run()
    assert session.fetch("out") == 3
    np.testing.assert_array_equal(session.fetch("m"), [[1, 3], [2, 4]])


DECODER = (Path(__file__).parents[3] / "examples" / "decoder.mesh").read_text(encoding="utf-8")


def test_a_decoder_with_kept_keys_agrees_with_attention_over_the_whole_text() -> None:
    """Tokens one by one, after a prompt, against the causal attention of all of them at once."""
    whole = (
        DECODER
        + """
program whole(x: input bf16[PROMPT + 4, D], w: weight bf16[D, 3 * D]) -> bf16[PROMPT + 4, D] {
    q, k, v = projected(x, w, iota(PROMPT + 4))
    return causal_attention(q, k, v)
}
"""
    )
    generator = np.random.default_rng(5)
    x = generator.standard_normal((36, 64)).astype(ml_dtypes.bfloat16)
    w = (generator.standard_normal((64, 192)) / 8).astype(ml_dtypes.bfloat16)
    expected = evaluate(lower(load(whole, "p.mesh"), "whole", {}), {"x": x, "w": w})["out"].astype(np.float32)
    prefill = Session(image(DECODER, "prefill"))
    prefill.feed("x", x[:32])
    prefill.feed("w", w)
    prefill.run()
    np.testing.assert_allclose(prefill.fetch("out").astype(np.float32), expected[:32], atol=0.05)
    decode = Session(image(DECODER, "decode"), shares=prefill)
    for now in range(32, 36):
        decode.feed("x", x[now : now + 1])
        decode.feed("now", np.asarray(now, np.int32))
        decode.run()
        np.testing.assert_allclose(decode.fetch("out").astype(np.float32), expected[now : now + 1], atol=0.05)
