"""Clauses after a statement become hints of the graph, and their words stay free elsewhere."""

import pytest

from compiler.diagnostics import DiagnosticError, Span
from compiler.frontend import load, lower
from compiler.ir import Contract
from compiler.ir.hints import Hint, Loading, print_hint

HEAD = "dim R = 2\nprogram p(x: input f32[64, 64], on: input f32[64, 64]) -> f32[64, 64] {\n"


def _hints(*lines: str) -> tuple[Hint, ...]:
    text = HEAD + "".join(f"    {line}\n" for line in lines) + "}\n"
    return lower(load(text, "h.mesh"), None, {}).hints


def test_every_clause() -> None:
    (hint,) = _hints("return x @ on prefer on cores(R, 2 * R) at core(1, 0) epoch(0) buffers(3) resident")
    span = Span("h.mesh", 3, 5, 3, 87)
    assert hint == Hint(span, (2, 4), (1, 0), epoch=0, buffers=3, loading=Loading.RESIDENT, soft=True)
    assert print_hint(hint) == "prefer on cores(2, 4) at core(1, 0) epoch(0) buffers(3) resident"


def test_every_statement_may_have_one() -> None:
    hints = _hints("a = exp(x) epoch(0)", "b[i, j] = sum(k) a[i, k] * on[k, j] stream", "return b epoch(1)")
    assert [(hint.span.line, print_hint(hint)) for hint in hints] == [(3, "epoch(0)"), (4, "stream"), (5, "epoch(1)")]


def test_a_hint_covers_what_a_library_function_does() -> None:
    text = HEAD + "    y = softmax(x) on cores(1, 1)\n    return y + 1.0\n}\n"
    graph = lower(load(text, "h.mesh"), None, {})
    (hint,) = graph.hints
    covered = [hint.covers(op.span) for op in graph.ops]
    assert sum(covered) >= 4
    assert not covered[-1]


def test_a_loop_gives_each_hint_once() -> None:
    assert len(_hints("a = x", "for i in 0:3 {", "    a = a @ on epoch(0)", "}", "return a")) == 1


def test_a_fidelity_is_that_of_the_products_of_its_statement() -> None:
    text = (
        "fn f(x: bf16[M, M]) -> bf16[M, M] { return x @ x }\n"
        "program p(x: input bf16[64, 64]) -> bf16[64, 64] {\n"
        "    a = x @ f(x) fidelity(lofi) accumulate(f32)\n"
        "    b[i, j] = sum(k) a[i, k] * x[k, j] fidelity(hifi3) epoch(0)\n"
        "    return b @ x\n"
        "}\n"
    )
    graph = lower(load(text, "h.mesh"), None, {})
    products = [op.kind.fidelity.value for op in graph.ops if isinstance(op.kind, Contract)]
    assert products == ["lofi", "lofi", "hifi3", "hifi4"]
    assert [print_hint(hint) for hint in graph.hints] == ["epoch(0)"]


@pytest.mark.parametrize(
    "word", ["on", "at", "core", "cores", "epoch", "buffers", "resident", "stream", "prefer", "fidelity"]
)
def test_the_words_are_names_elsewhere(word: str) -> None:
    assert _hints(f"{word} = x", f"{word} = {word} + {word} * on", f"return {word} @ {word}") == ()
    assert _hints(f"{word} = x", f"y[i, j] = sum(k) {word}[i, k] * x[k, j]", "return y") == ()


@pytest.mark.parametrize(
    ("clauses", "code"),
    [
        ("on cores(0, 4)", "E0312"),
        ("on cores(1.5, 4)", "E0312"),
        ("at core(0 - 1, 4)", "E0312"),
        ("buffers(x)", "E0312"),
        ("epoch(S)", "E0201"),
        ("epoch(0) epoch(1)", "E0209"),
        ("resident stream", "E0209"),
        ("fidelity(hifi2)", "E0209"),
        ("fidelity(hifi5)", "E0209"),
        ("accumulate(bf16)", "E0209"),
        ("fidelity()", "E0102"),
        ("on cores(4)", "E0102"),
        ("prefer", "E0102"),
    ],
)
def test_wrong_clauses_are_reported(clauses: str, code: str) -> None:
    with pytest.raises(DiagnosticError) as caught:
        _hints(f"return x @ on {clauses}")
    assert {diagnostic.code for diagnostic in caught.value.diagnostics} == {code}
