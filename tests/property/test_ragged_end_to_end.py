"""Programs of which much is known to be zero, from graph to emulated bytes, against the NumPy reference."""

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

import emulator
from compiler.codegen.emit import emit
from compiler.diagnostics import DiagnosticError
from compiler.frontend import load, lower
from compiler.ir import TensorGraph
from compiler.numerics import TILE
from compiler.numerics.masks import TileMask
from compiler.partition.check import check as check_partition
from compiler.partition.footprint import l1_bytes
from compiler.partition.live import looped
from compiler.partition.nest import GatherBody, Workload
from compiler.partition.ragged import in_step
from compiler.partition.stages import OperandPlan, Sharing, Stage, semaphores
from compiler.pipeline import Compiled, CompileOptions, compile_graph
from compiler.program.check import check_image
from compiler.program.instructions import Thread
from compiler.program.tokens import check_tokens
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


def _zeros(graph: TensorGraph, seed: int, density: float, grain: int) -> dict[str, TileMask]:
    """Tiles of `w` and `v` that are zero, in squares of `grain` by `grain`."""
    generator = np.random.default_rng(seed)
    tensors = tensors_for(graph, 0, whole=False)
    named = (name for name in ("w", "v") if name in tensors and "q" not in tensors)
    masks: dict[str, TileMask] = {}
    for name in named:
        rows, columns = (-(-extent // TILE) for extent in tensors[name].shape)
        coarse = generator.random((rows, columns)) >= density
        masks[name] = TileMask.of(coarse.repeat(grain, 0).repeat(grain, 1)[:rows, :columns])
    return masks


def _compile(graph: TensorGraph, machine: Machine, options: CompileOptions) -> Compiled:
    """Compile; a program that needs more L1 than the drawn machine has is not the matter here."""
    try:
        return compile_graph(graph, machine, options)
    except DiagnosticError as error:
        assume({diagnostic.code for diagnostic in error.diagnostics} != {"E0412"})
        raise


def _fed(graph: TensorGraph, zeros: dict[str, TileMask], seed: int, whole: bool) -> dict[str, NDArray[Any]]:
    tensors = tensors_for(graph, seed, whole=whole)
    for name, mask in zeros.items():
        dead = mask.array.repeat(TILE, 0).repeat(TILE, 1)
        tensors[name][dead[: tensors[name].shape[0], : tensors[name].shape[1]]] = 0
    return tensors


DENSITIES = st.sampled_from((0.1, 0.4, 0.8))


@given(programs(), MACHINES, st.integers(0, 99), DENSITIES, st.integers(1, 2), st.booleans())
def test_emulator_agrees_with_the_reference(
    graph: TensorGraph, machine: Machine, seed: int, density: float, grain: int, whole: bool
) -> None:
    zeros = _zeros(graph, seed, density, grain)
    options = CompileOptions(prune=PruneOptions(Mode.STATIC, assume_finite=True, zeros=zeros))
    compiled = _compile(graph, machine, options)
    tensors = _fed(graph, zeros, seed, whole)
    result = emulator.run(compiled.image, tensors)
    for name, (value, bound) in evaluate_with_bounds(graph, tensors).items():
        comparison = compare(value, bound, result.outputs[name])
        assert comparison.ok, (name, comparison)
    assert result.profile.makespan >= max(cycles for _, cycles in compiled.bound)


def _other_plans(workload: Workload, stage: Stage, data: st.DataObject) -> Stage:
    """The same stage with operands loaded at other levels and by other cores."""
    if not stage.deal or isinstance(workload.nests[stage.nest].body, GatherBody):
        return stage
    plans = []
    for number, plan in enumerate(stage.operands):
        level = data.draw(st.integers(0, 3 if looped(workload.nests[stage.nest], number) else 2))
        sharings = [sharing for sharing, cores in _members(stage) if cores > 1]
        allowed = [sharing for sharing in sharings if in_step(workload, stage, level, sharing)]
        sharing = data.draw(st.sampled_from([Sharing.NONE, *allowed]))
        buffers, thread = data.draw(st.integers(1, 3)), data.draw(st.sampled_from((Thread.READ, Thread.WRITE)))
        plans.append(OperandPlan(level, buffers, sharing, thread, plan.from_l1))
    return replace(stage, operands=tuple(plans))


def _members(stage: Stage) -> tuple[tuple[Sharing, int], ...]:
    rows, columns = stage.grid
    return (Sharing.ROW, columns), (Sharing.COLUMN, rows), (Sharing.ALL, rows * columns)


@given(programs(), st.sampled_from((load_machine("mesh_4x4"), load_machine("wormhole_n150"))), DENSITIES, st.data())
def test_outputs_do_not_depend_on_how_operands_arrive(
    graph: TensorGraph, machine: Machine, density: float, data: st.DataObject
) -> None:
    zeros = _zeros(graph, 1, density, 1)
    options = CompileOptions(prune=PruneOptions(Mode.STATIC, assume_finite=True, zeros=zeros))
    compiled = _compile(graph, machine, options)
    stages = compiled.stage_graph
    workload = stages.workload
    epochs = tuple(tuple(_other_plans(workload, stage, data) for stage in epoch) for epoch in stages.epochs)
    changed = replace(stages, epochs=epochs)
    assume(all(l1_bytes(machine, workload, stage) <= machine.l1_available for epoch in epochs for stage in epoch))
    assume(all(semaphores(epoch) <= machine.semaphores for epoch in epochs))
    check_partition(machine, changed)
    image = emit(machine, changed, 0)
    check_image(image)
    check_tokens(image)
    tensors = _fed(graph, zeros, 0, whole=False)
    expected, found = emulator.run(compiled.image, tensors).outputs, emulator.run(image, tensors).outputs
    assert {name: value.tobytes() for name, value in expected.items()} == {n: v.tobytes() for n, v in found.items()}
