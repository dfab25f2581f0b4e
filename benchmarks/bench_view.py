"""Measure reports: how long one takes to make, how large it is, how fast it opens and scrubs in a browser.

    .venv/bin/python benchmarks/bench_view.py

Two cases: the twelve-layer transformer of `programs/` on the 10 x 12 grid of `wormhole_n150`, and a product on a mesh
of 16 x 16 cores with all of its routes drawn. Times are the best of three; a frame of the scrubber is what the script
takes to change all views and the browser to lay them out, the median and the 95th percentile over 120 steps.
"""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from compiler.frontend import load, lower
from compiler.ir import TensorGraph
from compiler.pipeline import compile_graph
from compiler.program.image import Role
from compiler.target import Machine, SiteKind, load_machine
from compiler.target.machine import Coord
from emulator import run
from runtime.cli.terminal import Table, Terminal
from runtime.feed import random_array
from runtime.testing.browser import Browser
from runtime.units import amount
from runtime.view.document import document
from runtime.view.graphs import GraphRecord, pass_steps
from runtime.view.html import report_page
from runtime.view.model import Run, ViewModel, build

PROGRAMS = Path(__file__).parent / "programs"
EXAMPLES = Path(__file__).parents[1] / "examples"
REPEAT = 3
SIDE = 16


@dataclass(frozen=True, slots=True)
class Row:
    """`routes` are those of the epoch that has most of them."""

    name: str
    cores: int
    stages: int
    epochs: int
    routes: int
    seconds: float
    size: int
    open_seconds: float
    frame_median: float
    frame_p95: float


def main() -> None:
    cases: tuple[tuple[str, str, Path, Machine, dict[str, int]], ...] = (
        ("transformer, 12 layers", "wormhole_n150", PROGRAMS / "transformer.mesh", load_machine("wormhole_n150"), {}),
        ("matmul 1024", f"{SIDE} x {SIDE}", EXAMPLES / "matmul.mesh", square(), dict.fromkeys("MNK", 1024)),
    )
    with Browser() as browser, tempfile.TemporaryDirectory() as folder:
        rows = [
            measure(f"{name} on {place}", path, machine, sizes, browser, Path(folder))
            for name, place, path, machine, sizes in cases
        ]
    Terminal.detect("auto", json=False).table(table(rows))


def square() -> Machine:
    """`mesh_4x4` with 16 x 16 cores and a DRAM channel beside each row."""
    small = load_machine("mesh_4x4")
    plan = tuple((SiteKind.DRAM, *[SiteKind.CORE] * SIDE) for _ in range(SIDE))
    channels = tuple(Coord(0, y) for y in range(SIDE))
    dram = replace(small.dram, channels=channels)
    return replace(small, name=f"mesh_{SIDE}x{SIDE}", floor_plan=plan, dram=dram, semaphores=1024)


def measure(name: str, path: Path, machine: Machine, sizes: Mapping[str, int], browser: Browser, folder: Path) -> Row:
    model = ran(path, machine, sizes)
    page, seconds = "", []
    for _ in range(REPEAT):
        start = perf_counter()
        assert model.run is not None
        again = build(model.image, model.run.run, model.graph.record if model.graph is not None else None)
        page = report_page(name, document(again))
        seconds.append(perf_counter() - start)
    file = folder / "report.html"
    file.write_text(page)
    opened = []
    for _ in range(REPEAT):
        start = perf_counter()
        browser.open(file)
        opened.append(perf_counter() - start)
    scrub = scrubbing(browser, file)
    return Row(
        name=name,
        cores=len({core for stage in model.stages for core in stage.cores}),
        stages=len(model.stages),
        epochs=len(model.image.epochs),
        routes=max(len(epoch.routes) for epoch in model.image.epochs),
        seconds=min(seconds),
        size=len(page.encode()),
        open_seconds=min(opened),
        frame_median=scrub["median"],
        frame_p95=scrub["p95"],
    )


def ran(path: Path, machine: Machine, sizes: Mapping[str, int]) -> ViewModel:
    """Compile and run a program on random arrays."""
    graph = lower(load(path.read_text(), path.name), None, dict(sizes))
    steps: list[tuple[str, int]] = []

    def observe(step: str, value: object) -> None:
        if isinstance(value, TensorGraph):
            steps.append((step, len(value.ops)))

    compiled = compile_graph(graph, machine, observe=observe)
    image = compiled.image
    fed = {t.name: random_array(t, 0) for t in image.tensors if t.role in (Role.INPUT, Role.WEIGHT)}
    result = run(image, fed, record=True)
    record = GraphRecord(graph, compiled.graph, pass_steps(len(graph.ops), steps))
    return build(image, Run(result.profile, result.recording), record)


def scrubbing(browser: Browser, file: Path) -> Mapping[str, Any]:
    """Milliseconds per frame, as the page's own test measures them with all routes drawn."""
    browser.open(file, "#selftest")
    browser.wait_for("document.body.dataset.selftest === 'done'")
    results = json.loads(browser.evaluate("document.getElementById('selftest').textContent"))
    timing: Mapping[str, Any] = results["timing"]["scrub"]
    return timing


def table(rows: list[Row]) -> Table:
    columns = ("report", "cores", "stages", "epochs", "routes", "make s", "size", "open s", "frame ms", "95 % ms")
    cells = tuple(
        (
            row.name,
            str(row.cores),
            str(row.stages),
            str(row.epochs),
            str(row.routes),
            f"{row.seconds:.2f}",
            amount(row.size),
            f"{row.open_seconds:.2f}",
            f"{row.frame_median:.1f}",
            f"{row.frame_p95:.1f}",
        )
        for row in rows
    )
    return Table("Reports", columns, cells, numeric=tuple(range(1, len(columns))))


if __name__ == "__main__":
    main()
