"""Typed programs with every feature of the language: they compile, keep their form, and say the same in Python."""

from collections import Counter
from random import Random
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lark import Token, Tree
from lark.grammar import Terminal

from compiler.diagnostics import Source
from compiler.frontend import Module, load, lower
from compiler.frontend.catalog import BUILTINS
from compiler.frontend.format import format_text
from compiler.frontend.library import library
from compiler.frontend.lint import lint
from compiler.frontend.recovery import parser
from compiler.frontend.reduction import REDUCTIONS
from compiler.ir import TensorGraph, print_graph
from compiler.ir.graph import Kind
from compiler.ir.verify import verify
from compiler.numerics import ScalarOp
from runtime.testing.features import FEATURES, PARTS, PLAIN, program_of, some_program
from runtime.testing.python_form import in_python

RANDOM = st.randoms(use_true_random=False)
DRAWN = 250
"""Programs of which the table of coverage is made."""


def loaded(text: str) -> Module:
    return load(text, "drawn.mesh", lambda path, importer: Source("parts.mesh", PARTS))


def plain(graph: TensorGraph) -> str:
    """The graph as text, without places."""
    return "\n".join(line.partition(" @")[0] for line in print_graph(graph).split("\n"))


@pytest.mark.parametrize("number", range(len(FEATURES)))
def test_each_feature_compiles(number: int) -> None:
    verify(lower(loaded(program_of([FEATURES[number]], Random(number))), None, {}))


@given(RANDOM)
def test_programs_compile_and_keep_their_form(random: Random) -> None:
    module = loaded(some_program(random))
    graph = lower(module, None, {})
    verify(graph)
    lint(module)
    neat = format_text(module.source)
    assert format_text(Source("drawn.mesh", neat)) == neat
    assert plain(lower(loaded(neat), None, {})) == plain(graph)


@given(RANDOM)
def test_the_same_program_in_python_gives_the_same_graph(random: Random) -> None:
    module = loaded(some_program(random, PLAIN))
    assert plain(in_python(module.programs[0]).graph()) == plain(lower(module, None, {}))


@pytest.mark.parametrize("number", range(len(PLAIN)))
def test_each_plain_feature_has_a_form_in_python(number: int) -> None:
    module = loaded(program_of([PLAIN[number]], Random(number)))
    assert plain(in_python(module.programs[0]).graph()) == plain(lower(module, None, {}))


def constructs(text: str) -> Counter[str]:
    """What a program consists of: productions and words of the grammar, functions, kinds and steps of its graph."""
    found: Counter[str] = Counter()
    for tree in parser().parse(text).iter_subtrees():
        found[f"production {tree.data}"] += 1
        found.update(f"token {child.type}" for child in tree.children if isinstance(child, Token))
        found.update(_functions(tree))
    for op in lower(loaded(text), None, {}).ops:
        found[f"kind {type(op.kind).__name__}"] += 1
        for name in ("expr", "body", "epilogue"):
            found.update(f"step {node.op.value}" for node in getattr(getattr(op.kind, name, None), "nodes", ()))
    return found


def _functions(tree: Tree[Token]) -> list[str]:
    if tree.data == "reduction":
        head = tree.children[0]
        assert isinstance(head, Tree)
        return [f"reduction {head.children[0]}"]
    return [f"function {tree.children[0]}"] if tree.data == "call" else []


def everything() -> set[str]:
    """All that a program could consist of. (A rule of one part only passes that on.)"""
    rules = parser().rules
    parts = [[p for p in rule.expansion if not (isinstance(p, Terminal) and p.filter_out)] for rule in rules]
    named = [rule for rule, kept in zip(rules, parts, strict=True) if len(kept) != 1 or not rule.options.expand1]
    words = {part.name for kept in parts for part in kept if isinstance(part, Terminal)}
    functions = {*BUILTINS, *(function.name.text for function in library().functions)}
    found = {
        *(f"production {rule.alias or rule.origin.name}" for rule in named),
        *(f"token {name}" for name in words),
        *(f"function {name}" for name in functions),
        *(f"reduction {name}" for name in REDUCTIONS),
        *(f"kind {kind.__name__}" for kind in get_args(Kind)),
        *(f"step {op.value}" for op in ScalarOp),
    }
    return {name for name in found if not name.startswith("production _")}


def test_programs_have_every_construct(capsys: pytest.CaptureFixture[str]) -> None:
    """The table that `pytest -s` prints: how often the drawn programs have each construct of the language."""
    found: Counter[str] = Counter()
    for seed in range(DRAWN):
        found += constructs(some_program(Random(seed), most=8))
    names = sorted(everything())
    print("\n".join(f"{found[name]:6} {name}" for name in names))
    assert [name for name in names if not found[name]] == []
