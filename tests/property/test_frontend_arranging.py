"""Calls that arrange, and subscripts, with any arguments: a graph or a diagnostic, never a traceback."""

from hypothesis import event, given
from hypothesis import strategies as st

from compiler.diagnostics import DiagnosticError
from compiler.frontend import load, lower
from compiler.frontend.catalog import BUILTINS
from compiler.ir import verify
from compiler.passes import run_pipeline

VALUES = ("x", "y", "v", "n", "b", "x[0]", "y.T", "f32(n)", "1.5 * x", "n + 1", "iota(3)")
NUMBERS = (
    "0",
    "1",
    "2",
    "-1",
    "7",
    "1.5",
    "true",
    "inf",
    "n",
    "(0, 1)",
    "(1, 1)",
    "(-1, 0)",
    "(0, 1, 2)",
    "D",
    "D / 2",
)
CALLED = ("pad", "concat", "split", "take", "windows", "scan", "any", "argmax", "sum")
PLACES = (
    "i",
    "j",
    "k",
    "i + j",
    "2*i + 1",
    "3 - i",
    "i - j + k",
    "i * j",
    "v[i]",
    "v[i] + n",
    "n",
    "-1",
    "1:3",
    "i / 2",
)


@st.composite
def calls(draw: st.DrawFn) -> str:
    name = draw(st.sampled_from(CALLED))
    builtin = BUILTINS[name]
    count = draw(st.integers(builtin.minimum, min(builtin.maximum, 3)))
    arguments = [draw(st.sampled_from(VALUES + (NUMBERS if number else ()))) for number in range(count)]
    if name == "scan":
        arguments[0] = draw(st.sampled_from(("step", "lstm_cell", "relu")))
    for word in builtin.keywords:
        if draw(st.integers(0, 3)):
            choices = VALUES if name == "scan" else NUMBERS
            arguments.append(f"{word}={draw(st.sampled_from(choices))}")
    left = {"split": "a, c", "scan": "a, c"}.get(name, "a")
    return f"{left} = {name}({', '.join(arguments)})"


@st.composite
def definitions(draw: st.DrawFn) -> str:
    """A statement in index notation, over places whose indices it introduces."""
    left = draw(st.sampled_from(("i", "i, j", "j, i", "i, ...", "k, i")))
    fold = draw(st.sampled_from(("", "sum(j) ", "max(j, k) ", "argmin(k) ", "sum(k, l) ")))
    known = set(left) | set(fold.partition("(")[2])
    others = ("", " * y[i, j]", " * x[k, i]", " == i", " * s[j]", " + y[l, i]")

    def fitting(texts: tuple[str, ...]) -> list[str]:
        return [text for text in texts if not set("ijkl") & set(text) - known]

    places = draw(st.lists(st.sampled_from(fitting((*PLACES, "..."))), min_size=1, max_size=2))
    return f"a[{left}] = {fold}(x[{', '.join(places)}]{draw(st.sampled_from(fitting(others)))})"


@given(calls() | definitions())
def test_a_graph_or_a_diagnostic(line: str) -> None:
    text = f"""dim D = 4
fn step(x: f32[N], h: f32[N]) -> (f32[N], f32[N]) {{ return x + h, x }}
program p(x: input f32[D, 6], y: input f32[6, 5], v: input i32[D], n: input i32, b: input bool[D], s: state f32[6])
        -> f32 {{
    {line}
    return x[0, 0]
}}
"""
    try:
        graph = lower(load(text, "t.mesh"), None, {})
    except DiagnosticError as error:
        event(error.diagnostics[0].code)
        return
    event("a graph")
    verify(run_pipeline(graph, check=True))
