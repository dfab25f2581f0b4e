"""Read and write files so that a failure is one sentence and leaves nothing half-written."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from compiler.diagnostics import Source
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
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise _cannot_write(path, error) from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        Path(temporary).unlink(missing_ok=True)


def _cannot_write(path: Path, error: OSError) -> Exception:
    return bad_input("E0530", f"cannot write `{path}`: {error.strerror or error}")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _near(path: Path) -> list[str]:
    """Suggest a file of a similar name in the same folder."""
    from difflib import get_close_matches

    try:
        names = sorted(entry.name for entry in path.parent.iterdir())
    except OSError:
        return []
    return [f"did you mean `{path.with_name(name)}`?" for name in get_close_matches(path.name, names, n=1)]
