"""Programs of which much is known to be zero, from graph to emulated bytes, against the NumPy reference."""

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

import emulator
from compiler.diagnostics import DiagnosticError
from compiler.frontend import load, lower
from compiler.ir import TensorGraph
from compiler.numerics import TILE
from compiler.numerics.masks import TileMask
from compiler.pipeline import Compiled, CompileOptions, compile_graph
from compiler.prune import Mode, PruneOptions
from compiler.target import Machine
from compiler.target.load import load_machine
from runtime.reference import compare, evaluate_with_bounds
from runtime.testing.machines import machines
from runtime.testing.strategies import tensors_for

MACHINES = st.one_of(st.sampled_from((load_machine("mesh_4x4"), load_machine("wormhole_n150"))), machines(min_cores=4))

_SPARSE = """
dim M = {0}, K = {1}, N = {2}
program sparse(x: input f32[M, K], w: weight f32[K, N], v: weight f32[N, K]) -> (a: f32[M, K], b: f32[M, 1]) {{
    h = x @ w
    return relu(h) @ v + x, sum(h * 2.0, axis=1, keepdims=true)
}}
"""

_MASKED = """
dim M = {0}, K = {1}
program masked(x: input f32[M, K], w: weight f32[M, K], v: weight f32[K, M]) -> (a: f32[M, K], b: f32[K, M]) {{
    y = x * w
    return y + y * x, transpose(y) * v
}}
"""

_BAND = """
dim T = {0}, E = {1}, W = {2}
program band(q: input f32[T, E], k: input f32[T, E], v: input f32[T, E]) -> f32[T, E] {{
    return sliding_window_attention(q, k, v, W)
}}
"""


def _graph(text: str, *extents: int) -> TensorGraph:
    return lower(load(text.format(*extents), "drawn.mesh"), None, {})


EXTENTS = st.sampled_from((20, 32, 64, 96, 128))


@st.composite
def programs(draw: st.DrawFn) -> TensorGraph:
    kind = draw(st.sampled_from(("sparse", "masked", "band")))
    if kind == "sparse":
        return _graph(_SPARSE, draw(EXTENTS), draw(EXTENTS), draw(EXTENTS))
    if kind == "masked":
        return _graph(_MASKED, draw(EXTENTS), draw(EXTENTS))
    return _graph(_BAND, draw(st.sampled_from((64, 96, 160))), 32, draw(st.integers(1, 80)))


def _zeros(graph: TensorGraph, seed: int, density: float) -> dict[str, TileMask]:
    """Tiles of `w` and `v` that are zero."""
    generator = np.random.default_rng(seed)
    tensors = tensors_for(graph, 0, whole=False)
    named = (name for name in ("w", "v") if name in tensors and "q" not in tensors)
    grids = {name: tuple(-(-extent // TILE) for extent in tensors[name].shape) for name in named}
    return {name: TileMask.of(generator.random(grid) >= density) for name, grid in grids.items()}


def _compile(graph: TensorGraph, machine: Machine, options: CompileOptions) -> Compiled:
    """Compile; a program that needs more L1 than the drawn machine has is not the matter here."""
    try:
        return compile_graph(graph, machine, options)
    except DiagnosticError as error:
        assume({diagnostic.code for diagnostic in error.diagnostics} != {"E0412"})
        raise


@given(programs(), MACHINES, st.integers(0, 99), st.sampled_from((0.1, 0.4, 0.8)), st.booleans())
def test_emulator_agrees_with_the_reference(
    graph: TensorGraph, machine: Machine, seed: int, density: float, whole: bool
) -> None:
    zeros = _zeros(graph, seed, density)
    options = CompileOptions(prune=PruneOptions(Mode.STATIC, assume_finite=True, zeros=zeros))
    compiled = _compile(graph, machine, options)
    tensors = tensors_for(graph, seed, whole=whole)
    for name, mask in zeros.items():
        dead = mask.array.repeat(TILE, 0).repeat(TILE, 1)
        tensors[name][dead[: tensors[name].shape[0], : tensors[name].shape[1]]] = 0
    result = emulator.run(compiled.image, tensors)
    for name, (value, bound) in evaluate_with_bounds(graph, tensors).items():
        comparison = compare(value, bound, result.outputs[name])
        assert comparison.ok, (name, comparison)
    assert result.profile.makespan >= max(cycles for _, cycles in compiled.bound)
