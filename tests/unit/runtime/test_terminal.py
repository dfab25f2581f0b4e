"""Tables, colors and progress."""

import json
from io import StringIO
from threading import Event

import pytest

from runtime.cli import progress
from runtime.cli.progress import Progress
from runtime.cli.terminal import Table, Terminal, number
from runtime.units import amount

TABLE = Table("Things", ("name", "count"), (("a", "1"), ("long name", "12 345")), numeric=(1,))


class Screen(StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_table_is_plain_and_aligned_when_piped() -> None:
    out = StringIO()
    Terminal(json=False, out_color=False, error_color=False, out=out).table(TABLE)
    assert out.getvalue() == "\nThings\n  name        count\n  a               1\n  long name  12 345\n"


def test_a_table_is_colored_only_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    colored, plain = Screen(), Screen()
    Terminal(json=False, out_color=True, error_color=False, out=colored).table(TABLE)
    Terminal(json=False, out_color=False, error_color=False, out=plain).table(TABLE)
    assert "\x1b[" in colored.getvalue()
    assert "\x1b[3" not in plain.getvalue()
    assert "long name" in plain.getvalue()


def test_json_is_the_only_output_when_asked() -> None:
    out = StringIO()
    terminal = Terminal(json=True, out_color=False, error_color=False, out=out)
    terminal.table(TABLE)
    terminal.text("words")
    terminal.document({"count": 1})
    assert json.loads(out.getvalue()) == {"count": 1}


@pytest.mark.parametrize(("option", "variable", "colored"), [
    ("auto", "", True), ("auto", "1", False), ("always", "1", True), ("never", "", False)
])  # fmt: skip
def test_color_follows_the_option_then_no_color(
    option: str, variable: str, colored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", variable)
    monkeypatch.setattr("sys.stderr", Screen())
    assert Terminal.detect(option, json=False).error_color is colored


class Told(StringIO):
    """A stream that signals its first line."""

    def __init__(self) -> None:
        super().__init__()
        self.written = Event()

    def write(self, text: str) -> int:
        size = super().write(text)
        self.written.set()
        return size


def test_progress_speaks_once_per_slow_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 0.01)
    stream = Told()
    with Progress(stream) as shown:
        for name in ("one", "two"):
            shown.stage(name)
            assert stream.written.wait(10)
            stream.written.clear()
    assert stream.getvalue() == "one ...\ntwo ...\n"


def test_progress_is_silent_when_all_is_quick() -> None:
    stream = StringIO()
    with Progress(stream) as shown:
        shown.stage("one")
    assert stream.getvalue() == ""


def test_numbers_and_sizes_read_well() -> None:
    assert [number(n) for n in (0, 999, 1000, 1234567)] == ["0", "999", "1 000", "1 234 567"]
    assert [amount(n) for n in (0, 1023, 1024, 1.5 * 2**20, 2**31)] == [
        "0 B",
        "1023 B",
        "1.0 KiB",
        "1.5 MiB",
        "2.0 GiB",
    ]
