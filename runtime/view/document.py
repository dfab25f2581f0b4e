"""The view model as one JSON document: what the report's script reads, and nothing that it could compute itself.

Positions are numbers, `y * columns + x`. Series over time are bytes in base 64, the window fastest.
"""

import base64
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.diagnostics import Span
from compiler.program.image import Hop, Image, MulticastRoute, Route
from compiler.target import Coord, Topology
from emulator.profile import REASONS, THREAD_NAMES, EpochProfile
from runtime.explain.critical import Segment
from runtime.explain.explanation import Explanation, explain
from runtime.view.graphs import NodeView
from runtime.view.lines import LineView
from runtime.view.model import GraphView, RunView, ViewModel
from runtime.view.routes import Ints, runs
from runtime.view.stages import BufferView, StageView, TensorView
from runtime.view.traffic import Stream

VERSION = 1
LEVELS = 15
"""Steps of the busy share in a byte of `time.threads`."""
CRITICAL_SEGMENTS = 2000
"""Longer paths are shown by their longest pieces."""


def document(model: ViewModel) -> dict[str, Any]:
    """Return the document of a model."""
    image = model.image
    buffers: dict[tuple[BufferView, ...], int] = {}
    paths = _Paths(image)
    epochs = [_epoch(model, number, paths) for number in range(len(image.epochs))]
    return {
        "version": VERSION,
        "program": image.name,
        "machine": _machine(image),
        "bound": [list(item) for item in image.bound],
        "sources": [{"name": source.name, "text": source.text} for source in image.sources],
        "stages": [_stage(stage, buffers, _names(image)) for stage in model.stages],
        "buffers": [[_buffer(buffer) for buffer in each] for each in buffers],
        "tensors": [_tensor(tensor) for tensor in model.tensors],
        "links": [[link.noc, _position(image, link.src), _position(image, link.dst)] for link in model.links],
        "epochs": epochs,
        "paths": paths.flat,
        "lines": [_line(line, _names(image)) for line in model.lines],
        "graph": _graph(model.graph, _names(image)) if model.graph is not None else None,
        "run": _run(model, model.run) if model.run is not None else None,
    }


class _Paths:
    """The distinct sequences of hops of all routes, each as straight runs: from, to, virtual channel.

    Routes share their `Hop` values, so the identities of these tell sequences apart.
    """

    def __init__(self, image: Image) -> None:
        self.columns = image.machine.columns
        self.numbers: dict[tuple[int, ...], int] = {}
        self.flat: list[list[int]] = []

    def number(self, hops: tuple[Hop, ...]) -> int:
        key = tuple(map(id, hops))
        found = self.numbers.get(key)
        if found is None:
            found = self.numbers[key] = len(self.flat)
            self.flat.append([part for run in runs(hops) for part in (self.at(run.src), self.at(run.dst), run.vc)])
        return found

    def at(self, coord: Coord) -> int:
        return coord.y * self.columns + coord.x


def _names(image: Image) -> dict[str, int]:
    return {source.name: number for number, source in enumerate(image.sources)}


def _position(image: Image, coord: Coord) -> int:
    return coord.y * image.machine.columns + coord.x


def _machine(image: Image) -> dict[str, Any]:
    machine = image.machine
    return {
        "name": machine.name,
        "description": machine.description,
        "clock": machine.clock_ghz,
        "columns": machine.columns,
        "rows": machine.rows,
        "sites": ["".join(site.value for site in row) for row in machine.floor_plan],
        "cores": [_position(image, core) for core in machine.cores],
        "channels": [_position(image, channel) for channel in machine.dram.channels],
        "channelBytes": machine.dram.channel_bytes,
        "channelRate": machine.dram.bytes_per_cycle,
        "nocs": [
            {"torus": noc.topology is Topology.TORUS, "order": noc.order, "x": noc.x_step, "y": noc.y_step}
            for noc in machine.nocs
        ],
        "flit": machine.noc.flit_bytes,
        "l1": machine.l1_bytes,
        "l1Base": machine.l1_base,
    }


def _spans(spans: Iterable[Span], names: dict[str, int]) -> list[list[int]]:
    """Source number, line, column, end line, end column of those in sources that the image carries."""
    return [
        [names[span.source], span.line, span.column, span.end_line, span.end_column]
        for span in spans
        if span.source in names
    ]


