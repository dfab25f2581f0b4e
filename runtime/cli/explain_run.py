"""`meshc explain RUN`: who waits for whom, the bound, and what would help."""

from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compiler.diagnostics import DiagnosticError
from compiler.program.image import Role
from emulator import run as emulate
from emulator.faults import Fault
from runtime.cli.cache import kernel_cache
from runtime.cli.exit_codes import ExitCode
from runtime.cli.progress import Progress
from runtime.cli.terminal import Terminal, number
from runtime.errors import bad_input
from runtime.explain.explanation import Explanation, explain
from runtime.explain.suggest import Suggestion, recompile
from runtime.feed import random_array
from runtime.report import RunReport, report
from runtime.runfile import RunFile, read_run
from runtime.view.stages import stages_of


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of a suggestion: cycles saved (negative: lost), or why it could not be tried."""

    saved: int | None
    reason: str = ""


def explain_run(arguments: Namespace, terminal: Terminal) -> int:
    path = Path(arguments.subject)
    content = read_run(path)
    if content.run.recording is None:
        raise bad_input(
            "E0544", f"`{path}` says how long the run took, but not what happened when", helps=["record it anew"]
        )
    if arguments.trial and content.graph is None:
        raise bad_input(
            "E0544",
            f"`{path}` does not hold the program, so nothing can be compiled anew",
            helps=["run the .mesh file in place of the image: `meshc run FILE.mesh --profile run.json`"],
        )
    with Progress(terminal.error) as progress:
        found = explain(content.image, content.run.profile, content.run.recording, stages_of(content.image))
        trials = [_try(content, each, progress) for each in found.suggestions] if arguments.trial else []
    figures = report(content.image, content.run.profile)
    _print(content, found, trials, figures, terminal)
    terminal.document(_document(found, trials, figures))
    return ExitCode.OK


def _try(content: RunFile, suggestion: Suggestion, progress: Progress) -> Trial:
    """Compile the program with the change and run it on random arrays: times do not depend on values."""
    assert content.graph is not None
    progress.stage(f"trying: {suggestion.title}")
    try:
        image = recompile(suggestion.change, content.graph.source, content.image.machine, content.graph.seed)
        fed = (Role.INPUT, Role.WEIGHT, Role.STATE)
        arrays = {tensor.name: random_array(tensor, 0) for tensor in image.tensors if tensor.role in fed}
        result = emulate(image, arrays, kernel_cache())
    except DiagnosticError as error:
        return Trial(None, error.diagnostics[0].message)
    except Fault as fault:
        return Trial(None, str(fault))
    return Trial(content.run.profile.makespan - result.profile.makespan)


def _print(content: RunFile, found: Explanation, trials: list[Trial], figures: RunReport, terminal: Terminal) -> None:
    image = content.image
    terminal.text(f"{image.name} on {image.machine.name}: {number(figures.makespan)} cycles")
    bound = f"{number(figures.bound)} cycles, set by {figures.bound_resource}"
    terminal.text(f"lower bound: {bound}; the run takes {figures.ratio:.2f} times as long")
    terminal.text(f"\n{found.sentence}")
    terminal.text("\nWho waits for whom:")
    for index, step in enumerate(found.walk, 1):
        terminal.text(f"  {index}. {step.text}")
    if found.suggestions:
        terminal.text("\nWhat would help:")
    for index, suggestion in enumerate(found.suggestions):
        share = suggestion.saved / max(figures.makespan, 1)
        terminal.text(f"  {index + 1}. {suggestion.title}: {suggestion.detail}")
        terminal.text(f"     predicted: {number(suggestion.saved)} cycles less ({share:.0%})")
        if trials:
            terminal.text(f"     tried: {_outcome(trials[index], figures.makespan)}")


def _outcome(trial: Trial, makespan: int) -> str:
    if trial.saved is None:
        return f"not possible: {trial.reason}"
    verb = "less" if trial.saved >= 0 else "more"
    return f"{number(abs(trial.saved))} cycles {verb} ({abs(trial.saved) / max(makespan, 1):.0%})"


def _document(found: Explanation, trials: list[Trial], figures: RunReport) -> dict[str, Any]:
    suggestions: list[dict[str, Any]] = [
        {"title": each.title, "detail": each.detail, "predicted": each.saved} for each in found.suggestions
    ]
    for entry, trial in zip(suggestions, trials, strict=False):
        entry |= {"tried": trial.saved, "reason": trial.reason}
    return {
        "ok": True,
        "makespan": figures.makespan,
        "bound": figures.bound,
        "bound_resource": figures.bound_resource,
        "ratio": figures.ratio,
        "sentence": found.sentence,
        "walk": [step.text for step in found.walk],
        "suggestions": suggestions,
    }
