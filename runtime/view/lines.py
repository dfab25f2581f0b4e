"""What each line of the source cost: cycles of core threads, and bytes moved. The rows add up to the whole."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from compiler.diagnostics import Span
from compiler.program.image import DramPlace, Image
from emulator.profile import Profile
from runtime.view.stages import StageView
from runtime.view.traffic import EpochTraffic, StreamKind

NO_LINE = "stages that come from no line"
IDLE = "idle: programs not begun or at their end, and data paths running empty"


@dataclass(frozen=True, slots=True, kw_only=True)
class LineView:
    """A line of a source file, or (`line` 0) what belongs to none.

    Cycles are those of all threads of all cores with a program, over all epochs: `busy` at work, `stalled` waiting;
    `share` is the part of their sum over all rows. Bytes are payload that the stages of the line move.
    """

    source: str
    line: int
    text: str
    stages: tuple[int, ...]
    busy: int
    stalled: int
    share: float
    dram_read: int
    dram_written: int
    between_cores: int

    @property
    def cycles(self) -> int:
        return self.busy + self.stalled


@dataclass(slots=True)
class _Sum:
    stages: dict[int, None]
    busy: int = 0
    stalled: int = 0
    dram_read: int = 0
    dram_written: int = 0
    between_cores: int = 0


def lines_of(
    image: Image, stages: tuple[StageView, ...], traffic: tuple[EpochTraffic, ...], profile: Profile | None
) -> tuple[LineView, ...]:
    """Return a row per line that some stage comes from, most cycles first; with a profile, the last row is `IDLE`."""
    sums: defaultdict[tuple[str, int], _Sum] = defaultdict(lambda: _Sum({}))
    for stage in stages:
        for span in stage.spans or (None,):
            sums[_place(span)].stages[stage.number] = None
    _add_bytes(image, traffic, sums)
    total = _add_cycles(image, profile, sums) if profile is not None else 0
    rows = [
        _row(place, text_of(image, *place) if place[1] else NO_LINE, each, max(total, 1))
        for place, each in sums.items()
    ]
    rows.sort(key=lambda row: (-row.cycles, row.source, row.line))
    if profile is not None:
        idle = total - sum(row.cycles for row in rows)
        rows.append(_row(("", 0), IDLE, _Sum({}, stalled=idle), max(total, 1)))
    return tuple(rows)


def _place(span: Span | None) -> tuple[str, int]:
    return (span.source, span.line) if span is not None else ("", 0)


def _add_bytes(image: Image, traffic: Iterable[EpochTraffic], sums: defaultdict[tuple[str, int], _Sum]) -> None:
    for epoch in traffic:
        for stream in epoch.streams:
            each = sums[_place(image.origins[stream.name.stage].span)]
            if stream.name.kind is StreamKind.STORE:
                each.dram_written += stream.payload
            elif stream.name.tensor >= 0 and isinstance(image.tensors[stream.name.tensor].place, DramPlace):
                each.dram_read += stream.payload
            elif stream.name.kind is not StreamKind.SIGNAL:
                each.between_cores += stream.payload


def _add_cycles(image: Image, profile: Profile, sums: defaultdict[tuple[str, int], _Sum]) -> int:
    """Add the cycles of every line; return those of all threads together."""
    for epoch in profile.epochs:
        for entry in epoch.origins:
            each = sums[_place(image.origins[entry.origin].span)]
            each.busy += entry.busy
            each.stalled += entry.stalled
    return sum(sum(thread.cycles) for epoch in profile.epochs for thread in epoch.threads)


def _row(place: tuple[str, int], text: str, each: _Sum, total: int) -> LineView:
    source, line = place
    return LineView(
        source=source,
        line=line,
        text=text,
        stages=tuple(each.stages),
        busy=each.busy,
        stalled=each.stalled,
        share=(each.busy + each.stalled) / total,
        dram_read=each.dram_read,
        dram_written=each.dram_written,
        between_cores=each.between_cores,
    )


def text_of(image: Image, source: str, line: int) -> str:
    """The text of a line, if the image carries its file."""
    for each in image.sources:
        if each.name == source:
            lines = each.text.split("\n")
            return lines[line - 1] if line <= len(lines) else ""
    return ""
