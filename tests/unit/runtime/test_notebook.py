"""Representations in notebooks: registered by type, well-formed, with the numbers of the profile."""

from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

from compiler.ir import TensorGraph
from compiler.program.image import Image
from emulator import RunResult
from emulator.profile import Profile
from runtime.notebook import load_ipython_extension, show
from tests.unit.view.ran import ran


class Formatter:
    """IPython's, as far as it is used."""

    def __init__(self) -> None:
        self.functions: dict[type, Callable[[Any], str]] = {}

    def for_type(self, type: type[Any], function: Callable[[Any], str]) -> None:
        self.functions[type] = function


class Display:
    def __init__(self) -> None:
        self.formatters: dict[str, Any] = {"text/html": Formatter()}


class Shell:
    def __init__(self) -> None:
        self.display_formatter = Display()


def test_every_type_has_a_representation() -> None:
    shell = Shell()
    load_ipython_extension(shell)
    functions = shell.display_formatter.formatters["text/html"].functions
    case = ran("mlp")
    values = {Image: case.image, Profile: case.content.run.profile, TensorGraph: case.graph}
    assert set(functions) == set(values)
    for kind, value in values.items():
        ElementTree.fromstring(functions[kind](value))
    profile = case.content.run.profile
    assert f"{profile.makespan:,} cycles" in functions[Profile](profile)
    assert functions[TensorGraph](case.graph).count("<rect") == len(case.graph.ops)


def test_a_report_in_a_frame() -> None:
    case = ran("mlp")
    run = case.content.run
    shown = show(case.image, RunResult({}, run.profile, run.recording))
    html = shown._repr_html_()
    frame = ElementTree.fromstring(html)
    assert frame.attrib["srcdoc"].split() == shown.page.split()
    assert show(case.image).page != shown.page
