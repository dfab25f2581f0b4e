"""Hints for a nest that is computed in part are obeyed or refused as for any other."""

import numpy as np
import pytest

from compiler.diagnostics import DiagnosticError, Span
from compiler.ir import GraphBuilder, TensorGraph, TensorType
from compiler.ir.hints import Hint, Loading
from compiler.numerics import DType
from compiler.numerics.masks import TileMask
from compiler.partition.stages import Stage
from compiler.pipeline import CompileOptions, compile_graph
from compiler.prune import Mode, PruneOptions
from compiler.target import Coord
from compiler.target.load import load_machine

MESH = load_machine("mesh_4x4")
HERE = Span("h.mesh", 2, 5, 2, 40)
DIAGONAL = TileMask.of(~np.eye(4, dtype=bool))


def _graph(hint: Hint) -> TensorGraph:
    """A product of 4 x 4 tiles."""
    builder = GraphBuilder("hinted")
    x = builder.input("x", TensorType((128, 128), DType.BF16))
    w = builder.weight("w", TensorType((128, 128), DType.BF16))
    builder.output("y", builder.contract("mk", "kn", "mn", x, w, HERE))
    return builder.build((), (hint,))


def _stage(hint: Hint) -> Stage:
    """The only stage, with weights whose tiles are zero but for the diagonal."""
    options = CompileOptions(prune=PruneOptions(Mode.STATIC, assume_finite=True, zeros={"w": DIAGONAL}))
    ((stage,),) = compile_graph(_graph(hint), MESH, options).stage_graph.epochs
    assert stage.deal
    return stage


@pytest.mark.parametrize("grid", [(1, 1), (2, 3), (4, 4), (3, 4)])
def test_a_core_grid_and_its_place(grid: tuple[int, int]) -> None:
    corner = (MESH.core_columns[0], MESH.core_rows[0])
    stage = _stage(Hint(HERE, cores=grid, corner=corner))
    assert stage.grid == grid
    assert stage.corner == Coord(*corner)
    assert len(stage.deal) == grid[0] * grid[1]


@pytest.mark.parametrize("grid", [(5, 1), (1, 17)])
def test_a_core_grid_that_is_too_large_is_refused(grid: tuple[int, int]) -> None:
    with pytest.raises(DiagnosticError, match="E0413"):
        _stage(Hint(HERE, cores=grid))


@pytest.mark.parametrize(("loading", "level"), [(Loading.RESIDENT, 0), (Loading.STREAM, 3)])
def test_when_operands_are_loaded(loading: Loading, level: int) -> None:
    assert {plan.level for plan in _stage(Hint(HERE, cores=(2, 2), loading=loading)).operands} == {level}


def test_buffers() -> None:
    stage = _stage(Hint(HERE, cores=(1, 1), loading=Loading.STREAM, buffers=3))
    assert {plan.buffers for plan in stage.operands} == {3}
