"""`meshc explain PROGRAM --pruned`: what compilation leaves out of a program, and why that changes nothing."""

from argparse import Namespace

from compiler.partition.tiling import tile
from compiler.passes import run_pipeline
from compiler.prune import prune, render
from compiler.target.load import load_machine
from runtime.cli.exit_codes import ExitCode
from runtime.cli.parser import DEFAULT_MACHINE
from runtime.cli.progress import Progress
from runtime.cli.pruning import planned_document, planned_table, prune_options
from runtime.cli.source import lowered, open_module
from runtime.cli.terminal import Terminal
from runtime.pruning import difference


def explain_pruned(arguments: Namespace, terminal: Terminal) -> int:
    """Print the certificates; the program is not compiled any further."""
    machine = load_machine(arguments.machine or DEFAULT_MACHINE)
    with Progress(terminal.error) as progress:
        progress.stage(f"looking for what can be left out of {arguments.subject}")
        program = lowered(open_module(arguments.subject, arguments), arguments.program, arguments)
        graph, options = prune_options(program.graph, arguments)
        workload = tile(run_pipeline(graph))
        pruned = prune(machine, workload, options)
    terminal.warnings(program.warnings, program.sources)
    found = difference(workload, pruned.workload)
    text = render(pruned) if pruned.certificates or pruned.switches or pruned.streams else ""
    if found.nothing:
        terminal.text(f"nothing is left out of `{program.graph.name}` before it runs")
    else:
        terminal.table(planned_table(found))
    if text:
        terminal.text(f"\n{text}")
    terminal.document({"ok": True, "planned": planned_document(found), "certificates": text})
    return ExitCode.OK
