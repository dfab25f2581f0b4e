"""The syntax tree: precedence, line breaks, places, and how long and deep a text may be."""

import pytest

from compiler.diagnostics import DiagnosticError, Source, Span
from compiler.frontend import ast
from compiler.frontend.parse import MAX_NESTING, parse
from compiler.frontend.recovery import terminals
from compiler.frontend.tokens import DISPLAY, expected


def module(text: str) -> ast.Module:
    return parse(Source("t.mesh", text))


def expression(text: str) -> ast.Expression:
    (statement,) = module(f"fn f(x: f32) -> f32 {{\nreturn {text}\n}}").functions[0].body
    assert isinstance(statement, ast.Return)
    return statement.values[0]


def shape(node: ast.Item) -> str:
    """The tree with all its parentheses."""
    match node:
        case ast.Name(text):
            return text
        case ast.Literal(value):
            return str(value)
        case ast.Unary(op, operand):
            return f"({op.value} {shape(operand)})"
        case ast.Binary(op, left, right):
            return f"({shape(left)} {op.value} {shape(right)})"
        case ast.Call(function, arguments, keywords):
            parts = [shape(a) for a in arguments] + [f"{k.name.text}={shape(k.value)}" for k in keywords]
            return f"{function.text}({', '.join(parts)})"
        case ast.Subscript(base, items):
            return f"{shape(base)}[{', '.join(map(shape, items))}]"
        case ast.Attribute(base, name):
            return f"{shape(base)}.{name.text}"
        case ast.Reduction(kind, indices, body):
            return f"<{kind.text} {' '.join(i.text for i in indices)}: {shape(body)}>"
        case ast.Tuple(items):
            return f"({', '.join(map(shape, items))})"
        case ast.SliceItem(start, stop, step):
            return ":".join("" if part is None else shape(part) for part in (start, stop, step))
        case ast.Rest():
            return "..."


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a + b * c - d", "((a + (b * c)) - d)"),
        ("a / b * c @ d % e", "((((a / b) * c) @ d) % e)"),
        ("-a * -b", "((- a) * (- b))"),
        ("- -a - -1", "((- (- a)) - -1)"),
        ("a < b and not c == d or e", "(((a < b) and (not (c == d))) or e)"),
        ("not not a", "(not (not a))"),
        ("(a + b) * c", "((a + b) * c)"),
        ("x[0, :, 1:, :2, ::3, 1:2:3, ...]", "x[0, ::, 1::, :2:, ::3, 1:2:3, ...]"),
        ("x.T[0].T", "x.T[0].T"),
        ("f(x, axis=(0, 1), keep=true)", "f(x, axis=(0, 1), keep=True)"),
        ("f()", "f()"),
        ("sum(k) a[k] * b[k] + c", "(<sum k: (a[k] * b[k])> + c)"),
        ("sum(k) (a + b) * c", "<sum k: ((a + b) * c)>"),
        ("c + 2 * sum(k, l) a / b * c", "(c + (2 * <sum k l: ((a / b) * c)>))"),
        ("-sum(k) a * -b", "(- <sum k: (a * (- b))>)"),
        ("sum(i) max(j) a * b", "<sum i: <max j: (a * b)>>"),
        ("sum(i) a * max(j) b * c", "<sum i: (a * <max j: (b * c)>)>"),
        ("sum(x) - y", "(sum(x) - y)"),
        ("sum(k) a < b", "(<sum k: a> < b)"),
        ("1.5e-3 + .5 + 1e3 + 2.", "(((0.0015 + 0.5) + 1000.0) + 2.0)"),
        ("input + weight + dimension", "((input + weight) + dimension)"),
    ],
)
def test_precedence(text: str, tree: str) -> None:
    assert shape(expression(text)) == tree


@pytest.mark.parametrize(
    "body",
    [
        "h = x + y\nreturn h",
        "\n\n  h = x  # note\n    + y   # more\n\n# alone\nreturn h\n\n",
        "h = x +\n\n y\nreturn h",
        "h = (x\n+\ny)\nreturn h",
        "h =\nx + y\r\nreturn\th\r\n",
    ],
)
def test_line_breaks_end_statements_where_they_should(body: str) -> None:
    first, last = module(f"fn f(x: f32) -> f32 {{{body}}}").functions[0].body
    assert isinstance(first, ast.Assign)
    assert isinstance(last, ast.Return)
    assert shape(first.value) == "(x + y)"


def test_a_header_may_be_broken_anywhere_between_its_parts() -> None:
    text = "program p(\n  x: input f32[4],\n  y: weight f32\n  ,\n)\n  -> f32[4]\n{\n  return x\n}"
    program = module(text).programs[0]
    assert [p.mode for p in program.parameters] == [ast.Mode.INPUT, ast.Mode.WEIGHT]


def test_input_and_weight_are_words_only_before_a_type() -> None:
    program = module("program p(input: input f32, weight: weight f32) -> f32 {\nreturn input * weight\n}").programs[0]
    assert [p.name.text for p in program.parameters] == ["input", "weight"]


def test_spans_cover_the_text_of_a_node() -> None:
    node = expression("(a + b) * relu(c)[0]")
    assert isinstance(node, ast.Binary)
    assert node.span == Span("t.mesh", 2, 8, 2, 28)
    assert node.left.span == Span("t.mesh", 2, 9, 2, 14)
    assert node.right.span == Span("t.mesh", 2, 18, 2, 28)
    chain = expression("a + (b * c) + d")
    assert isinstance(chain, ast.Binary)
    assert chain.left.span == Span("t.mesh", 2, 8, 2, 19)


def test_chains_have_no_limit() -> None:
    node = expression(" + ".join(["x"] * 5000))
    for _ in range(4999):
        assert isinstance(node, ast.Binary)
        node = node.left
    assert isinstance(node, ast.Name)


@pytest.mark.parametrize("depth", [MAX_NESTING + 1, 3000])
@pytest.mark.parametrize(
    ("opening", "closing"), [("-", ""), ("f(", ")"), ("(1 - ", ")"), ("x[", "]"), ("not ", ""), ("sum(i) ", "")]
)
def test_deep_nesting_is_a_diagnostic(opening: str, closing: str, depth: int) -> None:
    with pytest.raises(DiagnosticError) as error:
        expression(opening * depth + "x" + closing * depth)
    assert {diagnostic.code for diagnostic in error.value.diagnostics} == {"E0106"}


def test_plain_parentheses_may_nest_to_any_depth() -> None:
    assert shape(expression("(" * 3000 + "x" + ")" * 3000)) == "x"


def test_every_terminal_has_a_text_for_messages() -> None:
    assert terminals() - {"BLANK", "COMMENT"} == set(DISPLAY) - {"$END"}


def test_expectations_are_summarized() -> None:
    assert expected({"COMMA", "RPAREN"}) == "`,` or `)`"
    assert expected({"NAME", "INTEGER", "DECIMAL", "TRUE", "FALSE", "LPAREN", "MINUS"}) == "an expression"
    assert expected(set()) == "nothing more"


def test_each_definition_is_judged_by_itself() -> None:
    text = (
        "dim A = = 3\nfn f(x: f32) -> f32 {\nreturn x +\n}\nprogram p(x: input f32) -> f32 {\na = x x\nb = x ) x\n}\n"
    )
    with pytest.raises(DiagnosticError) as error:
        module(text)
    places = [(d.code, d.labels[0].span.line) for d in error.value.diagnostics]
    assert places == [("E0102", 1), ("E0108", 3), ("E0102", 6), ("E0104", 7)]
