"""Measure the compiler, what it makes, and the emulator; `make bench` runs this.

Per program: time to compile, emulated cycles, the lower bound on them and the ratio, utilization of the compute units,
wall time of the emulation, events per second, and the rate of tile arithmetic. Prints a table, or with `--json` (or to
the file that `--output` names) one JSON document. Times are the best of `--repeat` runs on an otherwise idle machine.
"""

import argparse
import json
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter

from compiler.frontend import load, lower
from compiler.ir import Contract, TensorGraph
from compiler.pipeline import Compiled, CompileOptions, compile_graph
from compiler.target import Machine
from compiler.target.load import load_machine
from runtime.cli.terminal import Table, Terminal, number
from runtime.feed import random_array
from runtime.report import RunReport, report
from runtime.session import Session

EXAMPLES = Path(__file__).parents[1] / "examples"
MACHINE = "wormhole_n150"


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    file: str
    sizes: dict[str, int]


CASES = (
    *(Case(name, f"{name}.mesh", {}) for name in ("layernorm", "mlp", "attention", "digits")),
    *(Case(f"matmul {n}", "matmul.mesh", {"M": n, "N": n, "K": n}) for n in (256, 512, 1024)),
)


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured of one case. `multiply_adds` counts those that the program asks for, without padding."""

    name: str
    compile_seconds: float
    cycles: int
    bound: int
    ratio: float
    bottleneck: str
    utilization: float
    emulate_seconds: float
    events: int
    events_per_second: float
    multiply_adds: int
    gflop_per_second: float


def main() -> None:
    options = _options()
    machine = load_machine(MACHINE)
    rows = [measure(case, machine, options.repeat) for case in CASES if options.only in case.name]
    document = {"machine": MACHINE, "python": platform.python_version(), "rows": [asdict(row) for row in rows]}
    terminal = Terminal.detect("auto", json=options.json)
    terminal.table(table(rows))
    terminal.document(document)
    if options.output is not None:
        options.output.write_text(json.dumps(document, indent=2) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the JSON document to a file too")
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose name contains this")
    parser.add_argument("--repeat", type=int, default=2, metavar="N", help="runs per case (default: 2)")
    return parser.parse_args()


def measure(case: Case, machine: Machine, repeat: int) -> Row:
    """Compile and run a case `repeat` times on random data; cycles are the same each time, times are the best."""
    path = EXAMPLES / case.file
    compile_seconds, emulate_seconds = [], []
    for _ in range(repeat):
        start = perf_counter()
        graph = lower(load(path.read_text(), path.name), None, case.sizes)
        compiled = compile_graph(graph, machine, CompileOptions())
        compile_seconds.append(perf_counter() - start)
        seconds, result = _emulate(compiled)
        emulate_seconds.append(seconds)
    return _row(case, graph, result, min(compile_seconds), min(emulate_seconds))


def _emulate(compiled: Compiled) -> tuple[float, RunReport]:
    session = Session.from_image(compiled.image)
    for tensor in session.missing:
        session.feed(tensor.name, random_array(tensor, 0))
    start = perf_counter()
    result = session.run()
    return perf_counter() - start, report(compiled.image, result.profile)


def _row(case: Case, graph: TensorGraph, result: RunReport, compile_seconds: float, emulate_seconds: float) -> Row:
    work = multiply_adds(graph)
    return Row(
        name=case.name,
        compile_seconds=compile_seconds,
        cycles=result.makespan,
        bound=result.bound,
        ratio=result.ratio,
        bottleneck=result.bottleneck,
        utilization=result.utilization,
        emulate_seconds=emulate_seconds,
        events=result.events,
        events_per_second=result.events / emulate_seconds,
        multiply_adds=work,
        gflop_per_second=2 * work / emulate_seconds / 1e9,
    )


def multiply_adds(graph: TensorGraph) -> int:
    """Return the products that the contractions of a graph sum up."""
    return sum(_products(graph, op.kind, op.inputs) for op in graph.ops if isinstance(op.kind, Contract))


def _products(graph: TensorGraph, kind: Contract, inputs: tuple[int, ...]) -> int:
    extents: dict[str, int] = {}
    for letters, value in zip((kind.a, kind.b), inputs, strict=False):
        extents |= dict(zip(letters, graph.ops[value].type.shape, strict=True))
    total = 1
    for extent in extents.values():
        total *= extent
    return total


def table(rows: list[Row]) -> Table:
    columns = (
        "program",
        "compile s",
        "cycles",
        "bound",
        "ratio",
        "bottleneck",
        "compute",
        "emulate s",
        "M events/s",
        "GFLOP/s",
    )
    cells = tuple(
        (
            row.name,
            f"{row.compile_seconds:.2f}",
            number(row.cycles),
            number(row.bound),
            f"{row.ratio:.2f}",
            row.bottleneck,
            f"{row.utilization:.0%}",
            f"{row.emulate_seconds:.2f}",
            f"{row.events_per_second / 1e6:.2f}",
            f"{row.gflop_per_second:.1f}",
        )
        for row in rows
    )
    return Table(f"Measured on {MACHINE}", columns, cells, numeric=(1, 2, 3, 4, 6, 7, 8, 9))


if __name__ == "__main__":
    main()
