"""Two views side by side: what moved, what got faster, and why."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from html import escape

from runtime.explain.critical import Piece, critical_path
from runtime.view.figures import longest_epoch
from runtime.view.html import asset, frame
from runtime.view.model import ViewModel
from runtime.view.pictures import PICTURES
from runtime.view.stages import StageView


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of both; None where one has no such thing."""

    name: str
    unit: str
    a: float | None
    b: float | None

    @property
    def change(self) -> float | None:
        """The relative change from a to b."""
        return (self.b - self.a) / self.a if self.a and self.b is not None else None


@dataclass(frozen=True, slots=True)
class StageChange:
    """A stage of both, or of one; a side that lacks it says so with None."""

    name: str
    place: str
    a: StageView | None
    b: StageView | None

    @property
    def what(self) -> tuple[str, ...]:
        """What is different, in words; empty if nothing is."""
        if self.a is None:
            return ("new",)
        if self.b is None:
            return ("gone",)
        found = []
        if self.a.epoch != self.b.epoch:
            found.append(f"epoch {self.a.epoch} to {self.b.epoch}")
        if len(self.a.cores) != len(self.b.cores):
            found.append(f"{len(self.a.cores)} to {len(self.b.cores)} cores")
        elif self.a.cores != self.b.cores:
            found.append("moved")
        if self.a.l1_bytes != self.b.l1_bytes:
            found.append(f"{self.a.l1_bytes} to {self.b.l1_bytes} bytes of L1")
        if self.a.work != self.b.work:
            found.append("other blocks or kernels")
        return tuple(found)


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """`why` compares the critical paths by what they are spent on, `lines` the cycles of source lines; the greatest
    differences come first."""

    a: ViewModel
    b: ViewModel
    figures: tuple[Figure, ...]
    stages: tuple[StageChange, ...]
    lines: tuple[Figure, ...]
    why: tuple[Figure, ...]

    @property
    def sentence(self) -> str:
        """The verdict."""
        makespan = next((figure for figure in self.figures if figure.name == "makespan"), None)
        changed = sum(bool(stage.what) for stage in self.stages)
        moved = f"{changed} of {len(self.stages)} stages differ"
        if makespan is None or not makespan.a or makespan.b is None:
            return f"{moved}."
        change = makespan.change or 0.0
        if not change:
            return f"B takes as long as A, {makespan.a:.0f} cycles; {moved}."
        verdict = "faster" if change < 0 else "slower"
        reason = ""
        if self.why:
            top = self.why[0]
            reason = f" Most of the difference on the critical path: {top.name}, {top.a:.0f} to {top.b:.0f} cycles."
        return f"B is {abs(change):.1%} {verdict}: {makespan.a:.0f} to {makespan.b:.0f} cycles; {moved}.{reason}"


def compare(a: ViewModel, b: ViewModel) -> Comparison:
    """Compare two views, of two compilations or two runs, of one program or of two."""
    lines = _figures(_line_cycles(a), _line_cycles(b), "cycles")
    return Comparison(a, b, tuple(_totals(a, b)), tuple(_stages(a, b)), lines, _figures(_path(a), _path(b), "cycles"))


def _totals(a: ViewModel, b: ViewModel) -> Iterable[Figure]:
    def pair(name: str, unit: str, of: Callable[[ViewModel], float | None]) -> Figure:
        return Figure(name, unit, of(a), of(b))

    yield pair("makespan", "cycles", lambda m: m.run.report.makespan if m.run else None)
    yield pair("lower bound", "cycles", lambda m: max((cycles for _, cycles in m.image.bound), default=0))
    yield pair("makespan over bound", "", lambda m: m.run.report.ratio if m.run else None)
    yield pair("math units busy", "share", lambda m: m.run.report.utilization if m.run else None)
    yield pair("DRAM read", "bytes", lambda m: sum(line.dram_read for line in m.lines))
    yield pair("DRAM written", "bytes", lambda m: sum(line.dram_written for line in m.lines))
    yield pair("flits over links", "flits", lambda m: sum(int(t.link_flits.sum()) for t in m.traffic))
    yield pair("busiest link", "flits", lambda m: max((int(t.link_flits.max(initial=0)) for t in m.traffic), default=0))
    yield pair("epochs", "", lambda m: len(m.image.epochs))
    yield pair("cores used", "", lambda m: len({core for stage in m.stages for core in stage.cores}))
    yield pair("most L1 on a core", "bytes", lambda m: max((stage.l1_bytes for stage in m.stages), default=0))


