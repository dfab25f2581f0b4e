"""Measure pruning: cycles with and without it, against the ideal and the aim; and what the analysis takes.

    .venv/bin/python -m benchmarks.bench_pruning

Every work is compiled for `wormhole_n150` and run on the same data twice, unpruned and pruned; the outputs must be the
same. The ideal ratio is all work over live work, in tiles of the products that dominate.
"""

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from compiler.frontend import load, lower
from compiler.ir import TensorGraph
from compiler.numerics import TILE
from compiler.partition.tiling import tile
from compiler.pipeline import Compiled, CompileOptions, compile_graph
from compiler.prune import Mode, PruneOptions, prune
from compiler.target import Machine
from compiler.target.load import load_machine
from emulator.profile import Profile
from examples.pruning_data import kernel, magnitude_pruned, routed, topics, voxels
from runtime.cli.terminal import Table, Terminal, number
from runtime.feed import Array, random_array
from runtime.known import accepted_weights, with_finite_weights, zero_tiles
from runtime.pruning import same_values, work
from runtime.session import Session

EXAMPLES = Path(__file__).parents[1] / "examples"
MACHINE = "wormhole_n150"
Arrays = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A work. Inputs and weights that `data` does not make are random; with `known` the compiler sees the weights that
    it makes. `dtype` is put in place of bf16; `aim` is a ratio of cycles."""

    name: str
    file: str
    sizes: dict[str, int]
    ideal: float
    aim: float
    program: str | None = None
    known: bool = False
    dtype: str = "bf16"
    data: Callable[[np.random.Generator], Arrays] = lambda _: {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What was measured of one case. `analysis` is the time of pruning over that of compiling."""

    name: str
    unpruned_cycles: int
    pruned_cycles: int
    ratio: float
    ideal: float
    aim: float
    same_outputs: bool
    unpruned_operations: int
    pruned_operations: int
    analysis_seconds: float
    compile_seconds: float
    analysis: float


def experts(*, sort: bool) -> Callable[[np.random.Generator], Arrays]:
    def data(generator: np.random.Generator) -> Arrays:
        x, router = routed(generator, 2048 if sort else 1024, 256, 8, sort=sort)
        return {"x": x, "router": router}

    return data


def layers(share: float) -> Callable[[np.random.Generator], Arrays]:
    return lambda generator: dict(zip(("x", "w1", "b1"), topics(generator, 512, 64, 2048, share), strict=True))


def sparse_weights(generator: np.random.Generator) -> Arrays:
    return {name: magnitude_pruned(generator, 4096, 4096, keep=0.1) for name in ("w1", "w2")}


def scene(generator: np.random.Generator) -> Arrays:
    grid, occupied = voxels(generator, (8, 16, 128), 32, share=0.05)
    return {"grid": grid, "occupied": occupied} | {name: kernel(generator, 32) for name in ("w1", "w2")}


def diagonal(tiles: int) -> float:
    """All tiles of a square over those on and below the diagonal."""
    return 2 * tiles / (tiles + 1)


