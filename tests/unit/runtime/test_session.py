"""A session feeds, runs and fetches; what was fed stays."""

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from compiler.diagnostics import DiagnosticError
from compiler.frontend import load, lower
from compiler.pipeline import CompileOptions, compile_graph
from compiler.program.image import Image
from compiler.program.serialize import write_file
from compiler.target.load import load_machine
from runtime.session import Session

PROGRAM = """
program scale(x: input bf16[3, 5], w: weight f32[5]) -> (y: f32[3, 5], z: bf16[3, 5]) {
    return f32(x) * w, x + x
}
"""


@pytest.fixture(scope="module")
def image() -> Image:
    return compile_graph(lower(load(PROGRAM, "p.mesh"), None, {}), load_machine("mesh_4x4"), CompileOptions()).image


X = np.arange(15, dtype=np.float32).reshape(3, 5)
W = np.linspace(0, 1, 5, dtype=np.float32)


def test_outputs_are_those_of_the_program(image: Image) -> None:
    session = Session.from_image(image)
    session.feed("x", X)
    session.feed("w", W)
    result = session.run()
    assert np.array_equal(session.fetch("y"), X * W)
    assert np.array_equal(session.fetch("z"), (X + X).astype(ml_dtypes.bfloat16))
    assert result.profile.makespan > 0


def test_what_was_fed_stays_and_can_be_replaced(image: Image) -> None:
    session = Session.from_image(image)
    session.feed("x", X)
    session.feed("w", W)
    session.run()
    session.feed("w", W + 1)
    session.run()
    assert np.array_equal(session.fetch("y"), X * (W + 1))


def test_an_image_file_and_weights_from_a_file(image: Image, tmp_path: Path) -> None:
    write_file(tmp_path / "p.mimg", image)
    save_file({"w": W, "unused": X}, tmp_path / "w.safetensors")
    session = Session.from_file(tmp_path / "p.mimg")
    session.feed_weights(tmp_path / "w.safetensors")
    assert [tensor.name for tensor in session.missing] == ["x"]
    session.feed("x", X.astype(ml_dtypes.bfloat16))
    session.run()
    assert np.array_equal(session.fetch("y"), X * W)


def test_a_weight_fed_by_hand_may_be_absent_from_the_file(image: Image, tmp_path: Path) -> None:
    save_file({"other": X}, tmp_path / "w.safetensors")
    session = Session.from_image(image)
    session.feed("w", W)
    session.feed_weights(tmp_path / "w.safetensors")
    assert np.array_equal(session.fed["w"], W)


def test_what_does_not_fit_is_refused(image: Image) -> None:
    session = Session.from_image(image)
    with pytest.raises(DiagnosticError, match="E0521"):
        session.feed("v", W)
    with pytest.raises(DiagnosticError, match="E0520: program `scale` was not given `x` bf16"):
        session.run()
    session.feed("x", X)
    session.feed("w", W)
    with pytest.raises(RuntimeError):
        session.fetch("y")
    session.run()
    with pytest.raises(DiagnosticError, match="E0527"):
        session.fetch("x")
