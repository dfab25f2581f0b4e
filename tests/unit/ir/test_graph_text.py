"""The printed form of graphs, and texts that are none."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.diagnostics import DiagnosticError
from compiler.ir import TensorGraph, parse_graph, print_graph
from runtime.testing.strategies import graphs

EXAMPLE = """graph "two words"
%0: f32[4, 8] = input x @mlp.mesh:1:2-3:4
%1: i32[1, 1] = weight "\\u00e9"
%2: f32[4, 1] = reduce max [1] { t0 = abs(arg0); mul(t0, t0) } %0 then add(arg0, cast(f32, arg1)) %1 @"b c":1:1-1:2
%3: bool[4, 1] = map and(lt(arg0, f32:0.5), ne(arg0, f32:-inf)) %2
%4: i32[3] = constant [1, -2, 3]
%5: bf16[8, 2] = weight w finite
%6: bf16[4, 8] = state finite finite
%7: bf16[4, 2] = input z
%8: bf16[4, 2] = contract hifi2 annihilates mk,kn->mn %6, %5 then mulz(cast(bf16, arg0), arg1) %7
return y = %3, "other name" = %4
"""


def test_the_printed_form_is_stable() -> None:
    assert print_graph(parse_graph(EXAMPLE)) == EXAMPLE


def test_nan_and_negative_zero_survive() -> None:
    text = "graph g\n%0: f32[1] = input x\n%1: f32[1] = map add(add(arg0, f32:nan), f32:-0.0) %0\nreturn y = %1\n"
    assert print_graph(parse_graph(text)) == text


def test_a_deep_expression_is_printed_in_steps_and_read_back() -> None:
    text = "arg0"
    for _ in range(90):
        text = f"add({text}, f32:1.0)"
    graph = parse_graph(f"graph g %0: f32[1] = input x %1: f32[1] = map {text} %0 return y = %1")
    assert parse_graph(print_graph(graph)) == graph


HOSTILE = {
    "nothing": ("", "expected `graph`"),
    "character": ("graph g\n$", "unexpected character"),
    "no return": ("graph g\n%0: f32[1] = input x\n", "expected an operation such as"),
    "number": ("graph g\n%1: f32[1] = input x\nreturn y = %1", "expected %0, found %1"),
    "type": ("graph g\n%0: f64[1] = input x\nreturn y = %0", "`f64` is not one of"),
    "operation": ("graph g\n%0: f32[1] = inputs x\nreturn y = %0", "`inputs` is not an operation"),
    "extent": ("graph g\n%0: f32[-1] = input x\nreturn y = %0", "is not positive"),
    "huge": (f"graph g\n%0: f32[{'9' * 5000}] = input x\nreturn y = %0", "integer of at most 18 digits|expected"),
    "forward": ("graph g\n%0: f32[1] = reshape %0\nreturn y = %0", "not an earlier operation"),
    "dtype of unknown": ("graph g\n%0: f32[1] = map neg(arg0) %7\nreturn y = %0", "%7 is not an earlier"),
    "function": ("graph g\n%0: f32[1] = input x\n%1: f32[1] = map f(arg0) %0\nreturn y = %1", "not a scalar operation"),
    "operand": ("graph g\n%0: f32[1] = input x\n%1: f32[1] = map arg1 %0\nreturn y = %1", "neither an operand"),
    "arguments": ("graph g\n%0: f32[1] = input x\n%1: f32[1] = map add(arg0) %0\nreturn y = %1", "takes 2 arguments"),
    "nesting": ("graph g\n%0: f32[1] = map " + "neg(" * 5000, "nested too deeply"),
    "base64": ('graph g\n%0: f32[1] = constant base64 4 "%%"\nreturn y = %0', "not base64"),
    "length": ('graph g\n%0: f32[1] = constant base64 5 "AAAAAA=="\nreturn y = %0', "expected 5 bytes, found 4"),
    "inexact": ("graph g\n%0: bf16[1] = constant [0.1]\nreturn y = %0", "not exactly representable"),
    "string": ('graph "\\x"\n%0: f32[1] = input x\nreturn y = %0', "string is not well-formed"),
    "output": ("graph g\n%0: f32[1] = input x\nreturn y = %3", "does not exist"),
    "rest": ("graph g\n%0: f32[1] = input x\nreturn y = %0 more", "expected the end"),
    "rule": ("graph g\n%0: f32[2] = input x\n%1: f32[3] = reshape %0\nreturn y = %1", "differ in size"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_text_that_is_no_graph_is_one_diagnostic(case: str) -> None:
    text, words = HOSTILE[case]
    with pytest.raises(DiagnosticError, match=words) as caught:
        parse_graph(text, "f.graph")
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.code, diagnostic.labels[0].span.source) == ("E0490", "f.graph")


def test_the_place_is_that_of_the_token() -> None:
    with pytest.raises(DiagnosticError) as caught:
        parse_graph("graph g\n%0: f32[1] = inputs x\n")
    span = caught.value.diagnostics[0].labels[0].span
    assert (span.line, span.column, span.end_column) == (2, 14, 20)


@given(graph=graphs(max_steps=5), data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_mutilated_text_is_a_graph_or_a_diagnostic(graph: TensorGraph, data: st.DataObject) -> None:
    text = print_graph(graph)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 6)))
    piece = data.draw(st.sampled_from(["", "%", "0", "-1", "arg1", "(", "]", '"', "\n", "nan", "1e9", "@a:1:1-1:1"]))
    try:
        found = parse_graph(text[:start] + piece + text[end:])
    except DiagnosticError:
        return
    assert print_graph(parse_graph(print_graph(found))) == print_graph(found)
