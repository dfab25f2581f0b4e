"""The report in a real browser, from disk: it is drawn, it answers to pointer and keys, its numbers are the profile's,
and it asks the network for nothing."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from compiler.ir.hints import Hint
from compiler.pipeline import compile_graph
from compiler.target import Coord, Machine
from emulator.profile import REASONS, THREAD_NAMES
from runtime.testing.browser import Browser
from runtime.view.compare import compare, comparison_page
from runtime.view.document import document
from runtime.view.html import report_page
from runtime.view.model import build
from runtime.view.stages import StageView
from tests.unit.view.ran import Ran, ran

CASES = [("mlp", "mesh_4x4"), ("wide", "wormhole_n150")]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as opened:
        yield opened


@pytest.fixture(autouse=True)
def desktop(browser: Browser) -> None:
    browser.resize(1400, 1000)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("reports")
    for name, machine in CASES:
        model = ran(name, machine).model
        (made / f"{name}-{machine}.html").write_text(report_page(name, document(model)))
    (made / "image.html").write_text(report_page("image", document(build(ran("mlp").image))))
    a, b = ran("mlp", "mesh_4x4").model, ran("mlp", "wormhole_n150").model
    (made / "compare.html").write_text(comparison_page(compare(a, b), "a", "b"))
    return made


def quiet(browser: Browser, path: Path) -> None:
    """Nothing was complained about, and nothing but the file itself asked for."""
    assert browser.console == []
    assert {url.partition("#")[0] for url in browser.requests} <= {path.as_uri(), "data:,"}


def open_report(browser: Browser, folder: Path, name: str = "mlp-mesh_4x4", fragment: str = "") -> Path:
    path = folder / f"{name}.html"
    browser.open(path, fragment)
    return path


def selftest(browser: Browser, path: Path) -> dict[str, Any]:
    browser.open(path, "#selftest")
    browser.wait_for("document.body.dataset.selftest === 'done'")
    results: dict[str, Any] = json.loads(browser.evaluate("document.getElementById('selftest').textContent"))
    return results


@pytest.mark.parametrize("name", [*(f"{name}-{machine}" for name, machine in CASES), "image"])
@pytest.mark.parametrize("size", [(1400, 1000), (390, 844)], ids=["desktop", "phone"])
def test_the_page_passes_its_own_test(name: str, size: tuple[int, int], browser: Browser, folder: Path) -> None:
    browser.resize(*size)
    path = folder / f"{name}.html"
    results = selftest(browser, path)
    failed = {check: value for check, value in results["checks"].items() if value is not True}
    failed.pop("numbers shown are the profile's", None)
    assert failed == {}
    assert len(results["checks"]) >= 15
    assert results["errors"] == []
    assert results["requests"] == 0
    quiet(browser, path)


@pytest.mark.parametrize(("name", "machine"), CASES)
def test_numbers_shown_are_the_profiles(name: str, machine: str, browser: Browser, folder: Path) -> None:
    case = ran(name, machine)
    shown = selftest(browser, folder / f"{name}-{machine}.html")["checks"]["numbers shown are the profile's"]
    profile = case.content.run.profile
    assert shown["makespan"].startswith(f"{profile.makespan:,} cycles")
    for rows, epoch in zip(shown["threads"], profile.epochs, strict=True):
        for row, thread in zip(rows, THREAD_NAMES, strict=True):
            own = [each.cycles for each in epoch.threads if each.thread == thread]
            sums = [sum(cycles[reason] for cycles in own) for reason in range(len(REASONS))]
            assert row == [thread, *(f"{value:,}" for value in sums), f"{sum(sums):,}"]
    lines = {f"{_source(case, line.source)}:{line.line}": line.cycles for line in case.model.lines if line.line}
    assert dict(shown["lines"]) == {place: f"{cycles:,}" for place, cycles in lines.items()}
    assert shown["total"] == f"{sum(line.cycles for line in case.model.lines):,}"


def _source(case: Ran, name: str) -> int:
    return [source.name for source in case.image.sources].index(name)


def test_the_pointer_selects_a_core_in_every_view(browser: Browser, folder: Path) -> None:
    path = open_report(browser, folder)
    stage = ran("mlp").model.stages[0]
    coord = ran("mlp").image.machine.cores[stage.cores[0]]
    position = coord.y * ran("mlp").image.machine.columns + coord.x
    browser.click(f"[data-position='{position}'] rect.box")
    assert (
        browser.evaluate("document.getElementById('details-title').textContent") == f"Core {stage.cores[0]} at {coord}"
    )
    assert browser.evaluate("document.querySelectorAll('.routes path').length") > 0
    browser.click("#tab-source")
    assert browser.evaluate("document.querySelectorAll('[data-line].related').length") > 0
    browser.click("#tab-time")
    assert browser.evaluate("document.querySelector('.names button.chosen').textContent") == f"core {stage.cores[0]}"
    quiet(browser, path)


def test_keys_alone_reach_and_use_everything(browser: Browser, folder: Path) -> None:
    path = open_report(browser, folder)
    reached = []
    for _ in range(80):
        browser.press("Tab")
        reached.append(browser.evaluate("document.activeElement.id || document.activeElement.className.baseVal || ''"))
        if str(reached[-1]).startswith("cell"):
            break
    order = [name for name in reached if name in ("theme", "scrub", "color", "links", "routes", "moving")]
    assert order == ["theme", "scrub", "color", "links", "routes", "moving"]
    assert reached[-1].startswith("cell core")
    before = browser.evaluate("document.activeElement.dataset.position")
    browser.press("ArrowRight")
    assert browser.evaluate("document.activeElement.dataset.position") != before
    browser.press("Enter")
    assert browser.evaluate("document.getElementById('details-title').textContent").startswith("Core ")
    browser.press("Escape")
    assert browser.evaluate("document.getElementById('details-title').textContent") == "Nothing selected"
    quiet(browser, path)


def test_what_assistive_technology_is_told(browser: Browser, folder: Path) -> None:
    open_report(browser, folder)
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    named = {(node["role"]["value"], node["name"]["value"]) for node in nodes if "name" in node and not node["ignored"]}
    roles = {role for role, _ in named}
    assert {"heading", "tab", "slider", "button", "tabpanel", "main"} <= {node["role"]["value"] for node in nodes}
    assert {"tab", "slider", "button"} <= roles
    pressed = [node for node in nodes if node["role"]["value"] in ("button", "tab", "slider", "combobox", "checkbox")]
    nameless = [node for node in pressed if not node["ignored"] and not node.get("name", {}).get("value")]
    assert nameless == []
    assert any(name.startswith("core ") and "stage" in name for _, name in named)


def test_a_link_of_the_mesh_is_found_by_the_pointer(browser: Browser, folder: Path) -> None:
    open_report(browser, folder)
    spot = browser.evaluate(
        "(() => { const root = document.querySelector('#mesh svg'), path = root.querySelector('path.link');"
        "const middle = path.getPointAtLength(8), at = new DOMPoint(middle.x, middle.y)"
        ".matrixTransform(root.getScreenCTM()); return [at.x, at.y]; })()"
    )
    browser.mouse("mousePressed", *spot)
    browser.mouse("mouseReleased", *spot)
    assert " link " in browser.evaluate("document.getElementById('details-title').textContent")
    assert browser.evaluate("document.querySelectorAll('#details-body li button').length") > 0


def test_dragging_a_stage_hands_out_a_hint(browser: Browser, folder: Path) -> None:
    open_report(browser, folder, "wide-wormhole_n150")
    browser.click("#moving")
    model = ran("wide", "wormhole_n150").model
    machine = model.image.machine
    stage = min(model.epoch_stages(0), key=lambda each: len(each.cores))
    first = machine.cores[stage.cores[0]]
    x, y = browser.middle(f"[data-position='{first.y * machine.columns + first.x}'] rect.box")
    pitch = browser.evaluate("document.querySelector('#mesh svg').getBoundingClientRect().width") / machine.columns
    steps = (1, -1) if first.x < machine.columns // 2 else (-1, 1)
    browser.mouse("mousePressed", x, y)
    for step in steps[:1]:
        browser.mouse("mouseMoved", x + step * pitch, y)
    browser.mouse("mouseReleased", x + steps[0] * pitch, y)
    hint = browser.evaluate("document.getElementById('hints').value")
    assert f"stage {stage.letter} {stage.name}" in hint
    assert "at core(" in hint
    assert "→" in browser.evaluate("document.getElementById('whatif-link').textContent")
    found = re.search(r"at core\((\d+), (\d+)\)", hint)
    assert found is not None
    corner = Coord(int(found[1]), int(found[2]))
    graph = ran("wide", "wormhole_n150").graph
    asked = Hint(stage.spans[0], cores=_grid(machine, stage), corner=(corner.x, corner.y))
    compiled = build(compile_graph(replace(graph, hints=(asked,)), machine).image)
    moved = next(each for each in compiled.stages if each.name == stage.name)
    assert min((machine.cores[core] for core in moved.cores), key=lambda coord: (coord.y, coord.x)) == corner


def _grid(machine: Machine, stage: StageView) -> tuple[int, int]:
    coords = [machine.cores[core] for core in stage.cores]
    return len({coord.y for coord in coords}), len({coord.x for coord in coords})


def test_a_stage_is_moved_by_keys_and_put_back(browser: Browser, folder: Path) -> None:
    open_report(browser, folder)
    model = ran("mlp").model
    columns = model.image.machine.columns
    browser.click("#moving")
    stage = min(model.stages, key=lambda each: len(each.cores))
    coord = model.image.machine.cores[stage.cores[0]]
    browser.click(f"[data-position='{coord.y * columns + coord.x}'] rect.box")
    assert browser.evaluate("document.getElementById('details-title').textContent").startswith("Core ")
    way, back = ("ArrowUp", "ArrowDown") if coord.y else ("ArrowDown", "ArrowUp")
    browser.press(way, shift=True)
    assert "at core(" in browser.evaluate("document.getElementById('hints').value")
    assert browser.evaluate("document.querySelectorAll('.cell.bad').length") > 0  # another stage stands there
    browser.press(back, shift=True)
    assert browser.evaluate("document.getElementById('hints')") is None


def test_a_link_into_the_report(browser: Browser, folder: Path) -> None:
    open_report(browser, folder, fragment="#t=10&tab=memory&select=stage:1")
    assert browser.evaluate("document.getElementById('scrub').value") == "10"
    assert browser.evaluate("document.getElementById('tab-memory').getAttribute('aria-selected')") == "true"
    assert browser.evaluate("document.getElementById('details-title').textContent").startswith("Stage B")


@pytest.mark.parametrize("fragment", ["#select=core:999", "#epoch=7&t=9999", "#tab=nothing&select=x:y", "#%%%"])
def test_a_wrong_link_does_no_harm(fragment: str, browser: Browser, folder: Path) -> None:
    path = open_report(browser, folder, fragment=fragment)
    assert browser.evaluate("document.getElementById('title').textContent") == "mlp on mesh_4x4"
    quiet(browser, path)


def test_the_comparison_is_a_plain_page(browser: Browser, folder: Path) -> None:
    path = folder / "compare.html"
    browser.console.clear()
    browser.call("Page.navigate", url=path.as_uri())
    browser.wait_for("document.querySelectorAll('table').length >= 4")
    assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth + 1")
    assert browser.console == []
