"""Draw the pictures of the documents anew: `make pictures`, or with a folder as argument, there.

The SVGs are what `meshc view --svg` writes; the screenshots are of the report in Chromium.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from compiler.frontend import load, lower
from compiler.ir import TensorGraph
from compiler.pipeline import compile_graph
from compiler.program.image import Role
from compiler.target import load_machine
from emulator import run
from runtime.feed import random_array
from runtime.testing.browser import Browser
from runtime.view.document import document
from runtime.view.figures import longest_epoch
from runtime.view.graphs import GraphRecord, pass_steps
from runtime.view.html import report_page
from runtime.view.model import Run, ViewModel, build
from runtime.view.pictures import PICTURES

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "pictures"


@dataclass(frozen=True, slots=True)
class Shot:
    """A screenshot of the report of an example: `fragment` is the link into it, `press` what is clicked before."""

    name: str
    example: str
    fragment: str
    width: int = 1300
    height: int = 900
    press: tuple[str, ...] = ()
    nudge: bool = False
    """Whether the stage of the core that was clicked last is moved one row down."""


SHOTS = (
    Shot("report-summary", "mlp", "#tab=summary"),
    Shot("report-time", "mlp", "#tab=time&t=90&select=core:3"),
    Shot("report-memory", "mlp", "#tab=memory&select=stage:0"),
    Shot("report-graph", "mlp", "#tab=graph&select=stage:1"),
    Shot("report-source", "attention", "#tab=source&select=line:0:15"),
    Shot("report-dark", "attention", "#tab=time&t=100&select=stage:4", press=("#theme",)),
    Shot("report-what-if", "attention", "#epoch=1", 1300, 1250, ("#moving", "[data-position='16'] rect.box"), True),
    Shot("report-phone", "mlp", "", width=390, height=844),
)
MACHINES = {"mlp": "mesh_4x4", "attention": "wormhole_n150"}


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    models = {example: ran(example, machine) for example, machine in MACHINES.items()}
    write_pictures(folder, models["mlp"])
    with Browser() as browser:
        for shot in SHOTS:
            page = folder / "report.html"
            page.write_text(report_page(shot.example, document(models[shot.example])))
            (folder / f"{shot.name}.png").write_bytes(picture(browser, page, shot))
            page.unlink()


def write_pictures(folder: Path, model: ViewModel) -> None:
    """Write one SVG of each kind."""
    for kind, draw in PICTURES.items():
        (folder / f"{kind}.svg").write_text(draw(model, longest_epoch(model)))


def picture(browser: Browser, page: Path, shot: Shot) -> bytes:
    browser.resize(shot.width, shot.height)
    browser.open(page, shot.fragment)
    for selector in shot.press:
        browser.click(selector)
    if shot.nudge:
        browser.press("ArrowDown", shift=True)
    browser.evaluate("scrollTo(0, 0)")
    browser.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return browser.picture()


def ran(example: str, machine: str) -> ViewModel:
    """Compile an example for a machine and run it on random arrays."""
    path = ROOT / "examples" / f"{example}.mesh"
    graph = lower(load(path.read_text(), path.name), None, {})
    steps: list[tuple[str, int]] = []

    def observe(step: str, value: object) -> None:
        if isinstance(value, TensorGraph):
            steps.append((step, len(value.ops)))

    compiled = compile_graph(graph, load_machine(machine), observe=observe)
    image = compiled.image
    fed = {t.name: random_array(t, 0) for t in image.tensors if t.role in (Role.INPUT, Role.WEIGHT)}
    result = run(image, fed, record=True)
    record = GraphRecord(graph, compiled.graph, pass_steps(len(graph.ops), steps))
    return build(image, Run(result.profile, result.recording), record)


if __name__ == "__main__":
    main()
