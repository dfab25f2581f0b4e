"""Every example of the reference compiles, and the lists of functions in it are complete."""

import re

import pytest

import grammar
from compiler.diagnostics import Source
from compiler.frontend import load, lower
from compiler.frontend.catalog import BUILTINS, DTYPES
from compiler.frontend.library import Missing, library
from compiler.ir.verify import verify

EXAMPLES = re.findall(r"^```mesh\n(.*?)^```", grammar.reference(), re.M | re.S)


def test_the_reference_has_examples() -> None:
    assert len(EXAMPLES) >= 12


FILES = {found[1]: text for text in EXAMPLES if (found := re.match(r"# (\w+)\.mesh\n", text))}


def find(path: tuple[str, ...], importer: str) -> Source | Missing:
    name = ".".join(path)
    return Source(f"{name}.mesh", FILES[name]) if name in FILES else Missing((name,))


@pytest.mark.parametrize("text", EXAMPLES, ids=lambda text: re.findall(r"(?:program|fn) (\w+)", text)[-1])
def test_example_compiles(text: str) -> None:
    module = load(text, "language.md", find)
    for program in module.programs:
        verify(lower(module, program.name.text, {}))


@pytest.mark.parametrize("section", ["Functions that are built in", "The standard library"])
def test_tables_list_every_function(section: str) -> None:
    table = grammar.reference().split(f"## {section}\n")[1].split("\n```")[0]
    first_column = " ".join(re.findall(r"^\|([^|]*)\|", table, re.M))
    listed = set(re.findall(r"[a-z_0-9]+", re.sub(r"\([^)]*\)", "", first_column)))
    functions = set(BUILTINS) if section.startswith("Functions") else {f.name.text for f in library().functions}
    assert listed >= functions
    assert functions | set(DTYPES) | {"functions", "of", "one", "tensor", "a", "b"} >= listed
