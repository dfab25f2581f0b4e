"""What a view shows is what the programs do: counted from the image alone, and equal to what the emulator counted."""

from itertools import pairwise
from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.numerics import TileGrid
from compiler.program.image import Hop, IndexMap
from compiler.program.instructions import Affine
from compiler.target import Coord
from emulator.profile import REASONS, THREAD_NAMES
from runtime.view.lines import IDLE
from runtime.view.model import build
from runtime.view.routes import Link, runs
from runtime.view.timeline import covered_cycles
from runtime.view.traffic import StreamKind, gather_runs
from runtime.view.turns import Turns, repeated_values
from tests.unit.view.ran import CASES, PROGRAMS, ran

BUSY, PIPE, IDLE_REASON = (REASONS.index(name) for name in ("busy", "pipe", "idle"))


@pytest.mark.parametrize(("name", "machine"), CASES)
def test_flits_of_every_link_are_those_of_the_run(name: str, machine: str) -> None:
    model = ran(name, machine).model
    assert model.run is not None
    number = {link: index for index, link in enumerate(model.links)}
    for traffic, epoch in zip(model.traffic, model.run.run.profile.epochs, strict=True):
        carried = np.zeros(len(model.links), np.int64)
        for link in epoch.links:
            carried[number[Link(link.noc, link.src, link.dst)]] = link.flits
        np.testing.assert_array_equal(traffic.link_flits, carried)


def test_the_cases_have_every_kind_of_stream() -> None:
    kinds = {
        stream.name.kind
        for name, machine in CASES
        for traffic in ran(name, machine).model.traffic
        for stream in traffic.streams
    }
    assert kinds == set(StreamKind)


@pytest.mark.parametrize(("name", "machine"), CASES)
def test_lines_add_up(name: str, machine: str) -> None:
    model = ran(name, machine).model
    assert model.run is not None
    profile = model.run.run.profile
    total = sum(sum(thread.cycles) for epoch in profile.epochs for thread in epoch.threads)
    assert sum(line.cycles for line in model.lines) == total
    assert sum(line.share for line in model.lines) == pytest.approx(1)
    assert sum(line.dram_read for line in model.lines) == model.run.report.dram_read_bytes
    assert sum(line.dram_written for line in model.lines) == model.run.report.dram_written_bytes
    idle = sum(thread.cycles[-1] for epoch in profile.epochs for thread in epoch.threads)
    assert model.lines[-1].text == IDLE
    assert model.lines[-1].cycles >= idle


def test_lines_name_the_program() -> None:
    model = ran("mlp").model
    texts = {line.line: line.text.strip() for line in model.lines if line.source == "mlp.mesh"}
    program = PROGRAMS["mlp"].split("\n")
    assert texts
    assert all(program[line - 1].strip() == text for line, text in texts.items())


@pytest.mark.parametrize(("name", "machine"), CASES)
def test_windows_add_up_to_the_profile(name: str, machine: str) -> None:
    model = ran(name, machine).model
    assert model.run is not None
    line, profile = model.run.timeline, model.run.run.profile
    for number, epoch in enumerate(profile.epochs):
        inside = line.epochs == number
        assert line.lengths[inside].sum() == epoch.cycles
        np.testing.assert_array_equal(line.links[:, inside].sum(axis=1).sum(), sum(link.flits for link in epoch.links))
        for thread in epoch.threads:
            row = line.cores.index(thread.core), THREAD_NAMES.index(thread.thread)
            sums = line.threads[row][:, inside].sum(axis=1).tolist()
            expected = list(thread.cycles)
            expected[BUSY] += expected[PIPE]
            expected[PIPE] = 0
            assert sums == expected


def test_without_a_recording_an_epoch_is_one_window() -> None:
    content = ran("mlp").content
    model = build(content.image, type(content.run)(content.run.profile))
    assert model.run is not None
    line = model.run.timeline
    assert not line.recorded
    assert line.lengths.tolist() == [epoch.cycles for epoch in content.run.profile.epochs]
    first = content.run.profile.epochs[0].threads[0]
    row = line.cores.index(first.core), THREAD_NAMES.index(first.thread)
    assert line.threads[row][:, 0].tolist() == list(first.cycles)


