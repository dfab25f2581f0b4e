"""Whatever is left out, before the run or in it: the outputs are those of the whole program, but for the sign of zeros.

Bit for bit, on every machine, for masks, gates, zero weights, and inputs with NaN, infinities, zeros and denormals.
"""

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from compiler.diagnostics import DiagnosticError
from compiler.frontend import load, lower
from compiler.ir import TensorGraph
from compiler.ir.graph import Input, State, Weight
from compiler.numerics.evaluate import Array
from compiler.pipeline import Compiled, CompileOptions, compile_graph
from compiler.prune import Mode, PruneOptions
from compiler.target import Machine
from compiler.target.load import load_machine
from runtime.session import Session
from runtime.testing.machines import machines
from runtime.testing.sparse import sparse_graphs, special_tensors, zero_tiles

MACHINES = st.one_of(st.sampled_from((load_machine("mesh_4x4"), load_machine("wormhole_n150"))), machines(min_cores=4))
SEEDS = st.integers(0, 2**16)
BROKEN_PROMISES = {"E0518", "E0528"}


def _compiled(graph: TensorGraph, machine: Machine, options: PruneOptions, seed: int = 0) -> Compiled:
    try:
        return compile_graph(graph, machine, CompileOptions(seed=seed, prune=options))
    except DiagnosticError as error:
        assume(error.diagnostics[0].code != "E0412")  # it does not fit this machine
        raise


def _tensors(graph: TensorGraph, seed: int, share: float) -> dict[str, Array]:
    """Tensors with special values, but for those that the program declares finite."""
    tensors = special_tensors(graph, seed, share=share)
    for op in graph.ops:
        if isinstance(op.kind, Input | Weight | State) and op.kind.finite:
            array = tensors[op.kind.name]
            tensors[op.kind.name] = np.where(np.isfinite(array.astype(np.float32)), array, np.ones((), array.dtype))
    return tensors


def _outputs(compiled: Compiled, tensors: dict[str, Array]) -> dict[str, Array]:
    session = Session.from_image(compiled.image)
    for name, array in tensors.items():
        session.feed(name, array)
    return dict(session.run().outputs)


def _kept_promises(compiled: Compiled, tensors: dict[str, Array]) -> dict[str, Array] | None:
    """The outputs, or None if the run stops because something is not finite that was promised to be."""
    try:
        return _outputs(compiled, tensors)
    except DiagnosticError as error:
        if any(diagnostic.code not in BROKEN_PROMISES for diagnostic in error.diagnostics):
            raise
    return None


def _assert_same(before: dict[str, Array], after: dict[str, Array]) -> None:
    assert before.keys() == after.keys()
    for name, array in before.items():
        np.testing.assert_array_equal(array.astype(np.float64), after[name].astype(np.float64), err_msg=name)


@given(sparse_graphs(), MACHINES, st.sampled_from((Mode.STATIC, Mode.DYNAMIC, Mode.ALL)), SEEDS)
def test_pruned_programs_give_what_whole_ones_give(graph: TensorGraph, machine: Machine, mode: Mode, seed: int) -> None:
    tensors = _tensors(graph, seed, share=0.3)
    zeros = zero_tiles(graph, tensors, seed)
    before = _outputs(_compiled(graph, machine, PruneOptions(Mode.NONE)), tensors)
    after = _outputs(_compiled(graph, machine, PruneOptions(mode, zeros=zeros), seed), tensors)
    _assert_same(before, after)


@given(sparse_graphs(), MACHINES, SEEDS, st.sampled_from((0.0, 0.3)))
def test_what_is_assumed_finite_is_so_or_the_run_stops(
    graph: TensorGraph, machine: Machine, seed: int, share: float
) -> None:
    tensors = _tensors(graph, seed, share=share)
    zeros = zero_tiles(graph, tensors, seed)
    before = _outputs(_compiled(graph, machine, PruneOptions(Mode.NONE)), tensors)
    compiled = _compiled(graph, machine, PruneOptions(Mode.ALL, assume_finite=True, zeros=zeros))
    after = _kept_promises(compiled, tensors)
    if after is not None:
        _assert_same(before, after)


_GATED = """
{semantics}
dim E = {experts}, M = {rows}, D = {width}, F = {hidden}
program gated(x: input {type}[M, D], s: input {type}[E, M, 1], w1: weight {type}[E, D, F], w2: weight {type}[E, F, D])
        -> {type}[{result}] {{
    g = relu(s)
    h[e, m, f] = sum(d) x[m, d] * w1[e, d, f]
    y[e, m, d] = sum(f) silu(h[e, m, f]) * w2[e, f, d]
    {exit}
}}
"""
_EXITS = (
    ("return sum(where(g != 0.0, g * y, 0.0), axis=0)", "M, D"),
    ("return where(g != 0.0, exp(y), 1.0)", "E, M, D"),
    ("z = where(g != 0.0, y, 0.0)\n    return z / (g + 1.0)", "E, M, D"),
)


@st.composite
def gated_graphs(draw: st.DrawFn) -> TensorGraph:
    """Layers of experts, switched by a gate."""
    exit, result = draw(st.sampled_from(_EXITS))
    extents = st.sampled_from((32, 64, 96, 40))
    text = _GATED.format(
        semantics="semantics zero_annihilates" if draw(st.booleans()) else "",
        experts=draw(st.integers(1, 3)),
        rows=draw(extents),
        width=draw(extents),
        hidden=draw(extents),
        type=draw(st.sampled_from(("f32", "bf16"))),
        exit=exit,
        result=result,
    )
    return lower(load(text, "gated.mesh"), None, {})


@given(gated_graphs(), MACHINES, SEEDS, st.sampled_from((0.0, 0.5, 1.0)), st.booleans())
def test_gates_switch_off_what_does_not_matter(
    graph: TensorGraph, machine: Machine, seed: int, density: float, assumed: bool
) -> None:
    tensors = _tensors(graph, seed, share=0.0 if assumed else 0.2)
    for op in graph.ops:
        if isinstance(op.kind, Input) and op.kind.name == "s":
            experts, rows, _ = op.type.shape
            open_tiles = np.random.default_rng(seed).random((experts, -(-rows // 32), 1)) < density
            closed = ~np.repeat(open_tiles, 32, axis=1)[:, :rows]
            tensors["s"] = np.where(closed, -1, tensors["s"]).astype(tensors["s"].dtype)
    before = _outputs(_compiled(graph, machine, PruneOptions(Mode.NONE)), tensors)
    compiled = _compiled(graph, machine, PruneOptions(Mode.ALL, assume_finite=assumed))
    after = _kept_promises(compiled, tensors)
    assert assumed or after is not None
    if after is not None:
        _assert_same(before, after)
