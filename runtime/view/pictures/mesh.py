"""The mesh: stages by color, links by load."""

from compiler.target import Coord, Machine, SiteKind, Topology
from runtime.view.colors import HEAT, heat, stage_color
from runtime.view.figures import link_shares
from runtime.view.model import ViewModel
from runtime.view.pictures.canvas import Canvas
from runtime.view.routes import Link

PITCH, BOX, MARGIN = 64.0, 38.0, 34.0
GAP = PITCH - BOX - 2


def mesh_picture(model: ViewModel, epoch: int) -> str:
    """Draw one epoch: what stands where, and how much every link carried (or, without a run, will carry)."""
    machine = model.image.machine
    stages = model.epoch_stages(epoch)
    width = 2 * MARGIN + (machine.columns - 1) * PITCH + BOX
    mesh_height = 2 * MARGIN + (machine.rows - 1) * PITCH + BOX
    items = [(stage_color(index), f"{stage.letter} {stage.name}") for index, stage in enumerate(stages)]
    rows = 2 + sum(26 + 7.4 * len(text) for _, text in items) / (width - 60)
    title = f"{model.image.name} on {machine.name}, epoch {epoch}: {len(stages)} stages"
    canvas = Canvas(width, mesh_height + 18 * (int(rows) + 2), title)
    for link, share in zip(model.links, link_shares(model, epoch), strict=True):
        step = heat(share)
        canvas.path(_link(machine, link), stroke=HEAT[step], stroke_width=1.2 + 0.42 * step, stroke_linecap="round")
    owner = {machine.cores[core]: index for index, stage in enumerate(stages) for core in stage.cores}
    for y in range(machine.rows):
        for x in range(machine.columns):
            coord = Coord(x, y)
            _site(canvas, machine, coord, owner.get(coord), [stage.letter for stage in stages])
    bottom = canvas.legend(MARGIN, mesh_height + 4, items, width - 2 * MARGIN)
    what = "busy" if model.run is not None else "of the busiest link's load"
    keys = [(HEAT[step], text) for step, text in ((0, f"links: {what} 0 %"), (3, "33 %"), (6, "67 %"), (9, "100 %"))]
    canvas.height = canvas.legend(MARGIN, bottom, keys, width - 2 * MARGIN)
    return canvas.render()


def _center(coord: Coord) -> tuple[float, float]:
    return MARGIN + BOX / 2 + coord.x * PITCH, MARGIN + BOX / 2 + coord.y * PITCH


def _site(canvas: Canvas, machine: Machine, coord: Coord, stage: int | None, letters: list[str]) -> None:
    kind = machine.floor_plan[coord.y][coord.x]
    x, y = _center(coord)
    if kind is SiteKind.ROUTER:
        canvas.add("circle", "", cx=x, cy=y, r=2.5, class_="line")
        return
    fill = "none" if kind is SiteKind.HARVESTED else "#eef0f3" if stage is None else stage_color(stage)
    dashes = "3 3" if kind is SiteKind.HARVESTED else "none"
    style = f"fill:{fill};stroke-dasharray:{dashes}"
    canvas.rect(x - BOX / 2, y - BOX / 2, BOX, BOX, fill, rx=5, class_="line", style=style)
    if stage is not None:
        canvas.text(x, y + 4, letters[stage], "mid bold on")
    elif kind is SiteKind.DRAM:
        channels = machine.dram.channels
        canvas.text(x, y + 4, f"D{channels.index(coord)}" if coord in channels else "D", "mid bold on")
    elif kind is SiteKind.ETHERNET:
        canvas.text(x, y + 4, "eth", "mid small on")


def _link(machine: Machine, link: Link) -> str:
    """A line from box to box; around the edge of a torus, two stubs."""
    right, down = link.dst.x - link.src.x, link.dst.y - link.src.y
    wraps = abs(right) + abs(down) > 1
    dx, dy = ((value > 0) - (value < 0) for value in (right, down))
    if wraps:
        dx, dy = -dx, -dy
    if machine.nocs[link.noc].topology is Topology.TORUS:
        lane = 5.0 if link.noc else -5.0
    else:
        lane = (4.5 if link.noc else -9.5) + (0.0 if dx + dy > 0 else 5.0)
    (ax, ay), (bx, by) = (_shifted(_center(end), lane, dx, dy) for end in (link.src, link.dst))
    edge = BOX / 2 + 1
    start, end = (ax + dx * edge, ay + dy * edge), (bx - dx * edge, by - dy * edge)
    if not wraps:
        return f"M{_pair(start)}L{_pair(end)}{_tip(end, dx, dy)}"
    out = (start[0] + dx * GAP * 0.7, start[1] + dy * GAP * 0.7)
    back = (end[0] - dx * GAP * 0.7, end[1] - dy * GAP * 0.7)
    return f"M{_pair(start)}L{_pair(out)}{_tip(out, dx, dy)}M{_pair(back)}L{_pair(end)}"


def _shifted(point: tuple[float, float], lane: float, dx: int, dy: int) -> tuple[float, float]:
    return point[0] + abs(dy) * lane, point[1] + abs(dx) * lane


def _tip(end: tuple[float, float], dx: int, dy: int) -> str:
    x, y = end
    one, other = (x - dx * 4 - dy * 3, y - dy * 4 - dx * 3), (x - dx * 4 + dy * 3, y - dy * 4 + dx * 3)
    return f"M{_pair(one)}L{_pair(end)}L{_pair(other)}"


def _pair(point: tuple[float, float]) -> str:
    return f"{point[0]:.1f} {point[1]:.1f}"
