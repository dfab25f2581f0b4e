"""Progress on standard error, only once something has taken over a second."""

from threading import Event, Thread
from time import monotonic
from typing import TextIO

PATIENCE = 1.0
"""Seconds of silence."""
_ERASE = "\r\x1b[2K"


class Progress:
    """While entered, says which stage is running: on a terminal one line that counts seconds, elsewhere a line per
    stage that takes longer than `PATIENCE`."""

    def __init__(self, error: TextIO) -> None:
        self._error = error
        self._live = error.isatty()
        self._label = ""
        self._since = monotonic()
        self._said = ""
        self._done = Event()
        self._thread = Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Progress":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        if self._live and self._said:
            self._error.write(_ERASE)
            self._error.flush()

    def stage(self, label: str) -> None:
        """Begin what `label` names; what went before has ended."""
        self._label, self._since = label, monotonic()

    def _watch(self) -> None:
        while not self._done.wait(PATIENCE / 4):
            elapsed = monotonic() - self._since
            if elapsed >= PATIENCE:
                self._say(elapsed)

    def _say(self, elapsed: float) -> None:
        if self._live:
            self._error.write(f"{_ERASE}{self._label} ... {elapsed:.0f} s")
        elif self._label != self._said:
            self._error.write(f"{self._label} ...\n")
        self._said = self._label
        self._error.flush()
