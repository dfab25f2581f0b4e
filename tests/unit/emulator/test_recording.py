"""A recording adds up to the profile, names causes that make sense, and changes nothing."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator import RunResult, run
from emulator import recorder as recorder_module
from emulator.profile import REASONS, THREAD_NAMES, Profile
from emulator.recorder import WINDOWS, Coverage, Peaks
from emulator.recording import EpochRecording, Ints, Recording, pack_table, unpack_table
from tests.unit.emulator.test_profile import fed, image

BEGIN, END, THREAD, REASON, ORIGIN, CAUSE, CAUSE_TIME, TENSOR = range(8)


@pytest.fixture(scope="module")
def result() -> RunResult:
    return run(image(), fed(), record=True)


def only_epoch(result: RunResult) -> EpochRecording:
    assert result.recording is not None
    return result.recording.epochs[0]


def test_recording_changes_neither_bytes_nor_cycles(result: RunResult) -> None:
    plain = run(image(), fed())
    assert plain.recording is None
    assert plain.profile == result.profile
    np.testing.assert_array_equal(plain.outputs["y"], result.outputs["y"])


def test_stalls_add_up_to_the_profile(result: RunResult) -> None:
    recorded, epoch = only_epoch(result), result.profile.epochs[0]
    sums = np.zeros((3 * 16, len(REASONS)), np.int64)
    lengths = recorded.stalls[:, END] - recorded.stalls[:, BEGIN]
    np.add.at(sums, (recorded.stalls[:, THREAD], recorded.stalls[:, REASON]), lengths)
    pipe, idle = REASONS.index("pipe"), REASONS.index("idle")
    for thread in epoch.threads:
        row = sums[3 * thread.core + THREAD_NAMES.index(thread.thread)]
        assert row[1:pipe].tolist() == list(thread.cycles[1:pipe])
    assert recorded.finish.tolist() == [epoch.cycles - thread.cycles[idle] for thread in epoch.threads]


def test_windows_add_up_to_the_profile(result: RunResult) -> None:
    recorded, epoch = only_epoch(result), result.profile.epochs[0]
    assert recorded.links.sum(axis=1).tolist() == [link.flits for link in epoch.links]
    assert recorded.links.max() <= recorded.window
    assert recorded.channels.max() <= recorded.window
    assert recorded.links.shape[1] * recorded.window >= epoch.cycles


def test_causes_come_before_their_effects(result: RunResult) -> None:
    stalls = only_epoch(result).stalls
    assert (stalls[:, CAUSE_TIME] <= stalls[:, END]).all()
    assert (np.diff(stalls[:, END]) >= 0).all()
    barriers = stalls[stalls[:, REASON] == REASONS.index("barrier")]
    assert (barriers[:, CAUSE] == barriers[:, THREAD]).all()
    waits = stalls[stalls[:, REASON] == REASONS.index("cb wait")]
    assert (waits[:, CAUSE] != waits[:, THREAD]).all()
    assert (waits[:, CAUSE] // 3 == waits[:, THREAD] // 3).all()


def test_packets_are_those_of_the_programs(result: RunResult) -> None:
    packets = only_epoch(result).packets
    kinds = np.bincount(packets[:, 3], minlength=6).tolist()
    pages = 12 * 16
    assert kinds == [pages, pages, pages, 0, 0, pages]
    assert (packets[:, 1] > packets[:, 0]).all()


def test_packets_beyond_the_limit_are_counted(monkeypatch: pytest.MonkeyPatch, result: RunResult) -> None:
    monkeypatch.setattr(recorder_module, "PACKET_LIMIT", 100)
    recorded = only_epoch(run(image(), fed(), record=True))
    np.testing.assert_array_equal(recorded.packets, only_epoch(result).packets[:100])
    assert recorded.packets_left_out == 4 * 12 * 16 - 100


def test_a_small_log_gives_the_same_recording(monkeypatch: pytest.MonkeyPatch, result: RunResult) -> None:
    monkeypatch.setattr("emulator.epoch.LOG_ROWS", 8)
    assert_same(only_epoch(run(image(), fed(), record=True)), only_epoch(result))


def assert_same(a: EpochRecording, b: EpochRecording) -> None:
    assert json.dumps(a.to_json()) == json.dumps(b.to_json())


def test_recording_and_profile_survive_json(result: RunResult) -> None:
    assert result.recording is not None
    document = json.loads(json.dumps({"r": result.recording.to_json(), "p": result.profile.to_json()}))
    assert_same(Recording.from_json(document["r"]).epochs[0], only_epoch(result))
    assert Profile.from_json(document["p"]) == result.profile


@pytest.mark.parametrize("damage", [{"reasons": []}, {"epochs": [{}]}, {"clock_ghz": "fast"}])
def test_a_damaged_profile_is_refused(result: RunResult, damage: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        Profile.from_json(result.profile.to_json() | damage)


def test_a_damaged_table_is_refused() -> None:
    with pytest.raises(ValueError, match="Error -3"):
        unpack_table({"shape": [1, 1], "data": "AAAAAAAAAAAA"})


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5000), st.integers(0, 900)), max_size=30), st.integers(1, 4)
)
def test_coverage_is_exact_however_windows_are_joined(items: list[tuple[int, int, int]], joins: int) -> None:
    window, coverage = 16, Coverage(4)
    rows, begins, lengths = np.array(items, np.int64).reshape(-1, 3).T
    coverage.add(rows, begins, begins + lengths, window)
    for _ in range(joins):
        coverage.join()
        window *= 2
    covered = coverage.result(window, WINDOWS)
    expected = np.zeros((4, window * WINDOWS), np.int64)
    for row, begin, length in items:
        expected[row, begin : begin + length] += 1
    np.testing.assert_array_equal(covered, expected.reshape(4, WINDOWS, window).sum(axis=2))


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 9)), max_size=30), st.booleans())
def test_peaks_begin_with_the_level_before(items: list[tuple[int, int]], join: bool) -> None:
    steps: Ints = np.array(sorted(items, key=lambda item: item[0]), np.int64).reshape(-1, 2)
    peaks, window = Peaks(1), 8
    peaks.add(np.zeros(len(steps), np.int64), steps[:, 0], steps[:, 1], window)
    if join:
        peaks.join()
        window *= 2
    result = peaks.result(20)[0]
    level = 0
    for number in range(20):
        inside = [value for time, value in steps.tolist() if number * window <= time < (number + 1) * window]
        assert result[number] == max([level, *inside])
        level = inside[-1] if inside else level


@given(st.lists(st.lists(st.integers(-(2**40), 2**40), min_size=3, max_size=3), max_size=5))
def test_tables_survive_packing(rows: list[list[int]]) -> None:
    table = np.array(rows, np.int64).reshape(-1, 3)
    np.testing.assert_array_equal(unpack_table(json.loads(json.dumps(pack_table(table)))), table)
