"""Turns of a loop that are not taken pass the matrix products of the mesh by; what they would give is not looked at."""

import numpy as np
import pytest

import emulator
from compiler.frontend import load, lower
from compiler.pipeline import CompileOptions, compile_graph
from compiler.program.image import Image
from compiler.prune import Mode, PruneOptions
from compiler.target.load import load_machine
from runtime.pruning import work
from runtime.reference import compare, evaluate_with_bounds

ALL = """
program turns(x: input f32[64, 64], w: weight f32[64, 128], v: weight f32[128, 64], n: input i32) -> f32[64, 64] {
    for t in 0:4 while t < n {
        x = x + relu(x @ w) @ v / f32(n - t)
    }
    return x
}"""
ROWS = """
program rows(x: input f32[64, 64], w: weight f32[64, 128], v: weight f32[128, 64], n: input i32[64]) -> f32[64, 64] {
    done = 0 * n
    while done < n limit 4 {
        x = x + relu(x @ w) @ v / reshape(f32(n - done), 64, 1)
        done = done + 1
    }
    return x
}"""
GRAPHS = {text: lower(load(text, "turns.mesh"), None, {}) for text in (ALL, ROWS)}


def image(text: str) -> Image:
    options = CompileOptions(prune=PruneOptions(Mode.ALL))
    return compile_graph(GRAPHS[text], load_machine("mesh_4x4"), options).image


def operations(text: str, compiled: Image, turns: object) -> int:
    """Tile operations of a run, whose result is that of the reference."""
    generator = np.random.default_rng(0)
    shapes = {"x": (64, 64), "w": (64, 128), "v": (128, 64)}
    tensors = {name: 0.1 * generator.standard_normal(shape, np.float32) for name, shape in shapes.items()}
    fed = {**tensors, "n": np.asarray(turns, np.int32)}
    result = emulator.run(compiled, fed)
    value, bound = evaluate_with_bounds(GRAPHS[text], fed)["out"]
    assert np.isfinite(value.astype(np.float64)).all()
    assert compare(value, bound, result.outputs["out"]).ok
    return work(compiled, result.profile).tile_operations


def test_each_turn_costs_what_it_does() -> None:
    compiled = image(ALL)
    none, *some = (operations(ALL, compiled, turns) for turns in range(5))
    steps = np.diff([none, *some])
    assert (steps > 0).all()
    assert none < 0.2 * some[-1]


@pytest.mark.parametrize("late", [0, 32])
def test_tiles_of_rows_stop_by_themselves(late: int) -> None:
    compiled = image(ROWS)
    half = np.zeros(64, np.int32)
    half[late : late + 32] = 4
    found = [operations(ROWS, compiled, turns) for turns in (np.zeros(64), half, np.full(64, 4))]
    assert found[0] < found[1] < found[2]


def test_a_gate_may_be_arranged_anew() -> None:
    """What keeps flags of whole pages is not read in parts."""
    text = """program p(x: input f32[64, 64], w: weight f32[64, 64], n: input i32[64, 1]) -> (f32[64, 64], bool[64]) {
        gate = n * n + abs(n) > 3
        y = where(gate, relu(x @ w), x)
        return y @ w, reshape(gate, 64)
    }"""
    graph = lower(load(text, "gate.mesh"), None, {})
    compiled = compile_graph(graph, load_machine("mesh_4x4"), CompileOptions(prune=PruneOptions(Mode.ALL)))
    generator = np.random.default_rng(0)
    fed = {name: generator.standard_normal((64, 64), np.float32) for name in ("x", "w")}
    tensors = {**fed, "n": np.repeat(np.array([0, 2], np.int32), 32)[:, None]}
    result = emulator.run(compiled.image, tensors)
    for name, (value, bound) in evaluate_with_bounds(graph, tensors).items():
        assert compare(value, bound, result.outputs[name]).ok
