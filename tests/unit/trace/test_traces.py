"""Traces hold the run: what they say adds up to the profile, and the formats are what their readers expect."""

import csv
import io
import json
from typing import Any

import pytest

from emulator.profile import REASONS
from runtime.trace.congestion import congestion
from runtime.trace.perfetto import events, write_perfetto
from runtime.trace.tables import tables
from tests.unit.view.ran import CASES, Ran, ran


@pytest.mark.parametrize(("name", "machine"), CASES)
def test_perfetto_slices_nest_and_add_up(name: str, machine: str) -> None:
    case = ran(name, machine)
    stalls: dict[tuple[int, int], int] = {}
    stages: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for event in events(case.model):
        if event["ph"] != "X":
            continue
        track = event["pid"], event["tid"]
        if event["cat"] == "stage":
            stages.setdefault(track, []).append((event["ts"], event["ts"] + event["dur"]))
        else:
            stalls[track] = stalls.get(track, 0) + event["dur"]
            assert any(a <= event["ts"] and event["ts"] + event["dur"] <= b for a, b in stages[track])
    pipe = REASONS.index("pipe")
    for epoch in case.content.run.profile.epochs:
        for thread in epoch.threads:
            track = (thread.core, ("read", "write", "compute").index(thread.thread))
            stalls[track] = stalls.get(track, 0) - sum(thread.cycles[1:pipe])
    assert not any(stalls.values())


def test_perfetto_flows_have_two_ends_and_packets_too() -> None:
    ends: dict[str, list[Any]] = {kind: [] for kind in "sfbe"}
    for event in events(ran("mlp", "wormhole_n150").model):
        if event["ph"] in ends:
            ends[event["ph"]].append(event["id"])
    assert sorted(ends["s"]) == sorted(ends["f"])
    assert sorted(ends["b"]) == sorted(ends["e"])
    assert ends["s"]
    assert ends["b"]


def test_perfetto_is_json() -> None:
    file = io.BytesIO()
    write_perfetto(ran("mlp").model, file)
    document = json.loads(file.getvalue())
    assert len(document["traceEvents"]) == len(list(events(ran("mlp").model)))


def rows(case: Ran, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(tables(case.model)[name])))


@pytest.mark.parametrize(("name", "machine"), CASES)
def test_tables_add_up_to_the_profile(name: str, machine: str) -> None:
    case = ran(name, machine)
    profile = case.content.run.profile
    total = sum(sum(thread.cycles) for epoch in profile.epochs for thread in epoch.threads)
    assert sum(int(row[reason]) for row in rows(case, "threads") for reason in REASONS) == total
    assert sum(int(row["busy"]) + int(row["stalled"]) for row in rows(case, "lines")) == total
    flits = sum(link.flits for epoch in profile.epochs for link in epoch.links)
    assert sum(int(row["flits"]) for row in rows(case, "links")) == flits
    read = sum(channel.read_bytes for epoch in profile.epochs for channel in epoch.channels)
    assert sum(int(row["read_bytes"]) for row in rows(case, "channels")) == read
    asked = sum(int(row["bytes"]) for row in rows(case, "packets") if row["kind"] == "read request")
    answered = sum(int(row["bytes"]) for row in rows(case, "packets") if row["kind"] == "read answer")
    assert asked == answered


def test_an_image_has_tables_too() -> None:
    from runtime.view.model import build

    assert set(tables(build(ran("mlp").image))) == {"stages", "links", "lines"}


@pytest.mark.parametrize("machine", ["mesh_4x4", "wormhole_n150"])
def test_the_congestion_timeline_has_the_fields_of_the_visualizer(machine: str) -> None:
    case = ran("mlp", machine)
    document = json.loads(json.dumps(congestion(case.model)))
    assert set(document) == {"common_info", "chips", "noc_transfers", "zones", "timestep_data"}
    assert document["common_info"]["num_cols"] == case.image.machine.columns
    ids = [transfer["id"] for transfer in document["noc_transfers"]]
    assert ids == list(range(len(ids)))
    for transfer in document["noc_transfers"]:
        (route,) = transfer["route"]
        assert route["links"][0][:3] == transfer["src"]
        assert [route["links"][-1][:3]] == transfer["dst"]
    if machine == "wormhole_n150":
        names = {link[3] for transfer in document["noc_transfers"] for link in transfer["route"][0]["links"]}
        directions = {"NOC0_EAST", "NOC0_SOUTH", "NOC1_WEST", "NOC1_NORTH"}
        assert names <= directions | {f"NOC{noc}_{end}" for noc in (0, 1) for end in ("IN", "OUT")}
        assert directions <= names
    active = {transfer for step in document["timestep_data"] for transfer in step["active_transfers"]}
    assert active == set(ids)
    for step in document["timestep_data"]:
        assert all(0 < link[4] <= 100 for link in step["link_demand"])