def _stages(a: ViewModel, b: ViewModel) -> Iterable[StageChange]:
    """Match stages by name and, where that fails, by kind and line in the order in which they stand."""
    ours, theirs = {stage.name: stage for stage in a.stages}, {stage.name: stage for stage in b.stages}
    left: defaultdict[tuple[str, str], list[StageView]] = defaultdict(list)
    for stage in b.stages:
        if stage.name not in ours:
            left[_kind(stage)].append(stage)
    matched: set[str] = set()
    for stage in a.stages:
        other = theirs.get(stage.name)
        if other is None and left[_kind(stage)]:
            other = left[_kind(stage)].pop(0)
        if other is not None:
            matched.add(other.name)
        name = stage.name if other is None or other.name == stage.name else f"{stage.name}, {other.name}"
        yield StageChange(name, _place(stage), stage, other)
    for stage in b.stages:
        if stage.name not in matched:
            yield StageChange(stage.name, _place(stage), None, stage)


def _kind(stage: StageView) -> tuple[str, str]:
    return stage.name.rpartition("_")[0], _place(stage)


def _place(stage: StageView) -> str:
    return f"{stage.spans[0].source}:{stage.spans[0].line}" if stage.spans else ""


def _line_cycles(model: ViewModel) -> dict[str, int]:
    if model.run is None:
        return {}
    return {
        f"{line.source}:{line.line} {line.text.strip()}" if line.line else line.text: line.cycles
        for line in model.lines
    }


def _path(model: ViewModel) -> dict[str, int]:
    """Cycles of the critical path by what they are spent on."""
    if model.run is None or model.run.run.recording is None:
        return {}
    stage_of = {(stage.epoch, core): stage for stage in model.stages for core in stage.cores}
    sums: defaultdict[str, int] = defaultdict(int)
    for segment in critical_path(model.image, model.run.run.profile, model.run.run.recording):
        name = stage_of[segment.epoch, segment.thread // 3].name
        tensor = f" of `{model.image.tensors[segment.tensor].name}`" if segment.tensor >= 0 else ""
        sums[f"{_PIECES[segment.piece]}{tensor}, stage {name}"] += segment.cycles
    return dict(sums)


_PIECES = {Piece.WORK: "work", Piece.DRAM: "DRAM", Piece.NETWORK: "network"}


def _figures(a: Mapping[str, int], b: Mapping[str, int], unit: str) -> tuple[Figure, ...]:
    """The numbers of both by name, greatest difference first; what one lacks is 0 there."""
    if not a or not b:
        return ()
    names = dict.fromkeys((*a, *b))
    found = [Figure(name, unit, a.get(name, 0), b.get(name, 0)) for name in names]
    return tuple(sorted(found, key=lambda figure: (-abs((figure.b or 0) - (figure.a or 0)), figure.name)))


SHOWN = 14


def comparison_page(comparison: Comparison, name_a: str, name_b: str) -> str:
    """One self-contained page; it has no script."""
    a, b = comparison.a, comparison.b
    sides = "".join(_side(model, f"{letter}: {name}") for letter, model, name in (("A", a, name_a), ("B", b, name_b)))
    changed = [stage for stage in comparison.stages if stage.what]
    rows = [(stage.name, stage.place, _cores(stage.a), _cores(stage.b), "; ".join(stage.what)) for stage in changed]
    tables = [
        _figure_table("Figures", comparison.figures),
        _table("What moved", ("stage", "source", "A", "B", "what differs"), rows)
        if rows
        else "<p>Every stage stands where it stood, with the same blocks.</p>",
        _figure_table("Why: cycles of the critical path", comparison.why[:SHOWN]),
        _figure_table("Cycles of all threads by source line", comparison.lines[:SHOWN]),
    ]
    body = (
        f"<header><h1>{escape(a.image.name)}: A and B</h1><p id='sentence'>{escape(comparison.sentence)}</p></header>"
        f"<main class='compare'>{sides}<section class='card both'>{''.join(tables)}</section></main>"
    )
    return frame(f"{a.image.name}: comparison", body, asset("report.css"))


def _side(model: ViewModel, title: str) -> str:
    pictures = [PICTURES["mesh"](model, longest_epoch(model))]
    if model.run is not None:
        pictures.append(PICTURES["timeline"](model, 0))
    return f"<section class='card'><h2>{escape(title)}</h2>{''.join(pictures)}</section>"


def _cores(stage: StageView | None) -> str:
    return "" if stage is None else f"{len(stage.cores)} cores from {stage.cores[0]}, epoch {stage.epoch}"


def _figure_table(title: str, figures: Iterable[Figure]) -> str:
    rows = [(each.name, _number(each.a), _number(each.b), each.unit, _change(each)) for each in figures]
    return _table(title, ("", "A", "B", "", "change"), rows) if rows else ""


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value == int(value) else f"{value:,.3f}"


def _change(figure: Figure) -> str:
    return "" if figure.change is None or not figure.change else f"{figure.change:+.1%}"


def _table(title: str, columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = "".join(f"<th scope='col'>{escape(column)}</th>" for column in columns)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    caption = f"<caption>{escape(title)}</caption>"
    return f"<div class='wide'><table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
