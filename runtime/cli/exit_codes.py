"""What the exit code of `meshc` says."""

from enum import IntEnum


class ExitCode(IntEnum):
    OK = 0
    CHECK_FAILED = 1
    """`run --check`: an output is further from the reference than the derived bound; `fmt --check`: a file is not
    laid out."""
    BAD_INPUT = 2
    """A program, file, array, name or option was refused; nothing was written."""
    MACHINE_FAULT = 3
    """The emulated machine stopped."""
    INTERNAL_ERROR = 70
    """A bug of ours."""
    INTERRUPTED = 130


EPILOG = """\
exit codes:
  0   done
  1   run --check: an output differs from the reference by more than its bound; fmt --check: a file would change
  2   bad input: a program, file, array, name or option was refused
  3   the emulated machine stopped (deadlock, access out of range, ...)
  70  internal error: a bug of meshc
"""
