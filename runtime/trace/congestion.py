"""The timeline format of the public NoC visualizer.

Written after the types that tenstorrent/ttnn-visualizer declares for the files it opens (src/model/NPEModel.ts). Places
are `[device, row, column]`; there is one device, number 0. Demand and use are percentages; since the engine lets one
packet at a time on a link, demand never exceeds use. On a machine whose links go both ways, links have names that the
visualizer does not know (`NOC0_WEST`).
"""

import json
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from compiler.program.image import Image
from compiler.route.geometry import unicast
from compiler.target import Coord, Topology
from emulator.profile import THREAD_NAMES
from runtime.view.model import RunView, ViewModel
from runtime.view.routes import Ints

FORMAT_VERSION = "1.0.0"
DEVICE = 0
EVENT_TYPES = {1: "READ", 2: "WRITE_", 3: "WRITE_", 4: "SEMAPHORE_INC"}
"""By kind of packet; requests and acknowledgements carry nothing and are left out."""
PROCESSORS = {"read": "NCRISC", "write": "BRISC", "compute": "TRISC_0"}
"""The processors that the threads of a core stand for."""


def write_congestion(model: ViewModel, file: BinaryIO) -> None:
    """Write the timeline of a recorded run as JSON."""
    file.write(json.dumps(congestion(model), separators=(",", ":")).encode())


def congestion(model: ViewModel) -> dict[str, Any]:
    """The document."""
    assert model.run is not None
    transfers = list(_transfers(model, model.run))
    return {
        "common_info": _common(model, model.run),
        "chips": {str(DEVICE): [0, 0, 0, 0]},
        "noc_transfers": transfers,
        "zones": list(_zones(model, model.run)),
        "timestep_data": list(_timesteps(model, model.run, transfers)),
    }


def _common(model: ViewModel, run: RunView) -> dict[str, Any]:
    machine, line = model.image.machine, run.timeline
    share = line.links / np.maximum(line.lengths, 1)
    moved = run.report.dram_read_bytes + run.report.dram_written_bytes
    rate = len(machine.dram.channels) * machine.dram.bytes_per_cycle
    return {
        "version": FORMAT_VERSION,
        "arch": machine.name,
        "congestion_model_name": "meshc emulator",
        "cycles_per_timestep": int(line.lengths.max(initial=0)),
        "device_name": machine.name,
        "dram_bw_util": _percent(moved / rate / max(run.report.makespan, 1)),
        "link_demand": _percent(float(share.mean()) if share.size else 0.0),
        "link_util": _percent(float(share.mean()) if share.size else 0.0),
        "max_link_demand": _percent(float(share.max(initial=0))),
        "num_cols": machine.columns,
        "num_rows": machine.rows,
    }


def _percent(share: float) -> float:
    return round(100 * share, 3)


def _place(coord: Coord) -> list[int]:
    return [DEVICE, coord.y, coord.x]


def _transfers(model: ViewModel, run: RunView) -> Iterator[dict[str, Any]]:
    profile, recording = run.run.profile, run.run.recording
    columns = model.image.machine.columns
    number = 0
    for epoch, recorded in zip(profile.epochs, recording.epochs if recording is not None else (), strict=False):
        start = epoch.start - profile.epochs[0].start
        for begin, end, _, kind, noc, src, dst, nbytes, _ in recorded.packets.tolist():
            if kind in EVENT_TYPES:
                ends = (Coord(src % columns, src // columns), Coord(dst % columns, dst // columns))
                yield _transfer(model.image, number, EVENT_TYPES[kind], noc, ends, nbytes, start + begin, start + end)
                number += 1


def _transfer(
    image: Image, number: int, event: str, noc: int, ends: tuple[Coord, Coord], nbytes: int, start: int, end: int
) -> dict[str, Any]:
    src, dst = ends
    flow = {"id": number, "src": _place(src), "dst": [_place(dst)], "total_bytes": nbytes, "noc_event_type": event}
    times = {"start_cycle": start, "end_cycle": end}
    links = [
        [*_place(hop.src), link_name(image, noc, hop.src, hop.dst)] for hop in unicast(image.machine, noc, src, dst)
    ]
    inside = [[*_place(src), f"NOC{noc}_IN"], *links, [*_place(dst), f"NOC{noc}_OUT"]]
    rate = round(nbytes / max(end - start, 1), 3)
    route = flow | times | {"device_id": DEVICE, "noc_type": f"NOC{noc}", "injection_rate": rate, "links": inside}
    return flow | times | {"fabric_event_type": False, "route": [route]}


def link_name(image: Image, noc: int, src: Coord, dst: Coord) -> str:
    """The visualizer's name for a link, by the direction in which it leaves its router."""
    machine = image.machine
    if machine.nocs[noc].topology is Topology.TORUS:
        horizontal, vertical = ("EAST", "SOUTH") if machine.nocs[noc].x_step > 0 else ("WEST", "NORTH")
        return f"NOC{noc}_{horizontal if src.y == dst.y else vertical}"
    if src.y == dst.y:
        return f"NOC{noc}_{'EAST' if dst.x > src.x else 'WEST'}"
    return f"NOC{noc}_{'SOUTH' if dst.y > src.y else 'NORTH'}"


def _zones(model: ViewModel, run: RunView) -> Iterator[dict[str, Any]]:
    """A zone per thread and epoch, named after its stage."""
    profile = run.run.profile
    first = profile.epochs[0].start if profile.epochs else 0
    stages = {(stage.epoch, core): stage for stage in model.stages for core in stage.cores}
    found: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for number, epoch in enumerate(profile.epochs):
        for thread in epoch.threads:
            stage, start = stages[number, thread.core], epoch.start - first
            zone = {"id": f"{stage.letter} {stage.name}", "zones": [], "start": start, "depth": 0}
            zone["end"] = start + epoch.cycles - thread.cycles[-1]
            found.setdefault((thread.core, thread.thread), []).append(zone)
    for (core, name), zones in sorted(found.items(), key=lambda item: (item[0][0], THREAD_NAMES.index(item[0][1]))):
        yield {"core": _place(model.image.machine.cores[core]), "proc": PROCESSORS[name], "zones": zones}


def _timesteps(model: ViewModel, run: RunView, transfers: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    line = run.timeline
    starts = np.array([each["start_cycle"] for each in transfers], np.int64)
    ends = np.array([each["end_cycle"] for each in transfers], np.int64)
    names = [link_name(model.image, link.noc, link.src, link.dst) for link in model.links]
    nocs: Ints = np.array([link.noc for link in model.links], np.int64)
    for window, (start, length) in enumerate(zip(line.starts.tolist(), line.lengths.tolist(), strict=True)):
        shares = line.links[:, window] / max(length, 1)
        used = np.flatnonzero(shares).tolist()
        demand = [[*_place(model.links[i].src), names[i], _percent(float(shares[i])), 2] for i in used]
        mean = _percent(float(shares.mean()) if len(shares) else 0.0)
        yield {
            "start_cycle": start,
            "end_cycle": start + length,
            "active_transfers": np.flatnonzero((starts < start + length) & (ends > start)).tolist(),
            "link_demand": demand,
            "avg_link_demand": mean,
            "avg_link_util": mean,
            "noc": {f"NOC{noc}": _of_noc(shares, nocs == noc) for noc in (0, 1)},
        }


def _of_noc(shares: np.ndarray[Any, Any], own: np.ndarray[Any, Any]) -> dict[str, float]:
    mean = _percent(float(shares[own].mean()) if own.any() else 0.0)
    return {"avg_link_demand": mean, "avg_link_util": mean}
