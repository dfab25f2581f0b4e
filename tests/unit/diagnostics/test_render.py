"""What a diagnostic looks like."""

from compiler.diagnostics import Diagnostic, Label, Severity, Source, Span
from compiler.diagnostics.render import MAX_LINE, render


def shown(text: str, *labels: Label, notes: tuple[str, ...] = (), helps: tuple[str, ...] = ()) -> str:
    diagnostic = Diagnostic("E0301", "this is wrong", labels, notes, helps)
    return render(diagnostic, {"a.mesh": Source("a.mesh", text)})


def at(line: int, column: int, end: int, text: str = "", source: str = "a.mesh") -> Label:
    return Label(Span(source, line, column, line, end), text)


def test_header_place_carets_note_and_help() -> None:
    assert shown("let x\nreturn a + b\n", at(2, 8, 13, "here"), notes=("because",), helps=("do that",)) == (
        "error[E0301]: this is wrong\n"
        " --> a.mesh:2:8\n"
        "2 | return a + b\n"
        "  |        ^^^^^ here\n"
        "  = note: because\n"
        "  = help: do that"
    )


def test_labels_of_several_lines_come_in_the_order_of_the_text() -> None:
    text = "\n".join(f"line {number}" for number in range(1, 13))
    assert shown(text, at(11, 1, 5, "second"), at(2, 6, 7, "first"), at(12, 1, 2, "third")) == (
        "error[E0301]: this is wrong\n"
        "  --> a.mesh:11:1\n"
        " 2 | line 2\n"
        "   |      - first\n"
        "...\n"
        "11 | line 11\n"
        "   | ^^^^ second\n"
        "12 | line 12\n"
        "   | - third"
    )


def test_another_file_is_introduced() -> None:
    diagnostic = Diagnostic("E0301", "this is wrong", (at(1, 1, 2), at(1, 3, 4, "there", "b.mesh")))
    sources = {"a.mesh": Source("a.mesh", "x"), "b.mesh": Source("b.mesh", "a b")}
    assert render(diagnostic, sources).split("\n")[-3:] == ["::: b.mesh:1:3".rjust(15), "1 | a b", "  |   - there"]


def test_tabs_wide_and_combining_characters_keep_the_carets_in_place() -> None:
    lines = shown("\tx = 漢e\u0301y", at(1, 9, 10)).split("\n")
    assert lines[2] == "1 |     x = 漢e\u0301y"
    assert lines[3] == "  | " + " " * (4 + 4 + 2 + 1) + "^"


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert "\x1b" not in shown("a\x1b[31mb\x07", at(1, 1, 2))


def test_a_long_line_is_cut_around_the_place() -> None:
    lines = shown("a" * 1000 + "b" + "a" * 1000, at(1, 1001, 1002, "here")).split("\n")
    assert len(lines[2]) < MAX_LINE + 20
    assert lines[2][lines[3].index("^")] == "b"


def test_a_span_over_several_lines_is_marked_to_the_end_of_the_first() -> None:
    label = Label(Span("a.mesh", 1, 3, 2, 4))
    assert shown("a bcd\nefg", label).split("\n")[3] == "  |   ^^^"


def test_a_place_without_source_or_beyond_its_end_is_named_only() -> None:
    assert shown("x", at(9, 1, 2)).split("\n")[1:] == [" --> a.mesh:9:1"]
    assert shown("x", at(1, 1, 2, source="gone.mesh")).split("\n")[1:] == [" --> gone.mesh:1:1"]


def test_without_labels_only_the_message() -> None:
    assert shown("x", helps=("do that",)) == "error[E0301]: this is wrong\n  = help: do that"


def test_color_adds_escapes_and_nothing_else() -> None:
    diagnostic = Diagnostic("E0301", "wrong", (at(1, 1, 2, "here"),), ("n",), ("h",), Severity.WARNING)
    sources = {"a.mesh": Source("a.mesh", "x")}
    colored = render(diagnostic, sources, color=True)
    for escape in ("\x1b[0m", "\x1b[1m", "\x1b[1;34m", "\x1b[1;33m"):
        assert escape in colored
        colored = colored.replace(escape, "")
    assert colored == render(diagnostic, sources)