CAUSAL = {"H": 4, "T": 1024, "E": 64}
WINDOW = {"H": 1, "T": 4096, "E": 64, "W": 256}
MOE = {"D": 256, "F": 1024}
MLP = {"B": 512, "D": 64, "H": 2048, "N": 1024}
VOXELS = {"Z": 8, "Y": 16, "X": 128, "C": 32}
CASES = (
    Case(name="experts, sorted", file="moe.mesh", program="sorted", sizes=MOE | {"T": 2048}, ideal=4, aim=3.2,
         data=experts(sort=True)),
    Case(name="experts, grouped", file="moe.mesh", program="grouped", sizes=MOE | {"T": 1024}, ideal=8, aim=3.2,
         data=experts(sort=False)),
    Case(name="experts f32, sorted", file="moe.mesh", program="sorted", sizes=MOE | {"T": 2048}, ideal=4, aim=3.2,
         data=experts(sort=True), dtype="f32"),
    Case(name="causal", file="causal.mesh", sizes=CAUSAL, ideal=diagonal(CAUSAL["T"] // TILE), aim=1.8),
    Case(name="window", file="window.mesh", sizes=WINDOW, ideal=WINDOW["T"] / (WINDOW["W"] + TILE), aim=10),
    Case(name="block-sparse", file="block_sparse.mesh", sizes={"B": 2304, "D": 4096, "H": 4096}, ideal=10, aim=7,
         data=sparse_weights, known=True),
    Case(name="relu, half zero", file="relu_mlp.mesh", sizes=MLP, ideal=2 * (1 + 1 / 16) / (1 + 2 / 16), aim=1.7,
         data=layers(0.5)),
    Case(name="relu, none zero", file="relu_mlp.mesh", sizes=MLP, ideal=1, aim=0.98, data=layers(0.0)),
    Case(name="relu f32, half", file="relu_mlp.mesh", sizes=MLP, ideal=2 * (1 + 1 / 16) / (1 + 2 / 16), aim=1.7,
         data=layers(0.5), dtype="f32"),
    Case(name="relu f32, none", file="relu_mlp.mesh", sizes=MLP, ideal=1, aim=0.98, data=layers(0.0), dtype="f32"),
    Case(name="voxels, scene", file="voxels.mesh", program="scene", sizes=VOXELS, ideal=20, aim=10, data=scene,
         known=True),
    Case(name="voxels, input", file="voxels.mesh", program="voxels", sizes=VOXELS, ideal=20, aim=10, data=scene),
)  # fmt: skip


def main() -> None:
    options = _options()
    machine = load_machine(MACHINE)
    terminal = Terminal.detect("auto", json=options.json)
    rows = []
    for case in CASES:
        if options.only in case.name:
            terminal.note(f"{case.name} ...")
            rows.append(measure(case, machine))
    document = {"machine": MACHINE, "rows": [asdict(row) for row in rows]}
    terminal.table(table(rows))
    terminal.document(document)
    if options.output is not None:
        options.output.write_text(json.dumps(document, indent=2) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the JSON document to a file too")
    parser.add_argument("--only", default="", metavar="TEXT", help="works whose name contains this")
    return parser.parse_args()


def measure(case: Case, machine: Machine) -> Row:
    path = EXAMPLES / case.file
    graph = lower(load(path.read_text().replace("bf16", case.dtype), path.name), case.program, case.sizes)
    fed = {name: _typed(array, case.dtype) for name, array in case.data(np.random.default_rng(0)).items()}
    plain = compile_graph(graph, machine, CompileOptions())
    before, outputs = _run(plain, fed)
    promised, options = _prune_options(case, graph, fed)
    start = perf_counter()
    compiled = compile_graph(promised, machine, CompileOptions(prune=options))
    compile_seconds = perf_counter() - start
    after, pruned_outputs = _run(compiled, fed)
    analysis_seconds = _analysis(machine, compiled, options)
    unpruned, pruned = work(plain.image, before), work(compiled.image, after)
    return Row(
        name=case.name,
        unpruned_cycles=unpruned.cycles,
        pruned_cycles=pruned.cycles,
        ratio=unpruned.cycles / pruned.cycles,
        ideal=case.ideal,
        aim=case.aim,
        same_outputs=same_values(outputs, pruned_outputs),
        unpruned_operations=unpruned.tile_operations,
        pruned_operations=pruned.tile_operations,
        analysis_seconds=analysis_seconds,
        compile_seconds=compile_seconds,
        analysis=analysis_seconds / compile_seconds,
    )


def _typed(array: NDArray[np.generic], dtype: str) -> NDArray[np.generic]:
    return array if array.dtype == np.bool_ else array.astype(ml_dtypes.bfloat16 if dtype == "bf16" else np.float32)


def _prune_options(case: Case, graph: TensorGraph, fed: Arrays) -> tuple[TensorGraph, PruneOptions]:
    options = PruneOptions(Mode.ALL, assume_finite=True)
    if not case.known:
        return graph, options
    weights = accepted_weights(graph, fed, "the array")
    zeros = {name: zero_tiles(array) for name, array in weights.items()}
    return with_finite_weights(graph, weights), replace(options, zeros=zeros)


def _run(compiled: Compiled, fed: Arrays) -> tuple[Profile, Mapping[str, Array]]:
    session = Session.from_image(compiled.image)
    for name, array in fed.items():
        session.feed(name, array)
    for tensor in session.missing:
        session.feed(tensor.name, random_array(tensor, 0))
    result = session.run()
    return result.profile, result.outputs


def _analysis(machine: Machine, compiled: Compiled, options: PruneOptions) -> float:
    """Seconds that pruning alone takes."""
    workload = tile(compiled.graph)
    start = perf_counter()
    prune(machine, workload, options)
    return perf_counter() - start


def table(rows: list[Row]) -> Table:
    columns = ("work", "unpruned", "pruned", "ratio", "ideal", "aim", "", "outputs", "analysis")
    cells = tuple(
        (
            row.name,
            number(row.unpruned_cycles),
            number(row.pruned_cycles),
            f"{row.ratio:.2f}",
            f"{row.ideal:.2f}",
            f"{row.aim:.2f}",
            "met" if row.ratio >= row.aim else "",
            "same" if row.same_outputs else "DIFFER",
            f"{row.analysis:.1%}",
        )
        for row in rows
    )
    title = f"Pruning on {MACHINE}: cycles; analysis as a share of compile time"
    return Table(title, columns, cells, numeric=(1, 2, 3, 4, 5, 8))


if __name__ == "__main__":
    main()
