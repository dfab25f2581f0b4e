"""How fast programs are read: a long text, several lengths of it, and the start of `meshc check`.

Bounds that this is held to: 5,000 lines parsed and checked in 1.5 s, in linear time; `meshc check` of a file of 50
lines, start-up included, in 0.25 s. Times are the best of `--repeat` runs on an otherwise idle machine.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from compiler.frontend import Module, load, lower
from compiler.frontend.format import format_text
from compiler.frontend.library import library
from compiler.frontend.lint import lint
from runtime.cli.terminal import Table, Terminal

LENGTHS = (1250, 2500, 5000)
ROUNDS = 40
HEAD = """\
dim B = 32, H = 32

fn block(x: f32[M, K], w: f32[K, K]) -> f32[M, K] {
    y = relu(x @ w)
    return y + x
}
"""
ROUND = """\
    h[i, j] = sum(k) x[i, k] * w[k, j] + b[j]  # index notation
    y{n} = maximum(h * 0.5, 0.0) + b
    z = softmax(y{n}, axis=-1) - mean(x, axis=1, keepdims=true)
    x = block(z, w) * 1.5 + y{n}[0:B, ...]
"""


@dataclass(frozen=True, slots=True)
class Row:
    """Seconds per step; `check` is names and arguments, `lint` warnings about names, `lower` the graph."""

    lines: int
    load: float
    lint: float
    format: float
    lower: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    library()  # read once per process
    rows = [measured(lines, arguments.repeat) for lines in LENGTHS]
    start = start_up(arguments.repeat)
    terminal = Terminal.detect("auto", json=arguments.json)
    cells = tuple((str(row.lines), *(f"{value:.2f}" for value in list(asdict(row).values())[1:])) for row in rows)
    columns = ("lines", "parse and check", "lint", "format", "lower")
    terminal.table(Table("Front end, seconds", columns, cells, numeric=(0, 1, 2, 3, 4)))
    terminal.text(f"\n`meshc check` of 50 lines, start-up included: {start:.2f} s")
    if arguments.json:
        print(json.dumps({"rows": [asdict(row) for row in rows], "check_seconds": start}, indent=2))


def text_of(lines: int) -> str:
    """A program text of about `lines` lines."""
    parts = [HEAD]
    count = HEAD.count("\n")
    while count < lines:
        rounds = min(ROUNDS, max(1, (lines - count) // 4))
        body = "".join(ROUND.format(n=n) for n in range(rounds))
        name = f"p{len(parts)}"
        parts.append(
            f"program {name}(x: input f32[B, H], w: weight f32[H, H], b: weight f32[H]) -> f32[B, H] {{\n{body}"
            "    return x\n}\n"
        )
        count += 3 + 4 * rounds
    return "".join(parts)


def measured(lines: int, repeat: int) -> Row:
    text = text_of(lines)
    module = load(text, "bench.mesh")
    return Row(
        text.count("\n"),
        best(lambda: load(text, "bench.mesh"), repeat),
        best(lambda: lint(module), repeat),
        format=best(lambda: format_text(module.source), repeat),
        lower=best(lambda: lower_all(module), repeat),
    )


def lower_all(module: Module) -> None:
    for program in module.programs:
        lower(module, program.name.text, {})


def start_up(repeat: int) -> float:
    """Seconds of a whole process."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "bench.mesh")
        path.write_text(text_of(50))
        command = [sys.executable, "-m", "runtime.cli", "check", str(path)]
        return best(lambda: subprocess.run(command, check=True, capture_output=True), repeat)


def best(work: Callable[[], object], repeat: int) -> float:
    times = []
    for _ in range(repeat):
        start = perf_counter()
        work()
        times.append(perf_counter() - start)
    return min(times)


if __name__ == "__main__":
    main()
