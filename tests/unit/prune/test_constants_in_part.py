"""Constants of which only some pages are needed: the others are stored as zeros, as the image demands."""

import numpy as np
import pytest

import emulator
from compiler.frontend import load, lower
from compiler.pipeline import CompileOptions, compile_graph
from compiler.program.check import violations
from compiler.program.image import Role
from compiler.prune.options import Mode, PruneOptions
from compiler.target import load_machine

BELOW = """
program below(x: input f32[96, 64]) -> f32[96, 64] {
    y[i, j] = where(i < 20, x[i, j], 0.0)
    return y
}
"""


@pytest.mark.parametrize("mode", [Mode.STATIC, Mode.ALL])
def test_what_is_left_of_a_constant(mode: Mode) -> None:
    """The row numbers that are compared matter only where the result may differ from zero."""
    graph = lower(load(BELOW, "below.mesh"), None, {})
    image = compile_graph(graph, load_machine("mesh_4x4"), CompileOptions(prune=PruneOptions(mode))).image
    assert not list(violations(image))
    (numbers,) = (tensor for tensor in image.tensors if tensor.role is Role.CONSTANT)
    assert numbers.live is not None
    assert not np.frombuffer(numbers.data, np.int32)[32:].any()
    x = np.arange(96 * 64, dtype=np.float32).reshape(96, 64)
    expected = np.where(np.arange(96)[:, None] < 20, x, np.float32(0))
    np.testing.assert_array_equal(emulator.run(image, {"x": x}).outputs["out"], expected)
