"""`meshc view`: an image or a run as a report, a picture, text or a trace."""

from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from compiler.program.image import Image
from compiler.program.serialize import dump, read_file
from runtime.cli.exit_codes import ExitCode
from runtime.cli.program import IMAGE_SUFFIX, compile_source, refuse_source_options, refuse_weights, show_warnings
from runtime.cli.progress import Progress
from runtime.cli.terminal import Terminal
from runtime.errors import bad_input
from runtime.files import replacing
from runtime.runfile import read_run
from runtime.trace.congestion import write_congestion
from runtime.trace.perfetto import write_perfetto
from runtime.trace.tables import tables
from runtime.units import amount
from runtime.view.compare import compare, comparison_page
from runtime.view.document import document
from runtime.view.figures import longest_epoch
from runtime.view.html import report_page
from runtime.view.model import Run, ViewModel, build
from runtime.view.pictures import PICTURES
from runtime.view.text import text_view

RUN_SUFFIX = ".json"


def run(arguments: Namespace, terminal: Terminal) -> int:
    with Progress(terminal.error) as progress:
        model = _open(arguments, arguments.file, arguments.profile, progress, terminal)
        form = _form(arguments)
        progress.stage("drawing")
        if arguments.text and arguments.compare is None:
            text = text_view(model, _epoch(arguments, model), terminal.out_color)
            terminal.text(text)
            terminal.document({"ok": True, "text": text})
            return ExitCode.OK
        other = None
        if arguments.compare is not None:
            other = _open(arguments, arguments.compare, None, progress, terminal)
        made = _compared(arguments, model, other, terminal) if other is not None else form(arguments, model)
    if made is not None:
        terminal.text(f"wrote {made.path}" + (f", {amount(made.size)}" if made.size else ""))
        terminal.document({"ok": True, "file": str(made.path), "bytes": made.size})
    return ExitCode.OK


@dataclass(frozen=True, slots=True)
class Made:
    """A file or folder that was written."""

    path: Path
    size: int


def _open(arguments: Namespace, file: str, profile: str | None, progress: Progress, terminal: Terminal) -> ViewModel:
    """The model of a run, an image or a source.

    Raises E0531 for an option that only a source can obey, E0545 when a run is of another image.
    """
    path = Path(file)
    progress.stage(f"reading {file}")
    if path.suffix in (RUN_SUFFIX, IMAGE_SUFFIX):
        refuse_source_options(arguments)
        refuse_weights(arguments)
    if path.suffix == RUN_SUFFIX:
        content = read_run(path)
        return build(content.image, content.run, content.graph)
    if path.suffix == IMAGE_SUFFIX:
        image, graph = read_file(path), None
    else:
        program = compile_source(Namespace(**vars(arguments) | {"file": file}), progress)
        show_warnings(program, terminal)
        image, graph = program.image, program.record(arguments.seed)
    if profile is None:
        return build(image, None, graph)
    content = read_run(Path(profile))
    _same(image, content.image, file, profile)
    return build(content.image, content.run, content.graph or graph)


def _same(image: Image, ran: Image, file: str, profile: str) -> None:
    if dump(image) != dump(ran):
        raise bad_input(
            "E0545",
            f"`{profile}` is a run of another image than `{file}`",
            helps=[f"`meshc view {profile}` shows the run with the image that it is of"],
        )


def _epoch(arguments: Namespace, model: ViewModel) -> int:
    """Raises E0546 for an epoch that there is not."""
    count = len(model.image.epochs)
    if arguments.epoch is None:
        return longest_epoch(model)
    if arguments.epoch >= count:
        raise bad_input("E0546", f"there is no epoch {arguments.epoch}: the image has {count}, numbered from 0")
    epoch: int = arguments.epoch
    return epoch


def _form(arguments: Namespace) -> Callable[[Namespace, ViewModel], Made]:
    if arguments.svg is not None:
        return _svg
    if arguments.csv:
        return _csv
    if arguments.perfetto:
        return lambda arguments, model: _trace(arguments, model, ".perfetto.json", write_perfetto)
    if arguments.congestion:
        return lambda arguments, model: _trace(arguments, model, ".congestion.json", write_congestion)
    return _report


def _target(arguments: Namespace, suffix: str) -> Path:
    return Path(arguments.output) if arguments.output is not None else Path(Path(arguments.file).stem + suffix)


def _write(path: Path, write: Callable[[BinaryIO], object]) -> Made:
    with replacing(path) as file:
        write(file)
        size = file.tell()
    return Made(path, size)


def _write_text(path: Path, text: str) -> Made:
    return _write(path, lambda file: file.write(text.encode()))


def _report(arguments: Namespace, model: ViewModel) -> Made:
    text = report_page(model.image.name, document(model))
    return _write_text(_target(arguments, ".html"), text)


def _svg(arguments: Namespace, model: ViewModel) -> Made:
    text = PICTURES[arguments.svg](model, _epoch(arguments, model))
    return _write_text(_target(arguments, f".{arguments.svg}.svg"), text)


def _csv(arguments: Namespace, model: ViewModel) -> Made:
    """Write a file per table; raises E0530 when the folder cannot be made."""
    folder = _target(arguments, ".csv")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise bad_input("E0530", f"cannot write `{folder}`: {error.strerror or error}") from error
    made = [_write_text(folder / f"{name}.csv", text) for name, text in tables(model).items()]
    return Made(folder, sum(each.size for each in made))


def _trace(arguments: Namespace, model: ViewModel, suffix: str, write: Callable[[ViewModel, BinaryIO], None]) -> Made:
    """Raises E0544 without a recorded run."""
    _recorded(arguments, model.run.run if model.run is not None else None)
    return _write(_target(arguments, suffix), lambda file: write(model, file))


def _recorded(arguments: Namespace, run: Run | None) -> None:
    if run is None or run.recording is None:
        raise bad_input(
            "E0544",
            f"a trace needs a run, but `{arguments.file}` is none",
            helps=["`meshc run FILE --profile run.json` records one; then `meshc view run.json --perfetto`"],
        )


def _compared(arguments: Namespace, a: ViewModel, b: ViewModel, terminal: Terminal) -> Made | None:
    found = compare(a, b)
    terminal.text(found.sentence)
    if arguments.text:
        for change in found.stages:
            if change.what:
                terminal.text(f"  {change.name} ({change.place}): {'; '.join(change.what)}")
        terminal.document({"ok": True, "sentence": found.sentence})
        return None
    text = comparison_page(found, arguments.file, arguments.compare)
    return _write_text(_target(arguments, ".compare.html"), text)
