"""A view for the terminal: the mesh, the loads and what threads wait for; sensible without color and when piped."""

from collections.abc import Iterator, Sequence

from compiler.target import Coord, SiteKind
from emulator.profile import REASONS
from runtime.units import amount
from runtime.view.colors import stage_color
from runtime.view.figures import link_shares
from runtime.view.model import ViewModel

LEVELS = " .:-=+*#%@"
"""Loads by tenths, where color is not to be had or not enough."""
SHOWN = 6
_RESET = "\x1b[0m"


def text_view(model: ViewModel, epoch: int, color: bool) -> str:
    """Return lines for one epoch: the mesh with a letter per stage and a mark for what its links carry, the stages,
    the busiest links, and with a run the waits and the costly lines."""
    parts = [
        _title(model, epoch),
        *_mesh(model, epoch, color),
        "",
        *_stages(model, epoch, color),
        "",
        *_links(model, epoch),
    ]
    if model.run is not None:
        parts += ["", *_waits(model, epoch), "", *_lines(model)]
    return "\n".join(line.rstrip() for line in parts) + "\n"


def _title(model: ViewModel, epoch: int) -> str:
    image = model.image
    count = len(image.epochs)
    which = f", epoch {epoch} of {count}" if count > 1 else ""
    if model.run is None:
        return f"{image.name} on {image.machine.name}{which}: not yet run"
    cycles = model.run.run.profile.epochs[epoch].cycles
    report = model.run.report
    part = f"{cycles} of {report.makespan} cycles" if count > 1 else f"{report.makespan} cycles"
    return f"{image.name} on {image.machine.name}{which}: {part}, {report.ratio:.2f} x the lower bound"


def _mesh(model: ViewModel, epoch: int, color: bool) -> Iterator[str]:
    machine = model.image.machine
    stages = model.epoch_stages(epoch)
    owner = {machine.cores[core]: index for index, stage in enumerate(stages) for core in stage.cores}
    letters = [stage.letter for stage in stages]
    across, down = _loads(model, epoch)
    width = max((len(stage.letter) for stage in stages), default=1)
    yield "    " + " ".join(f"{x:^{width + 2}}" for x in range(machine.columns))
    for y in range(machine.rows):
        cells = []
        for x in range(machine.columns):
            coord = Coord(x, y)
            text = f"{_cell(model, coord, owner, letters, width):^{width}}"
            if color and coord in owner:
                text = _colored(text, stage_color(owner[coord]))
            cells.append(f"[{text}]" if machine.floor_plan[y][x] is SiteKind.CORE else f" {text} ")
            cells.append(_level(across.get(coord, 0.0)))
        yield f"{y:>3} " + "".join(cells)
        if y + 1 < machine.rows:
            marks = (_level(down.get(Coord(x, y), 0.0)) for x in range(machine.columns))
            yield "    " + " ".join(f"{mark:^{width + 2}}" for mark in marks)
    what = "busy share" if model.run is not None else "share of the busiest"
    yield f"    links to the right and below, the busier of both directions and NoCs, by {what}: 0 `{LEVELS}` 1"


def _cell(model: ViewModel, coord: Coord, owner: dict[Coord, int], letters: Sequence[str], width: int) -> str:
    machine = model.image.machine
    site = machine.floor_plan[coord.y][coord.x]
    if coord in owner:
        return letters[owner[coord]]
    return {SiteKind.CORE: "", SiteKind.HARVESTED: "x", SiteKind.ROUTER: "."}.get(site, site.value)[:width]


def _loads(model: ViewModel, epoch: int) -> tuple[dict[Coord, float], dict[Coord, float]]:
    """The load between a position and its right neighbor, and the one below."""
    across: dict[Coord, float] = {}
    down: dict[Coord, float] = {}
    for link, share in zip(model.links, link_shares(model, epoch), strict=True):
        apart = (abs(link.dst.x - link.src.x), abs(link.dst.y - link.src.y))
        if sum(apart) == 1:
            first = min(link.src, link.dst)
            loads = across if apart[0] else down
            loads[first] = max(loads.get(first, 0.0), share)
    return across, down


def _level(share: float) -> str:
    return LEVELS[0] if share <= 0 else LEVELS[min(9, 1 + int(share * 9))]


def _colored(text: str, color: str) -> str:
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"\x1b[38;2;17;17;17;48;2;{red};{green};{blue}m{text}{_RESET}"


def _stages(model: ViewModel, epoch: int, color: bool) -> Iterator[str]:
    yield "Stages"
    stages = model.epoch_stages(epoch)
    wide = max((len(stage.name) for stage in stages), default=0)
    for index, stage in enumerate(stages):
        mark = _colored(f" {stage.letter} ", stage_color(index)) if color else f" {stage.letter} "
        place = f"{stage.spans[0].source}:{stage.spans[0].line}" if stage.spans else ""
        work = stage.work[0] if stage.work else ""
        size = f"{len(stage.cores):>3} cores  {amount(stage.l1_bytes):>10} L1"
        yield f"  {mark} {stage.name:<{wide}}  {size}  {place}  {work}"


def _links(model: ViewModel, epoch: int) -> Iterator[str]:
    shares = link_shares(model, epoch)
    yield "Busiest links" if model.run is not None else "Busiest links, relative to the first"
    ranked = sorted(range(len(shares)), key=lambda number: (-shares[number], number))
    for number in ranked[:SHOWN]:
        link = model.links[number]
        bar = "#" * round(30 * min(1.0, shares[number]))
        yield f"  NoC {link.noc} {link.src!s:>8} to {link.dst!s:<8} {shares[number]:>6.1%}  {bar}"


def _waits(model: ViewModel, epoch: int) -> Iterator[str]:
    assert model.run is not None
    profile = model.run.run.profile.epochs[epoch]
    owner = {core: stage for stage in model.epoch_stages(epoch) for core in stage.cores}
    totals: dict[tuple[str, str, str], int] = {}
    for thread in profile.threads:
        for reason, cycles in zip(REASONS[1:-1], thread.cycles[1:-1], strict=True):
            key = (f"{owner[thread.core].letter} {owner[thread.core].name}", thread.thread, reason)
            totals[key] = totals.get(key, 0) + cycles
    ranked = sorted(totals, key=lambda key: (-totals[key], key))[:SHOWN]
    yield "What threads wait for, core cycles"
    for key in ranked:
        yield f"  {totals[key]:>12}  {key[0]}, {key[1]}: {key[2]}"


def _lines(model: ViewModel) -> Iterator[str]:
    yield "Costliest lines, share of core cycles"
    for line in [line for line in model.lines if line.line][:SHOWN]:
        place = f"{line.source}:{line.line}"
        yield f"  {line.share:>6.1%}  {place:<24} {line.text.strip()[:70]}"
