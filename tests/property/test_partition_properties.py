"""Every mapping that the partitioner finds passes its check, and the check refuses damaged ones."""

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from compiler.diagnostics import DiagnosticError, InternalError
from compiler.ir import TensorGraph
from compiler.partition.check import check
from compiler.partition.solve import PartitionOptions, solve
from compiler.partition.stages import OperandPlan, Sharing, Stage, StageGraph
from compiler.partition.tiling import tile
from compiler.passes import run_pipeline
from compiler.target import Machine
from runtime.testing.machines import machines
from runtime.testing.strategies import graphs


def _solve(machine: Machine, graph: TensorGraph, options: PartitionOptions | None = None) -> StageGraph:
    """Map `graph`; a machine whose L1 is too small for it is not the matter here."""
    try:
        return solve(machine, tile(run_pipeline(graph)), options)
    except DiagnosticError as error:
        assume({diagnostic.code for diagnostic in error.diagnostics} != {"E0412"})
        raise


@given(machines(), graphs(), st.integers(1, 12))
def test_solutions_pass_the_check(machine: Machine, graph: TensorGraph, longest: int) -> None:
    stage_graph = _solve(machine, graph, PartitionOptions(longest_epoch=longest))
    check(machine, stage_graph)
    assert all(len(stages) <= longest for stages in stage_graph.epochs)


def _mutations(stage: Stage) -> list[Stage]:
    """Damaged copies of a stage, each of which breaks a rule."""
    broken = [
        replace(stage, to_dram=False, shard=False),
        replace(stage, ways=(*stage.ways[:-1], stage.ways[-1] + 1000)),
        replace(stage, ways=stage.ways[1:]),
        replace(stage, block=(0, 0, 0)),
    ]
    for number, plan in enumerate(stage.operands):
        others = stage.operands[:number], stage.operands[number + 1 :]

        def put(changed: OperandPlan, others: tuple[tuple[OperandPlan, ...], ...] = others) -> Stage:
            return replace(stage, operands=(*others[0], changed, *others[1]))

        broken.append(put(replace(plan, from_l1=not plan.from_l1)))
        broken.append(put(replace(plan, buffers=0)))
        broken.append(put(replace(plan, level=99)))
        if stage.cores == 1:
            broken.append(put(replace(plan, sharing=Sharing.ALL)))
    return broken


@given(machines(), graphs(max_steps=4), st.data())
def test_damaged_solutions_are_refused(machine: Machine, graph: TensorGraph, data: st.DataObject) -> None:
    stage_graph = _solve(machine, graph)
    epoch = data.draw(st.integers(0, len(stage_graph.epochs) - 1))
    stages = stage_graph.epochs[epoch]
    index = data.draw(st.integers(0, len(stages) - 1))
    damaged = data.draw(st.sampled_from(_mutations(stages[index])))
    epochs = list(stage_graph.epochs)
    epochs[epoch] = (*stages[:index], damaged, *stages[index + 1 :])
    with pytest.raises(InternalError):
        check(machine, replace(stage_graph, epochs=tuple(epochs)))


@given(machines(), graphs(max_steps=4))
def test_a_missing_or_repeated_stage_is_refused(machine: Machine, graph: TensorGraph) -> None:
    stage_graph = _solve(machine, graph)
    first, *rest = stage_graph.epochs
    for epochs in ((first[1:], *rest), (first, first, *rest)):
        with pytest.raises(InternalError):
            check(machine, replace(stage_graph, epochs=epochs))
