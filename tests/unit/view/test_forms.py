"""Documents, pictures, text and comparisons say what the model says, the same every time, and fetch nothing."""

import base64
import gzip
import json
import re
from xml.etree import ElementTree

import pytest

from compiler.program.image import Epoch, Image
from compiler.target import load_machine
from emulator import run
from runtime.explain.explanation import explain
from runtime.view.compare import compare, comparison_page
from runtime.view.document import document
from runtime.view.figures import link_shares, longest_epoch
from runtime.view.html import POLICY, report_page
from runtime.view.model import Run, build
from runtime.view.pictures import PICTURES
from runtime.view.text import text_view
from tests.unit.view.ran import CASES, ran

ESCAPE = "\x1b"


def page(name: str, machine: str) -> str:
    model = ran(name, machine).model
    return report_page(model.image.name, document(model))


@pytest.mark.parametrize(("name", "machine"), CASES)
def test_the_report_carries_the_profile(name: str, machine: str) -> None:
    model = ran(name, machine).model
    assert model.run is not None
    packed = re.search(r'id="data">([^<]*)<', page(name, machine))
    assert packed is not None
    content = json.loads(gzip.decompress(base64.b64decode(packed[1])))
    profile = model.run.run.profile
    assert content["run"]["makespan"] == profile.makespan
    for shown, epoch in zip(content["run"]["epochs"], profile.epochs, strict=True):
        assert shown["cycles"] == epoch.cycles
        assert [row[2:] for row in shown["threads"]] == [list(thread.cycles) for thread in epoch.threads]
        assert sum(shown["load"]) == sum(link.flits for link in epoch.links)
        assert [row[0] for row in shown["channels"]] == [channel.read_bytes for channel in epoch.channels]


def test_the_report_fetches_nothing_and_is_the_same_every_time() -> None:
    text = page("mlp", "mesh_4x4")
    assert text == page("mlp", "mesh_4x4")
    assert POLICY in text
    plain = text.replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?://|src=|@import|url\(", plain)


def test_an_image_alone_has_a_report() -> None:
    content = document(build(ran("mlp").image))
    assert content["run"] is None
    assert content["graph"] is None
    assert content["stages"]


@pytest.mark.parametrize("kind", PICTURES)
@pytest.mark.parametrize(("name", "machine"), [("mlp", "mesh_4x4"), ("wide", "wormhole_n150")])
def test_pictures_are_well_formed_and_say_what_they_show(kind: str, name: str, machine: str) -> None:
    model = ran(name, machine).model
    text = PICTURES[kind](model, longest_epoch(model))
    root = ElementTree.fromstring(text)
    assert root.tag.endswith("svg")
    assert model.image.name in root.attrib["aria-label"]
    assert text == PICTURES[kind](model, longest_epoch(model))
    width, height = map(float, root.attrib["viewBox"].split()[2:])
    for node in root.iter():
        if node.tag.endswith("rect"):
            assert float(node.attrib["x"]) >= -0.01
            assert float(node.attrib["x"]) + float(node.attrib["width"]) <= width + 0.01
            assert float(node.attrib["y"]) + float(node.attrib["height"]) <= height + 0.01


def test_the_mesh_picture_has_a_box_for_each_core_and_a_line_for_each_link() -> None:
    model = ran("mlp").model
    text = PICTURES["mesh"](model, 0)
    for stage in model.epoch_stages(0):
        assert text.count(f">{stage.letter}</text>") == len(stage.cores)
    assert text.count("<path") == len(model.links)


def test_text_without_color_is_plain() -> None:
    model = ran("mlp", "wormhole_n150").model
    text = text_view(model, 0, color=False)
    assert ESCAPE not in text
    assert all(len(line) <= 160 for line in text.split("\n"))
    for stage in model.epoch_stages(0):
        assert f"[{stage.letter:^1}]" in text
    colored = text_view(model, 0, color=True)
    assert ESCAPE in colored
    assert re.sub(r"\x1b\[[\d;]*m", "", colored) == text


def test_link_shares_without_a_run_are_relative() -> None:
    model = build(ran("mlp").image)
    assert max(link_shares(model, 0)) == 1


def test_a_view_equals_itself() -> None:
    model = ran("mlp").model
    found = compare(model, model)
    assert not any(stage.what for stage in found.stages)
    assert not any(figure.change for figure in (*found.figures, *found.lines, *found.why))
    assert "as long as" in found.sentence


def test_a_comparison_tells_what_moved_and_why() -> None:
    a, b = ran("mlp", "mesh_4x4").model, ran("mlp", "wormhole_n150").model
    found = compare(a, b)
    assert a.run is not None
    assert b.run is not None
    makespan = found.figures[0]
    assert (makespan.a, makespan.b) == (a.run.report.makespan, b.run.report.makespan)
    assert any(stage.what for stage in found.stages)
    assert sum(figure.b or 0 for figure in found.lines) == sum(line.cycles for line in b.lines)
    text = comparison_page(found, "<one>", "two")
    assert "&lt;one&gt;" in text
    assert "<script" not in text


def test_an_epoch_in_which_nothing_runs() -> None:
    image = Image("nothing", load_machine("mesh_4x4"), (), (), (), (Epoch((), (), ()),), ())
    result = run(image, {}, record=True)
    model = build(image, Run(result.profile, result.recording))
    assert document(model)["run"]["makespan"] == 0
    assert "nothing on mesh_4x4" in text_view(model, 0, color=True)
    for draw in PICTURES.values():
        ElementTree.fromstring(draw(model, 0))


def test_the_report_explains_the_run() -> None:
    model = ran("mlp").model
    assert model.run is not None
    recording = model.run.run.recording
    assert recording is not None
    found = explain(model.image, model.run.run.profile, recording, model.stages)
    assert document(model)["run"]["explanation"]["sentence"] == found.sentence