def _stage(stage: StageView, buffers: dict[tuple[BufferView, ...], int], names: dict[str, int]) -> dict[str, Any]:
    return {
        "name": stage.name,
        "letter": stage.letter,
        "epoch": stage.epoch,
        "cores": list(stage.cores),
        "work": list(stage.work),
        "reads": list(stage.reads),
        "writes": list(stage.writes),
        "l1": stage.l1_bytes,
        "instructions": stage.instructions,
        "spans": _spans(stage.spans, names),
        "buffers": [buffers.setdefault(each, len(buffers)) for each in stage.buffers],
    }


def _buffer(buffer: BufferView) -> list[Any]:
    return [buffer.name, buffer.address, buffer.bytes, buffer.pages, int(buffer.shard)]


def _tensor(tensor: TensorView) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "type": f"{tensor.dtype}[{', '.join(map(str, tensor.shape))}]",
        "role": tensor.role,
        "bytes": tensor.bytes,
        "dram": list(tensor.dram) if tensor.dram is not None else None,
        "readers": list(tensor.readers),
        "writers": list(tensor.writers),
        "epochs": list(tensor.epochs),
    }


def _line(line: LineView, names: dict[str, int]) -> dict[str, Any]:
    return {
        "source": names.get(line.source, -1),
        "line": line.line,
        "text": line.text,
        "stages": list(line.stages),
        "busy": line.busy,
        "stalled": line.stalled,
        "share": line.share,
        "dramRead": line.dram_read,
        "dramWritten": line.dram_written,
        "betweenCores": line.between_cores,
    }


def _epoch(model: ViewModel, number: int, paths: _Paths) -> dict[str, Any]:
    traffic = model.traffic[number]
    used: dict[int, int] = {}
    streams = [_stream(model, stream, used) for stream in traffic.streams]
    routes = [_route(model.image, number, traffic.table.routes[route], paths) for route in used]
    return {"routes": routes, "streams": streams, "load": traffic.link_flits.tolist()}


def _stream(model: ViewModel, stream: Stream, used: dict[int, int]) -> dict[str, Any]:
    """`data` has route, bytes, packets and flits, one after the other, of what carries payload."""
    data: list[int] = []
    columns = (stream.routes, stream.nbytes, stream.packets, stream.flits)
    for route, nbytes, packets, flits in zip(*(column.tolist() for column in columns), strict=True):
        if nbytes:
            data += (used.setdefault(route, len(used)), nbytes, packets, flits)
    return {
        "stage": model.stage_of_stream(stream.epoch, stream.name),
        "kind": stream.name.kind.value,
        "thread": stream.name.thread.value,
        "noc": stream.name.noc,
        "tensor": stream.name.tensor,
        "what": stream.name.what,
        "data": data,
    }


def _route(image: Image, epoch: int, route: Route, paths: _Paths) -> list[Any]:
    """NoC, source, destination (or the members of a tree), number of the path."""
    path = paths.number(route.hops)
    if isinstance(route, MulticastRoute):
        cores = image.epochs[epoch].core_sets[route.targets].cores
        return [route.noc, paths.at(route.src), [paths.at(image.machine.cores[core]) for core in cores], path]
    return [route.noc, paths.at(route.src), paths.at(route.dst), path]


def _graph(graph: GraphView, names: dict[str, int]) -> dict[str, Any]:
    return {
        "source": [_node(node, names) for node in graph.source],
        "optimized": [_node(node, names) for node in graph.optimized],
        "passes": [[step.name, step.before, step.after] for step in graph.record.passes],
        "outputs": [[name, value] for name, value in graph.record.optimized.outputs],
        "sourceOutputs": [[name, value] for name, value in graph.record.source.outputs],
    }


def _node(node: NodeView, names: dict[str, int]) -> dict[str, Any]:
    return {
        "kind": node.kind,
        "text": node.text,
        "type": node.shape,
        "inputs": list(node.inputs),
        "spans": _spans([node.span] if node.span else [], names),
        "fused": node.fused,
        "stage": node.stage,
    }


