"""`meshc run`: compile if need be, feed, run on the emulated machine, compare, report."""

from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np

from compiler.ir import TensorGraph
from compiler.program.image import Image, Role
from emulator import RunResult
from emulator.faults import Fault
from runtime.cli.cache import kernel_cache
from runtime.cli.exit_codes import ExitCode
from runtime.cli.feeding import feed, pairs
from runtime.cli.program import Program, compile_source, open_program, show_warnings
from runtime.cli.progress import Progress
from runtime.cli.pruning import NOT_PRUNED, Compared, pruning_document, pruning_tables
from runtime.cli.summary import (
    check_document,
    check_table,
    outputs_document,
    outputs_table,
    report_document,
    report_tables,
)
from runtime.cli.terminal import Terminal
from runtime.errors import bad_input, did_you_mean
from runtime.feed import Array
from runtime.files import replacing
from runtime.pruning import same_values, work
from runtime.reference import Comparison, compare, evaluate_with_bounds
from runtime.report import report
from runtime.runfile import RunFile, write_run
from runtime.session import Session
from runtime.view.model import Run


def run(arguments: Namespace, terminal: Terminal) -> int:
    try:
        with Progress(terminal.error) as progress:
            done = _run(arguments, progress)
    except Fault as fault:
        terminal.fault(fault.category, str(fault))
        return ExitCode.MACHINE_FAULT
    show_warnings(done.program, terminal)
    _print(done, terminal)
    return ExitCode.OK if done.good else ExitCode.CHECK_FAILED


@dataclass(frozen=True, slots=True)
class Done:
    """A run that came to its end; `comparisons` is empty unless `--check` asked for them, `compared` is None unless
    `--compare-unpruned` did."""

    program: Program
    result: RunResult
    seconds: float
    comparisons: Mapping[str, Comparison]
    compared: Compared | None

    @property
    def good(self) -> bool:
        same = self.compared is None or self.compared.same
        return same and all(each.ok for each in self.comparisons.values())


def _run(arguments: Namespace, progress: Progress) -> Done:
    program = open_program(arguments, progress)
    targets = _targets(program.image, arguments.output)
    session = Session.from_image(program.image, kernel_cache())
    feed(session, arguments)
    progress.stage(f"running {program.image.name} on {program.image.machine.name}")
    fed = dict(session.fed)
    start = perf_counter()
    result = session.run(record=arguments.profile is not None)
    seconds = perf_counter() - start
    for name, path in targets.items():
        _write(path, session.fetch(name))
    if arguments.profile is not None:
        graph = program.record(arguments.seed)
        write_run(Path(arguments.profile), RunFile(program.image, Run(result.profile, result.recording), graph))
    compared = _compared(arguments, program, fed, result, progress) if arguments.compare_unpruned else None
    comparisons: Mapping[str, Comparison] = {}
    if program.graph is not None and arguments.check:
        progress.stage("comparing with the reference")
        comparisons = check(program.graph, fed, result.outputs)
    return Done(program, result, seconds, comparisons, compared)


def _compared(
    arguments: Namespace, program: Program, fed: Mapping[str, Array], result: RunResult, progress: Progress
) -> Compared:
    """Compile the program without pruning, and run it on the same arrays."""
    unpruned = compile_source(Namespace(**vars(arguments) | NOT_PRUNED), progress)
    progress.stage(f"running {program.image.name} without pruning")
    session = Session.from_image(unpruned.image, kernel_cache())
    for name, array in fed.items():
        session.feed(name, array)
    other = session.run()
    return Compared(
        work(unpruned.image, other.profile),
        work(program.image, result.profile),
        same=same_values(result.outputs, other.outputs),
    )


def check(graph: TensorGraph, fed: Mapping[str, Array], outputs: Mapping[str, Array]) -> dict[str, Comparison]:
    """Hold every output against the reference on the same arrays."""
    expected = evaluate_with_bounds(graph, fed)
    return {name: compare(value, bound, outputs[name]) for name, (value, bound) in expected.items()}


def _print(done: Done, terminal: Terminal) -> None:
    program, result, comparisons = done.program, done.result, done.comparisons
    figures = report(program.image, result.profile)
    tables = [outputs_table(result.outputs), *report_tables(figures)]
    tables += pruning_tables(program.planned, result.profile, done.compared)
    if comparisons:
        tables.append(check_table(comparisons))
    for table in tables:
        terminal.table(table)
    compiled = "" if program.compile_seconds is None else f"compiled in {program.compile_seconds:.2f} s, "
    terminal.text(f"\n{compiled}emulated in {done.seconds:.2f} s")
    terminal.document(
        {
            "ok": done.good,
            "program": program.image.name,
            "machine": program.image.machine.name,
            "compile_seconds": program.compile_seconds,
            "emulate_seconds": done.seconds,
            "outputs": outputs_document(result.outputs),
            "profile": report_document(figures),
            "pruned": pruning_document(program.planned, result.profile, done.compared),
            "check": check_document(comparisons) if comparisons else None,
        }
    )


def _targets(image: Image, settings: list[str]) -> dict[str, Path]:
    """Where outputs are to be written; raises E0527 for a name that the program does not have, before it runs."""
    known = [tensor.name for tensor in image.tensors if tensor.role is Role.OUTPUT]
    targets = {name: Path(value) for name, value in pairs("--output", settings, set()).items()}
    for name in targets:
        if name not in known:
            helps = did_you_mean(name, known, "it has")
            raise bad_input("E0527", f"program `{image.name}` has no output `{name}`", helps=helps)
    return targets


def _write(path: Path, array: Array) -> None:
    """Write an output as `.npy`; a type for which the format has no name, as float32 with the same values."""
    with replacing(path) as file:
        np.save(file, array if array.dtype.isbuiltin == 1 else array.astype(np.float32))