@pytest.mark.parametrize(("name", "machine"), CASES)
def test_stages_cover_the_programs(name: str, machine: str) -> None:
    model = ran(name, machine).model
    for number, epoch in enumerate(model.image.epochs):
        cores = [core for stage in model.epoch_stages(number) for core in stage.cores]
        assert sorted(cores) == [program.core for program in epoch.programs]
        letters = [stage.letter for stage in model.epoch_stages(number)]
        assert len(set(letters)) == len(letters)
    for stage in model.stages:
        assert stage.l1_bytes == max(sum(buffer.bytes for buffer in each) for each in stage.buffers)
        assert stage.writes
        assert all(stage.number in model.tensors[tensor].readers for tensor in stage.reads)
        assert all(stage.number in model.tensors[tensor].writers for tensor in stage.writes)


def test_stages_lead_to_operations_of_the_compiled_graph() -> None:
    model = ran("mlp").model
    assert model.graph is not None
    assert {node.stage for node in model.graph.optimized} - {-1} == {stage.number for stage in model.stages}
    for node in model.graph.optimized:
        if node.stage >= 0:
            stage = model.stages[node.stage]
            kinds = {"map": "map", "reduce": "reduce", "contract": "contract"}
            assert stage.name.startswith(kinds[node.kind])


@given(st.lists(st.tuples(st.integers(-4, 9), st.integers(1, 4)), max_size=4), st.integers(0, 50))
def test_repeated_values_are_those_of_the_loops(loops: list[tuple[int, int]], constant: int) -> None:
    while loops and not loops[-1][0]:
        loops.pop()
    expected = [constant]
    for coefficient, times in loops:
        expected = [value + coefficient * turn for value in expected for turn in range(times)]
    value = Affine(constant, tuple(coefficient for coefficient, _ in loops))
    counts = tuple(times for _, times in loops)
    found = repeated_values(value, Turns(prod(counts), counts))
    assert sorted(found.tolist()) == sorted(expected)


@given(st.integers(1, 70), st.integers(1, 70), st.integers(-5, 5), st.sampled_from([1, 2, 3]))
def test_gather_runs_cover_each_element_once(rows: int, columns: int, base: int, step: int) -> None:
    """A shifted, strided row copy, against a plain loop."""
    source = (80, 90)
    index_map = IndexMap((rows, columns), (rows, columns), (0, base), ((1, 0), (0, step)), source)
    results, sources, lengths = gather_runs(index_map, source)
    wanted: dict[tuple[int, int], int] = {}
    for row in range(rows):
        for column in range(columns):
            x = base + step * column
            if 0 <= x < source[1]:
                across = TileGrid((rows, columns)).dims[-1]
                page = row // 32 * across + column // 32
                key = (page, row // 32 * TileGrid(source).dims[-1] + x // 32)
                wanted[key] = wanted.get(key, 0) + 1
    found: dict[tuple[int, int], int] = {}
    for result, origin, length in zip(results.tolist(), sources.tolist(), lengths.tolist(), strict=True):
        found[result, origin] = found.get((result, origin), 0) + length
    assert found == wanted
    assert (lengths <= 32).all()


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 40), st.integers(0, 40)), max_size=12))
def test_covered_cycles(items: list[tuple[int, int, int]]) -> None:
    edges = np.array([0, 7, 8, 20, 41], np.int64)
    spans = [(row, min(a, b), max(a, b)) for row, a, b in items]
    rows, begins, ends = np.array(spans, np.int64).reshape(-1, 3).T
    expected = np.zeros((3, 41), np.int64)
    for row, begin, end in spans:
        expected[row, begin:end] += 1
    found = covered_cycles(rows, begins, ends, edges, 3)
    np.testing.assert_array_equal(found, np.add.reduceat(expected, edges[:-1], axis=1))


def test_runs_are_straight_and_split_at_the_edge() -> None:
    way = [(3, 0), (4, 0), (0, 0), (1, 0), (1, 1)]
    hops = [Hop(Coord(*a), Coord(*b), 1) for a, b in pairwise(way)]
    found = [(run.src, run.dst) for run in runs(hops)]
    assert found == [
        (Coord(3, 0), Coord(4, 0)),
        (Coord(4, 0), Coord(0, 0)),
        (Coord(0, 0), Coord(1, 0)),
        (Coord(1, 0), Coord(1, 1)),
    ]
