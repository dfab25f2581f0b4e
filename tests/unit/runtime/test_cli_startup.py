"""`meshc --help` stays fast by importing nothing that is slow to import."""

import subprocess
import sys

import pytest

SLOW = {"lark", "llvmlite", "ml_dtypes", "networkx", "numba", "numpy", "rich", "safetensors"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["compile", "--help"],
        ["run", "--help"],
        ["asm", "--help"],
        ["machines", "--help"],
        ["check", "--help"],
    ],
    ids=" ".join,
)
def test_help_and_version_import_nothing_slow(arguments: list[str]) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "runtime.cli", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    imported = {line.rsplit("|", 1)[-1].strip().partition(".")[0] for line in done.stderr.splitlines() if "|" in line}
    assert "argparse" in imported
    assert imported & SLOW == set()
    assert done.stdout.startswith(("usage: meshc", "meshc "))


def test_help_documents_every_exit_code() -> None:
    from runtime.cli.exit_codes import EPILOG, ExitCode

    for code in set(ExitCode) - {ExitCode.INTERRUPTED}:
        assert f"  {code.value} " in EPILOG
