"""Rich representations in Jupyter, and reports inside a cell.

    %load_ext runtime.notebook

After that an `Image` shows its mesh, a `Profile` where the time went, and a `TensorGraph` its operations. Nothing below
knows of this: the representations are registered here, by type.

    from runtime.notebook import show
    show(image, result)
"""

from collections.abc import Callable, Mapping
from html import escape
from typing import Any, Protocol, TypeVar

from compiler.ir import TensorGraph
from compiler.program.image import Image
from emulator import RunResult
from emulator.profile import REASONS, THREAD_NAMES, Profile
from runtime.view.document import document
from runtime.view.figures import longest_epoch
from runtime.view.html import report_page
from runtime.view.model import Run, build
from runtime.view.pictures.graph import tensor_graph_picture
from runtime.view.pictures.mesh import mesh_picture

T = TypeVar("T")


class Formatter(Protocol):
    """What IPython offers for one kind of representation."""

    def for_type(self, type: type[T], function: Callable[[T], str]) -> object: ...


class DisplayFormatter(Protocol):
    @property
    def formatters(self) -> Mapping[str, Formatter]: ...


class Shell(Protocol):
    """The running IPython."""

    @property
    def display_formatter(self) -> DisplayFormatter: ...


def load_ipython_extension(ipython: Shell) -> None:
    """Register the representations; IPython calls this for `%load_ext runtime.notebook`."""
    html = ipython.display_formatter.formatters["text/html"]
    html.for_type(Image, image_html)
    html.for_type(Profile, profile_html)
    html.for_type(TensorGraph, tensor_graph_picture)


def image_html(image: Image) -> str:
    """The mesh in the epoch with most traffic."""
    model = build(image)
    return mesh_picture(model, longest_epoch(model))


def profile_html(profile: Profile) -> str:
    """Cycles of all threads of a kind, by what they did."""
    rows = [_row(profile, thread) for thread in THREAD_NAMES]
    head = "".join(f"<th>{escape(name)}</th>" for name in ("thread", *REASONS))
    time = f"{profile.makespan:,} cycles, {profile.makespan / profile.clock_ghz / 1000:.1f} µs"
    caption = f"{time} in {len(profile.epochs)} epochs; core cycles of all threads"
    return f"<table><caption>{escape(caption)}</caption><tr>{head}</tr>{''.join(rows)}</table>"


def _row(profile: Profile, name: str) -> str:
    own = [thread.cycles for epoch in profile.epochs for thread in epoch.threads if thread.thread == name]
    sums = [sum(cycles[reason] for cycles in own) for reason in range(len(REASONS))]
    return f"<tr><th>{name}</th>{''.join(f'<td>{value:,}</td>' for value in sums)}</tr>"


class Report:
    """A report that a notebook shows in a frame of its own."""

    def __init__(self, page: str, height: int) -> None:
        self.page = page
        self.height = height

    def _repr_html_(self) -> str:
        style = f"width:100%;height:{self.height}px;border:0"
        return f'<iframe style="{style}" srcdoc="{escape(self.page, quote=True)}"></iframe>'


def show(image: Image, result: RunResult | None = None, height: int = 900) -> Report:
    """Return the report of an image, or of a run of it (best one with `record=True`)."""
    run = Run(result.profile, result.recording) if result is not None else None
    content: dict[str, Any] = document(build(image, run))
    return Report(report_page(image.name, content), height)
