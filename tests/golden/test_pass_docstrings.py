"""The before and after in the docstring of every pass are what it does."""

import inspect
import re
import textwrap

import pytest

from compiler.ir import parse_graph, print_graph
from compiler.passes import PIPELINE, Pass

PASSES = {step.name: step for group in PIPELINE for step in group}


def block(step: Pass, title: str) -> str:
    match = re.search(
        rf"^{title}::\n\n((?:    .*\n|\n)+)", inspect.cleandoc(type(step).__doc__ or "") + "\n", re.MULTILINE
    )
    assert match is not None, f"{step.name} shows no `{title}::`"
    return "graph example\n" + textwrap.dedent(match[1]).strip() + "\n"


@pytest.mark.parametrize("name", PASSES)
def test_docstring_shows_what_the_pass_does(name: str) -> None:
    step = PASSES[name]
    before = parse_graph(block(step, "Before"))
    assert print_graph(step.run(before)) == block(step, "After")
    assert before != parse_graph(block(step, "After"))


@pytest.mark.parametrize("name", PASSES)
def test_a_pass_keeps_what_it_produced(name: str) -> None:
    after = parse_graph(block(PASSES[name], "After"))
    assert PASSES[name].run(after) == after