def _run(model: ViewModel, view: RunView) -> dict[str, Any]:
    profile, report = view.run.profile, view.report
    first = profile.epochs[0].start if profile.epochs else 0
    recording = view.run.recording
    found = explain(model.image, profile, recording, model.stages) if recording is not None else None
    return {
        "makespan": report.makespan,
        "microseconds": report.microseconds,
        "bound": report.bound,
        "boundResource": report.bound_resource,
        "ratio": report.ratio,
        "bottleneck": report.bottleneck,
        "bottleneckShare": report.bottleneck_share,
        "utilization": report.utilization,
        "resources": [list(item) for item in report.resources],
        "stalls": [[stall.thread, stall.reason, stall.cycles, stall.share] for stall in report.stalls],
        "dramRead": report.dram_read_bytes,
        "dramWritten": report.dram_written_bytes,
        "nocBytes": report.noc_bytes,
        "reasons": list(REASONS),
        "threadNames": list(THREAD_NAMES),
        "epochs": [_epoch_run(model, epoch, first) for epoch in profile.epochs],
        "time": _time(model, view),
        "critical": _critical(found.path if found is not None else ()),
        "explanation": _explanation(found, report.makespan) if found is not None else None,
    }


def _epoch_run(model: ViewModel, epoch: EpochProfile, first: int) -> dict[str, Any]:
    row = {(link.noc, link.src, link.dst): number for number, link in enumerate(model.links)}
    load = [0] * len(row)
    for link in epoch.links:
        load[row[link.noc, link.src, link.dst]] = link.flits
    return {
        "start": epoch.start - first,
        "cycles": epoch.cycles,
        "threads": [[each.core, THREAD_NAMES.index(each.thread), *each.cycles] for each in epoch.threads],
        "pipes": [[each.core, each.unpack, each.math, each.pack] for each in epoch.pipes],
        "load": load,
        "channels": [[each.read_bytes, each.written_bytes, each.requests] for each in epoch.channels],
    }


def _time(model: ViewModel, view: RunView) -> dict[str, Any]:
    line = view.timeline
    return {
        "recorded": line.recorded,
        "starts": line.starts.tolist(),
        "lengths": line.lengths.tolist(),
        "epochs": line.epochs.tolist(),
        "cores": list(line.cores),
        "threads": _base64(_states(line.threads, line.lengths)),
        "links": _base64(_shares(line.links, line.lengths)),
        "channels": _base64(_shares(line.channels, line.lengths)),
        "fill": _base64(_shares(line.fill, np.full_like(line.lengths, model.image.machine.l1_available))),
        "totals": line.threads.sum(axis=0).transpose(0, 2, 1).reshape(-1, len(REASONS)).tolist(),
    }


def _states(threads: Ints, lengths: Ints) -> NDArray[np.uint8]:
    """Per core, thread and window: the reason with most cycles times 16, plus the busy share in steps."""
    busy = threads[:, :, 0] + threads[:, :, REASONS.index("pipe")]
    level = -(-busy * LEVELS // np.maximum(lengths, 1))
    states = threads.argmax(axis=2) * (LEVELS + 1) + np.minimum(level, LEVELS)
    absent = threads.sum(axis=2) == 0
    return np.where(absent, REASONS.index("idle") * (LEVELS + 1), states).astype(np.uint8)


def _shares(amounts: Ints, whole: Ints) -> NDArray[np.uint8]:
    """Shares in 255ths, rounded up so that only nothing is 0."""
    return np.minimum(-(-amounts * 255 // np.maximum(whole, 1)), 255).astype(np.uint8)


def _base64(table: NDArray[np.uint8]) -> str:
    return base64.b64encode(np.ascontiguousarray(table).tobytes()).decode()


def _explanation(found: Explanation, makespan: int) -> dict[str, Any]:
    def prediction(saved: int) -> str:
        return f"{saved:,} cycles less ({saved / max(makespan, 1):.0%})"

    return {
        "sentence": found.sentence,
        "walk": [{"text": step.text, "stage": step.stage} for step in found.walk],
        "suggestions": [
            {"title": each.title, "detail": each.detail, "prediction": prediction(each.saved), "stage": each.stage}
            for each in found.suggestions
        ],
    }


def _critical(path: Sequence[Segment]) -> list[list[Any]]:
    """Begin, end, piece, thread, reason, tensor."""
    kept = sorted(sorted(path, key=lambda segment: -segment.cycles)[:CRITICAL_SEGMENTS], key=lambda each: each.begin)
    return [[s.begin, s.end, s.piece.value, s.thread, s.reason, s.tensor] for s in kept]
