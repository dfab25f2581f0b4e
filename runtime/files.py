"""Read and write files so that a failure is one sentence and leaves nothing half-written."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from compiler.diagnostics import DiagnosticError, Source
from runtime.errors import bad_input


def read_bytes(path: Path) -> bytes:
    """Return the contents of a file; raises E0529 when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise bad_input("E0529", f"cannot read `{path}`: {error.strerror or error}", helps=_near(path)) from error


def read_source(path: Path) -> Source:
    """Return a text file under the name that the user gave it; raises E0529 when it is not UTF-8 text."""
    try:
        return Source(str(path), read_bytes(path).decode())
    except UnicodeDecodeError as error:
        raise bad_input("E0529", f"`{path}` is not UTF-8 text (byte {error.start})") from error


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path` that takes its place when the block ends, and vanishes when it raises.

    Raises E0530 when the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        file = temporary.open("wb")
    except OSError as error:
        raise _cannot_write(path, error) from error
    try:
        with file:
            yield file
        temporary.replace(path)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def _cannot_write(path: Path, error: OSError) -> DiagnosticError:
    return bad_input("E0530", f"cannot write `{path}`: {error.strerror or error}")


def _near(path: Path) -> list[str]:
    """Suggest a file of a similar name in the same folder."""
    from difflib import get_close_matches

    try:
        names = sorted(entry.name for entry in path.parent.iterdir())
    except OSError:
        return []
    return [f"did you mean `{path.with_name(name)}`?" for name in get_close_matches(path.name, names, n=1)]
