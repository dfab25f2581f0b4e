"""Programs with any features of the language, from text to emulated bytes, against the reference."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

import emulator
from compiler.diagnostics import Source
from compiler.frontend import load, lower
from compiler.pipeline import compile_graph
from compiler.target.load import load_machine
from runtime.reference import compare, evaluate_with_bounds
from runtime.testing.features import FEATURES, PARTS, program_of, some_program
from runtime.testing.strategies import tensors_for

TOGETHER = 6
"""Features that are run in one program."""


def agrees(text: str, seed: int) -> None:
    module = load(text, "drawn.mesh", lambda path, importer: Source("parts.mesh", PARTS))
    graph = lower(module, None, {})
    tensors = tensors_for(graph, seed, whole=False)
    result = emulator.run(compile_graph(graph, load_machine("mesh_4x4")).image, tensors)
    for name, (value, bound) in evaluate_with_bounds(graph, tensors).items():
        comparison = compare(value, bound, result.outputs[name])
        assert comparison.ok, (text, name, comparison)


@pytest.mark.parametrize("number", range(0, len(FEATURES), TOGETHER))
def test_every_feature_runs(number: int) -> None:
    agrees(program_of(FEATURES[number : number + TOGETHER], Random(number), results=2 * TOGETHER), number)


@given(st.randoms(use_true_random=False), st.integers(0, 3))
def test_programs_run(random: Random, seed: int) -> None:
    agrees(some_program(random), seed)
