"""Hints are obeyed, refused with a reason, or, when soft, dropped with a note; they never change a result."""

from dataclasses import replace

import pytest

import emulator
from compiler.diagnostics import DiagnosticError, Severity, Span
from compiler.ir import GraphBuilder, TensorGraph, TensorType
from compiler.ir.hints import Hint, Loading
from compiler.ir.parser import parse_graph
from compiler.ir.printer import print_graph
from compiler.numerics import DType
from compiler.partition.stages import Stage, StageGraph
from compiler.pipeline import Compiled, compile_graph
from compiler.target import Coord
from compiler.target.load import load_machine
from runtime.testing.strategies import tensors_for

MESH = load_machine("mesh_4x4")
FIRST, SECOND = Span("h.mesh", 2, 5, 2, 40), Span("h.mesh", 3, 5, 3, 40)


def _graph(*hints: Hint) -> TensorGraph:
    """Two products, the first 4 x 4 tiles; each on its own line."""
    builder = GraphBuilder("hinted")
    x = builder.input("x", TensorType((128, 512), DType.BF16))
    w = builder.weight("w", TensorType((512, 128), DType.BF16))
    v = builder.weight("v", TensorType((128, 32), DType.BF16))
    h = builder.contract("mk", "kn", "mn", x, w, replace(FIRST, column=9, end_column=14))
    builder.output("y", builder.contract("mk", "kn", "mn", h, v, replace(SECOND, column=12, end_column=17)))
    return builder.build((), hints)


def _stages(stage_graph: StageGraph) -> list[Stage]:
    return [stage for epoch in stage_graph.epochs for stage in epoch]


def _compile(*hints: Hint) -> Compiled:
    return compile_graph(_graph(*hints), MESH)


def test_a_core_grid_and_its_place() -> None:
    compiled = _compile(Hint(FIRST, cores=(2, 4), corner=(1, 2)))
    first, second = _stages(compiled.stage_graph)
    assert first.grid == (2, 4)
    assert first.corner == Coord(1, 2)
    assert second.corner is None
    products = {
        compiled.image.origins[p.compute.origins[0]].stage: p.core for p in reversed(compiled.image.epochs[0].programs)
    }
    assert MESH.cores[products["contract_3"]] == Coord(1, 2)


@pytest.mark.parametrize("number", [0, 1])
def test_an_epoch(number: int) -> None:
    stage_graph = _compile(Hint(SECOND, epoch=number)).stage_graph
    assert [stage.nest for stage in stage_graph.epochs[number]][-1] == 1


def test_buffers_and_loading() -> None:
    streamed = Hint(FIRST, cores=(1, 1), loading=Loading.STREAM, buffers=3)
    first = _stages(_compile(streamed).stage_graph)[0]
    assert [plan.buffers for plan in first.operands] == [3, 3]
    resident = _stages(_compile(replace(streamed, cores=(2, 2), loading=Loading.RESIDENT)).stage_graph)[0]
    assert [(plan.level, plan.buffers) for plan in resident.operands] == [(0, 1), (0, 1)]


@pytest.mark.parametrize(
    ("hint", "reason"),
    [
        (Hint(FIRST, cores=(3, 3)), "do not split evenly over that core grid"),
        (Hint(FIRST, corner=(0, 0)), "no core grid for `contract_3` can start at (0, 0)"),
        (Hint(FIRST, cores=(4, 4), corner=(2, 1)), "no core grid for `contract_3` can start at (2, 1)"),
        (Hint(FIRST, cores=(1, 1), loading=Loading.RESIDENT), "bytes of L1 on a core"),
        (Hint(FIRST, epoch=1), "no division into epochs"),
    ],
)
def test_what_cannot_be_obeyed(hint: Hint, reason: str) -> None:
    with pytest.raises(DiagnosticError) as caught:
        _compile(hint)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "E0413"
    assert reason in diagnostic.message
    assert diagnostic.labels[0].span == FIRST
    assert diagnostic.helps
    soft = _compile(replace(hint, soft=True))
    assert [(note.code, note.severity) for note in soft.notes] == [("E0413", Severity.NOTE)]


def test_results_do_not_depend_on_hints() -> None:
    hints = (Hint(FIRST, cores=(4, 2), loading=Loading.STREAM), Hint(SECOND, cores=(1, 1), epoch=1))
    tensors = tensors_for(_graph(), 0, whole=False)
    plain, hinted = (emulator.run(compiled.image, tensors) for compiled in (_compile(), _compile(*hints)))
    assert plain.outputs["y"].tobytes() == hinted.outputs["y"].tobytes()
    assert plain.profile.makespan != hinted.profile.makespan


def test_the_printed_form_keeps_hints() -> None:
    hints = (
        Hint(FIRST, cores=(2, 4), corner=(1, 2), soft=True),
        Hint(SECOND, epoch=1, buffers=4, loading=Loading.RESIDENT),
        Hint(SECOND),
    )
    graph = _graph(*hints)
    assert parse_graph(print_graph(graph)) == graph


@pytest.mark.parametrize("clause", ["on cores(0, 4)", "buffers(0)", "epoch(-1)", "at core(1)", "upon cores(1, 1)"])
def test_malformed_hints_are_refused(clause: str) -> None:
    text = print_graph(_graph(Hint(FIRST))).rstrip() + f" {clause}\n"
    with pytest.raises(DiagnosticError, match="E0490"):
        parse_graph(text)
