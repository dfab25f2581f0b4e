"""The critical path is one chain from end to start; the replay without a change is the run; suggestions hold."""

from dataclasses import replace
from itertools import pairwise

import pytest

from compiler.diagnostics import DiagnosticError
from compiler.program.image import DramPlace, Role
from emulator import run
from runtime.explain.critical import Piece, critical_path
from runtime.explain.explanation import Explanation, explain
from runtime.explain.replay import NO_CHANGE, Scales, replay
from runtime.explain.suggest import FasterDram, FasterMath, Narrow, Suggestion, changed_machine, recompile
from runtime.feed import random_array
from tests.unit.view.ran import CASES, Ran, ran


def explained(case: Ran) -> Explanation:
    recording = case.content.run.recording
    assert recording is not None
    return explain(case.image, case.content.run.profile, recording, case.model.stages)


@pytest.mark.parametrize(("name", "machine"), CASES)
def test_the_path_covers_every_cycle_once(name: str, machine: str) -> None:
    case = ran(name, machine)
    profile, recording = case.content.run.profile, case.content.run.recording
    assert recording is not None
    path = critical_path(case.image, profile, recording)
    first = profile.epochs[0].start
    for number, epoch in enumerate(profile.epochs):
        inside = [segment for segment in path if segment.epoch == number]
        assert inside[0].begin == epoch.start - first
        assert inside[-1].end == epoch.end - first
        assert all(a.end == b.begin for a, b in pairwise(inside))
        assert all(segment.cycles > 0 for segment in inside)


@pytest.mark.parametrize(("name", "machine"), CASES)
def test_a_replay_without_a_change_is_the_run(name: str, machine: str) -> None:
    case = ran(name, machine)
    assert case.content.run.recording is not None
    lengths = replay(case.image, case.content.run.profile, case.content.run.recording, NO_CHANGE)
    assert lengths == tuple(epoch.cycles for epoch in case.content.run.profile.epochs)


@pytest.mark.parametrize(("name", "machine"), CASES)
def test_a_replay_with_faster_parts_is_never_longer(name: str, machine: str) -> None:
    case = ran(name, machine)
    profile, recording = case.content.run.profile, case.content.run.recording
    assert recording is not None
    tensors = [n for n, tensor in enumerate(case.image.tensors) if isinstance(tensor.place, DramPlace)]
    work = {(stage.epoch, core): 0.5 for stage in case.model.stages for core in stage.cores}
    for scales in (Scales(dram=dict.fromkeys(tensors, 0.5)), Scales(network=0.5), Scales(work=work)):
        for before, after in zip(profile.epochs, replay(case.image, profile, recording, scales), strict=True):
            assert after <= before.cycles


@pytest.mark.parametrize(("name", "machine"), CASES)
def test_the_walk_ends_at_something_that_waits_for_nobody(name: str, machine: str) -> None:
    found = explained(ran(name, machine))
    assert found.walk[-1].text.endswith("waits for nobody.")
    assert "critical path" in found.sentence
    stages = [step.stage for step in found.walk if step.stage >= 0]
    assert len(set(stages)) == len(stages)


@pytest.mark.parametrize(("name", "machine"), CASES)
def test_suggestions_are_ranked(name: str, machine: str) -> None:
    found = explained(ran(name, machine)).suggestions
    assert 1 <= len(found) <= 3
    assert all(suggestion.saved > 0 for suggestion in found)
    own = [not isinstance(each.change, FasterDram | FasterMath) and "machine" not in each.detail for each in found]
    assert own == sorted(own, reverse=True)


def saved(case: Ran, suggestion: Suggestion) -> int | None:
    """Cycles that the change saves: the same programs on another machine, or the program compiled anew; None if it
    cannot be had."""
    machine = changed_machine(suggestion.change, case.image.machine)
    try:
        changed = machine != case.image.machine
        image = replace(case.image, machine=machine) if changed else recompile(suggestion.change, case.graph, machine)
    except DiagnosticError:
        return None
    fed = {t.name: random_array(t, 0) for t in image.tensors if t.role in (Role.INPUT, Role.WEIGHT)}
    return case.content.run.profile.makespan - run(image, fed).profile.makespan


@pytest.mark.parametrize("name", ["mlp", "wide", "product"])
def test_suggestions_checked_by_recompiling(name: str) -> None:
    """On the machine where nothing is shared by surprise, what is predicted for the same programs on another machine,
    and for types, comes true within a factor; what a hint or another machine does to the whole partition, no replay of
    the old one can know."""
    case = ran(name)
    for suggestion in explained(case).suggestions:
        real = saved(case, suggestion)
        if isinstance(suggestion.change, FasterDram | FasterMath | Narrow):
            assert real is not None
            assert 0.4 * suggestion.saved <= real <= 2.5 * suggestion.saved, suggestion
        else:
            assert real is None or real < case.content.run.profile.makespan


def test_the_sentence_names_the_greatest_piece() -> None:
    case = ran("product")
    found = explained(case)
    totals: dict[Piece, int] = {}
    for segment in found.path:
        totals[segment.piece] = totals.get(segment.piece, 0) + segment.cycles
    assert max(totals, key=lambda piece: totals[piece]) is Piece.DRAM
    assert "DRAM" in found.sentence
