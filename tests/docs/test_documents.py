"""Every block of code in the documents does what the document says.

The blocks of a document run in order, in one folder that holds a copy of `examples/`:

- a `mesh` block begins with a comment such as `# double.mesh`, is saved under that name, and compiles; a `mesh wrong`
  block is refused;
- a `console` block holds commands after `$ ` and their output. `...` stands for any text, lines included; figures are
  examples: any number may stand for another, and blanks do not count. Commands are `meshc` commands, or `cat FILE`;
- a `python` block is executed.
"""

import re
import shlex
import shutil
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest

from runtime.cli import main

ROOT = Path(__file__).parents[2]
DOCUMENTS = ["README.md", "docs/tutorial.md", "docs/view.md", "docs/pruning.md"]
BLOCK = re.compile(r"^```(mesh|mesh wrong|console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"-?\d+(?: \d{3})*(?:\.\d+)?(?:e[+-]?\d+)?")
COMMENT_NAME = re.compile(r"# ([\w-]+\.mesh)")


@dataclass(frozen=True, slots=True)
class Block:
    kind: str
    text: str
    line: int


def blocks_of(document: str) -> Iterator[Block]:
    text = (ROOT / document).read_text()
    for match in BLOCK.finditer(text):
        yield Block(match[1], match[2], text.count("\n", 0, match.start()) + 1)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_document(document: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    found = list(blocks_of(document))
    assert found
    for block in found:
        _RUNNERS[block.kind](block, document)


def _run_mesh(block: Block, document: str) -> None:
    name = COMMENT_NAME.match(block.text)
    assert name, f"{document}:{block.line}: a program begins with a comment that names its file"
    Path(name[1]).write_text(block.text)
    code, output = meshc(f"meshc compile {name[1]} --emit graph")
    assert code == (0 if block.kind == "mesh" else 2), f"{document}:{block.line}: {output}"


def _run_console(block: Block, document: str) -> None:
    for session in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, expected = session.partition("\n")
        _, output = meshc(command)
        assert matches(expected, output), f"{document}:{block.line}: `{command}` printed\n{output}"


def _run_python(block: Block, document: str) -> None:
    exec(compile(block.text, f"{document}:{block.line}", "exec"), {})


_RUNNERS = {"mesh": _run_mesh, "mesh wrong": _run_mesh, "console": _run_console, "python": _run_python}


def meshc(command: str) -> tuple[int, str]:
    """Return the exit code and what was printed: results, or what standard error says when there are none."""
    words = shlex.split(command)
    if words[0] == "cat":
        return 0, Path(words[1]).read_text()
    assert words[0] == "meshc", f"only meshc commands can be checked: {command}"
    out, error = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(error):
        code = main(words[1:])
    return code, out.getvalue() if code < 2 else error.getvalue()


def matches(expected: str, output: str) -> bool:
    parts = [re.escape(plain(part)) for part in expected.split("...")]
    return re.fullmatch(r"\s*.*?\s*".join(parts), plain(output), re.DOTALL) is not None


def plain(text: str) -> str:
    """Return the text with `#` for every number, one blank for several, and no empty lines."""
    lines = (re.sub(r"\s+", " ", NUMBER.sub("#", line)).strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line)


def test_a_wrong_output_does_not_match() -> None:
    assert matches("a ... c\n...\nz 12", "a b c\n1\n2\nz  1 234.5e-07\n")
    assert not matches("a ... c", "a b d")
    assert not matches("a", "a\nb")
