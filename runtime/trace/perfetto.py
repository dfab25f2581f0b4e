"""The Chrome trace format, which ui.perfetto.dev and chrome://tracing open.

A process per core with its three threads, one per NoC link that was busy, and one for DRAM. Times are cycles, written
as if they were microseconds. Flows lead from the thread that sent to the one that was woken.
"""

import json
from collections.abc import Iterator
from typing import Any, BinaryIO

from emulator.profile import REASONS, THREAD_NAMES, EpochProfile
from emulator.recording import PACKET_KINDS, EpochRecording
from runtime.view.model import ViewModel

CHANNELS, NETWORK = 1_000_000, 1_000_001
"""Process numbers beyond those of cores."""

Event = dict[str, Any]


def write_perfetto(model: ViewModel, file: BinaryIO) -> None:
    """Write the trace of a recorded run as JSON."""
    file.write(b'{"displayTimeUnit":"ns","otherData":' + json.dumps({"unit": "cycles"}).encode() + b',"traceEvents":[')
    separator = b"\n"
    for event in events(model):
        file.write(separator + json.dumps(event, separators=(",", ":")).encode())
        separator = b",\n"
    file.write(b"\n]}\n")


def events(model: ViewModel) -> Iterator[Event]:
    """All events, names first."""
    assert model.run is not None
    run = model.run.run
    yield from _names(model)
    first = run.profile.epochs[0].start if run.profile.epochs else 0
    flow = 0
    for number, epoch in enumerate(run.profile.epochs):
        start = epoch.start - first
        yield from _threads(model, number, epoch, start)
        if run.recording is not None:
            recording = run.recording.epochs[number]
            yield from _stalls(recording, start, flow)
            flow += len(recording.stalls)
            yield from _packets(model, recording, start)
            yield from _counters(recording, start)


def _names(model: ViewModel) -> Iterator[Event]:
    machine = model.image.machine
    cores = sorted({core for stage in model.stages for core in stage.cores})
    for core in cores:
        yield _meta("process_name", core, 0, f"core {core} {machine.cores[core]}")
        yield {"ph": "M", "name": "process_sort_index", "pid": core, "args": {"sort_index": core}}
        for number, name in enumerate(THREAD_NAMES):
            yield _meta("thread_name", core, number, name)
    yield _meta("process_name", CHANNELS, 0, "DRAM channels")
    yield _meta("process_name", NETWORK, 0, "packets by source")


def _meta(name: str, process: int, thread: int, text: str) -> Event:
    return {"ph": "M", "name": name, "pid": process, "tid": thread, "args": {"name": text}}


def _threads(model: ViewModel, number: int, epoch: EpochProfile, start: int) -> Iterator[Event]:
    """A slice per thread for its stage; stalls are slices inside."""
    owner = {core: stage for stage in model.epoch_stages(number) for core in stage.cores}
    for thread in epoch.threads:
        stage = owner[thread.core]
        place = f"{stage.spans[0]}" if stage.spans else ""
        cycles = {reason: value for reason, value in zip(REASONS, thread.cycles, strict=True) if value}
        length = epoch.cycles - thread.cycles[-1]
        yield {
            "ph": "X",
            "name": f"{stage.letter} {stage.name}",
            "cat": "stage",
            "pid": thread.core,
            "tid": THREAD_NAMES.index(thread.thread),
            "ts": start,
            "dur": length,
            "args": {"epoch": number, "source": place, "cycles": cycles},
        }


def _stalls(recording: EpochRecording, start: int, flow: int) -> Iterator[Event]:
    for index, (begin, end, thread, reason, _, cause, cause_time, _) in enumerate(recording.stalls.tolist()):
        core, kind = divmod(thread, 3)
        common = {"pid": core, "tid": kind}
        yield {"ph": "X", "name": REASONS[reason], "cat": "stall", "ts": start + begin, "dur": end - begin} | common
        if cause != thread and cause >= 0:
            source, source_kind = divmod(cause, 3)
            yield {"ph": "s", "id": flow + index, "name": "wakes", "cat": "flow", "pid": source, "tid": source_kind,
                   "ts": start + min(cause_time, end)}  # fmt: skip
            yield {"ph": "f", "bp": "e", "id": flow + index, "name": "wakes", "cat": "flow", "ts": start + end} | common


def _packets(model: ViewModel, recording: EpochRecording, start: int) -> Iterator[Event]:
    """Packets overlap freely, so each is an asynchronous slice of its source's track."""
    columns = model.image.machine.columns
    for index, (begin, end, thread, kind, noc, src, dst, nbytes, tensor) in enumerate(recording.packets.tolist()):
        name = PACKET_KINDS[kind] + (f" of {model.image.tensors[tensor].name}" if tensor >= 0 else "")
        identity = f"{start}.{index}"
        common = {"name": name, "cat": f"NoC {noc}", "id": identity, "pid": NETWORK, "tid": src}
        ends = {"from": list(divmod(src, columns)[::-1]), "to": list(divmod(dst, columns)[::-1])}
        yield {"ph": "b", "ts": start + begin, "args": {"bytes": nbytes, "thread": thread} | ends} | common
        yield {"ph": "e", "ts": start + end} | common


def _counters(recording: EpochRecording, start: int) -> Iterator[Event]:
    """Busy cycles of every channel, and flits over all links, window by window."""
    flits = recording.links.sum(axis=0).tolist()
    for window, row in enumerate(recording.channels.T.tolist()):
        time = start + window * recording.window
        busy = {f"channel {channel}": round(cycles / recording.window, 3) for channel, cycles in enumerate(row)}
        yield {"ph": "C", "name": "busy", "pid": CHANNELS, "tid": 0, "ts": time, "args": busy}
        rate = round(flits[window] / recording.window, 3)
        yield {"ph": "C", "name": "flits per cycle", "pid": NETWORK, "tid": 0, "ts": time, "args": {"all links": rate}}
