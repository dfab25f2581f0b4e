"""No text whatever gives anything but a graph or diagnostics that can be shown."""

import re

from hypothesis import given
from hypothesis import strategies as st

import grammar
from compiler.diagnostics import DiagnosticError, Source
from compiler.diagnostics.render import render
from compiler.frontend import load, lower
from compiler.frontend.catalog import BUILTINS
from compiler.frontend.format import format_text
from compiler.frontend.lint import lint
from compiler.ir.verify import verify

SEEDS = [
    *re.findall(r"^```mesh\n(.*?)^```", grammar.reference(), re.M | re.S),
    "dim N = 4\nprogram p(x: input f32[N, N]) -> f32[N, N] {\n"
    "    y[i, j] = sum(k) x[i, k] * x[k, j]\n    return y.T\n}\n",
]
TOKENS = [
    *[
        "dim",
        "fn",
        "program",
        "return",
        *(
            "semantics",
            "zero_annihilates",
            "finite",
            "state",
            "semantics zero_annihilates\n",
            "fn f(x: f32) -> f32 { return x }\n",
        ),
        *("import", "for", "in", "if", "else", "assert", '"', '"text"', "for i in 0:2 {", "if N > 1 {"),
        *("while", "limit", "while x > 1.0 limit 3 {", "x[0] = ", "x[y, i] = "),
        "and",
        "or",
        "not",
        "true",
        "false",
        "input",
        "weight",
        "x",
        "y",
        "a",
        "b",
        "i",
        "j",
        "k",
        "N",
        "B",
        "T",
        "out",
    ],
    *["f32", "bf16", "i32", "bool", "const", "inf", "0", "1", "2", "-1", "64", "0.5", "1e30", "99999999999999999999"],
    *[
        "+",
        "-",
        "*",
        "/",
        "%",
        "@",
        "<",
        "<=",
        "==",
        "!=",
        "=",
        "->",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        ".",
        "...",
        "#",
        "\n",
        "\n",
    ],
    *(f"{name}(" for name in (*BUILTINS, "relu", "softmax", "attention")),
    *("sum(k) ", "max(i, j) ", "x[i, j]", "x.T", "axis=0", "keepdims=true", "&", "\t", "é", "\x00"),
]


def survives(text: str) -> None:
    try:
        module = load(text, "t.mesh")
        lint(module)
        neat = format_text(module.source)
        assert format_text(Source("t.mesh", neat)) == neat
        for program in module.programs:
            verify(lower(module, program.name.text, {}))
    except DiagnosticError as error:
        check(error)


def check(error: DiagnosticError) -> None:
    """Every diagnostic has a code of the front end, places in the text, and can be shown."""
    assert error.diagnostics
    for diagnostic in error.diagnostics:
        assert re.fullmatch(r"E0[123]\d\d", diagnostic.code)
        assert all(label.span.line >= 1 and label.span.column >= 1 for label in diagnostic.labels)
        assert diagnostic.message in render(diagnostic, error.sources)


@given(st.text())
def test_any_text(text: str) -> None:
    survives(text)


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    survives(data.decode("utf-8", errors="replace"))


@given(st.lists(st.sampled_from(TOKENS), max_size=40))
def test_any_tokens_as_a_file(tokens: list[str]) -> None:
    survives(" ".join(tokens))


@given(st.lists(st.sampled_from(TOKENS), max_size=25))
def test_any_tokens_as_a_body(tokens: list[str]) -> None:
    body = " ".join(tokens)
    survives(f"dim N = 2\nprogram p(x: input f32[N, 3], y: input i32[3]) -> f32[N, 3] {{\n{body}\nreturn x\n}}\n")


@given(st.sampled_from(SEEDS), st.data())
def test_any_damage_to_a_good_program(text: str, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 12)))
        text = text[:start] + data.draw(st.sampled_from(["", *TOKENS])) + text[end:]
    survives(text)


@given(
    st.lists(
        st.sampled_from(["(", "-", "not ", "f(", "x[", "sum(i) ", "x + (", "[", "{", "x, ("]), min_size=1, max_size=3
    ),
    st.integers(1, 3000),
    st.booleans(),
)
def test_any_nesting(pieces: list[str], depth: int, closed: bool) -> None:
    nest = "".join(pieces)
    closing = "".join({"(": ")", "[": "]", "{": "}"}.get(piece.strip()[-1], "") for piece in reversed(pieces))
    tail = closing * depth if closed else ""
    survives(
        f"fn f(x: f32) -> f32 {{\n return {nest * depth}x{tail}\n}}\nprogram p(x: input f32) -> f32 {{ return f(x) }}"
    )


@given(st.integers(1, 30), st.integers(1, 60))
def test_calls_inside_each_other(functions: int, depth: int) -> None:
    """A chain of functions, each nested to some depth: either it is written out or refused, in bounded stack."""
    chain = [f"fn g{n}(x: f32) -> f32 {{ return {'(1 - ' * depth}g{n + 1}(x){')' * depth} }}" for n in range(functions)]
    last = f"fn g{functions}(x: f32) -> f32 {{ return x }}"
    survives("\n".join([*chain, last, "program p(x: input f32) -> f32 { return g0(x) }"]))
