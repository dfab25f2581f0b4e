"""A view as plain tables: one CSV file each, in one folder or archive."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from emulator.profile import REASONS, THREAD_NAMES
from emulator.recording import PACKET_COLUMNS, PACKET_KINDS, STALL_COLUMNS
from runtime.view.model import RunView, ViewModel

Row = Iterable[Any]


def tables(model: ViewModel) -> dict[str, str]:
    """Return the text of every table by its name; those of a run only if there is one."""
    found = {
        "stages": _text(("stage", "name", "letter", "epoch", "cores", "l1_bytes", "source", "line"), _stages(model)),
        "links": _text(("epoch", "noc", "src_x", "src_y", "dst_x", "dst_y", "flits"), _links(model)),
        "lines": _text(
            ("source", "line", "busy", "stalled", "share", "dram_read", "dram_written", "between_cores", "text"),
            _lines(model),
        ),
    }
    if model.run is not None:
        for name, (columns, rows) in _RUN_TABLES.items():
            found[name] = _text(columns, rows(model, model.run))
    return found


def _text(columns: Row, rows: Iterable[Row]) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return file.getvalue()


def _stages(model: ViewModel) -> Iterator[Row]:
    for stage in model.stages:
        place = (stage.spans[0].source, stage.spans[0].line) if stage.spans else ("", "")
        cores = " ".join(map(str, stage.cores))
        yield stage.number, stage.name, stage.letter, stage.epoch, cores, stage.l1_bytes, *place


def _links(model: ViewModel) -> Iterator[Row]:
    """What the programs send; a run carries just that."""
    for epoch, traffic in enumerate(model.traffic):
        for link, flits in zip(model.links, traffic.link_flits.tolist(), strict=True):
            if flits:
                yield epoch, link.noc, link.src.x, link.src.y, link.dst.x, link.dst.y, flits


def _lines(model: ViewModel) -> Iterator[Row]:
    for line in model.lines:
        moved = (line.dram_read, line.dram_written, line.between_cores)
        yield line.source, line.line, line.busy, line.stalled, f"{line.share:.6f}", *moved, line.text.strip()


def _threads(model: ViewModel, run: RunView) -> Iterator[Row]:
    for number, epoch in enumerate(run.run.profile.epochs):
        for thread in epoch.threads:
            yield number, thread.core, thread.thread, *thread.cycles


def _channels(model: ViewModel, run: RunView) -> Iterator[Row]:
    for number, epoch in enumerate(run.run.profile.epochs):
        for each in epoch.channels:
            yield number, each.channel, each.read_bytes, each.written_bytes, each.requests


def _epochs(model: ViewModel, run: RunView) -> Iterator[Row]:
    for number, epoch in enumerate(run.run.profile.epochs):
        yield number, epoch.start, epoch.end, epoch.cycles


def _stalls(model: ViewModel, run: RunView) -> Iterator[Row]:
    for number, epoch in enumerate(run.run.recording.epochs if run.run.recording is not None else ()):
        for begin, end, thread, reason, origin, cause, cause_time, tensor in epoch.stalls.tolist():
            who, by = _thread(thread), _thread(cause)
            stage = model.image.origins[origin].stage if origin >= 0 else ""
            name = model.image.tensors[tensor].name if tensor >= 0 else ""
            yield number, begin, end, *who, REASONS[reason], stage, *by, cause_time, name


def _thread(number: int) -> tuple[int, str]:
    return number // 3, THREAD_NAMES[number % 3]


def _packets(model: ViewModel, run: RunView) -> Iterator[Row]:
    columns = model.image.machine.columns
    for number, epoch in enumerate(run.run.recording.epochs if run.run.recording is not None else ()):
        for begin, end, thread, kind, noc, src, dst, nbytes, tensor in epoch.packets.tolist():
            ends = (src % columns, src // columns, dst % columns, dst // columns)
            name = model.image.tensors[tensor].name if tensor >= 0 else ""
            yield number, begin, end, *_thread(thread), PACKET_KINDS[kind], noc, *ends, nbytes, name


_RUN_TABLES: dict[str, tuple[Row, Callable[[ViewModel, RunView], Iterator[Row]]]] = {
    "epochs": (("epoch", "start", "end", "cycles"), _epochs),
    "threads": (("epoch", "core", "thread", *REASONS), _threads),
    "channels": (("epoch", "channel", "read_bytes", "written_bytes", "requests"), _channels),
    "stalls": (
        ("epoch", *STALL_COLUMNS[:2], "core", "thread", "reason", "stage", "by_core", "by_thread", "by_time", "tensor"),
        _stalls,
    ),
    "packets": (
        (
            "epoch",
            *PACKET_COLUMNS[:2],
            "core",
            "thread",
            "kind",
            "noc",
            "src_x",
            "src_y",
            "dst_x",
            "dst_y",
            "bytes",
            "tensor",
        ),
        _packets,
    ),
}
