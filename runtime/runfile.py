"""Keep a run in a file: the image, its profile, what happened when, and what compilation did to the graph.

The file is one JSON document. The image is in it, so that nothing else is needed to look at the run later.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from compiler.diagnostics import DiagnosticError
from compiler.ir import TensorGraph
from compiler.ir.parser import parse_graph
from compiler.ir.printer import print_graph
from compiler.program.image import Image
from compiler.program.serialize import dump, load
from emulator.profile import Profile
from emulator.recording import Recording
from runtime.errors import bad_input
from runtime.files import read_bytes, replacing
from runtime.view.graphs import GraphRecord, PassStep
from runtime.view.model import Run

FORMAT = "meshc run"
VERSION = 1


@dataclass(frozen=True, slots=True, eq=False)
class RunFile:
    """A run of `image`; `graph` is None for an image that was compiled elsewhere."""

    image: Image
    run: Run
    graph: GraphRecord | None = None


def write_run(path: Path, content: RunFile) -> None:
    """Write the file, whole or not at all; raises E0530 where that is impossible."""
    recording = content.run.recording
    document = {
        "format": FORMAT,
        "version": VERSION,
        "image": base64.b64encode(dump(content.image)).decode(),
        "profile": content.run.profile.to_json(),
        "recording": recording.to_json() if recording is not None else None,
        "graph": _graph_document(content.graph) if content.graph is not None else None,
    }
    with replacing(path) as file:
        file.write(json.dumps(document, separators=(",", ":")).encode())


def read_run(path: Path) -> RunFile:
    """Read what `write_run` wrote; raises E0529 for an unreadable file, E0543 for one that holds no run."""
    try:
        document = json.loads(read_bytes(path))
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise ValueError("it does not say that it is one")
        if document["version"] != VERSION:
            raise ValueError(f"it is of version {document['version']}, this is version {VERSION}")
        return _decoded(document)
    except (KeyError, TypeError, ValueError, IndexError, RecursionError) as error:
        detail = f"`{error.args[0]}` is missing" if isinstance(error, KeyError) else str(error)
        raise _refusal(path, detail) from error


def _refusal(path: Path, detail: str) -> DiagnosticError:
    return bad_input(
        "E0543", f"`{path}` is not a run: {detail}", helps=["`meshc run FILE --profile run.json` writes one"]
    )


def _decoded(document: Mapping[str, Any]) -> RunFile:
    image = load(base64.b64decode(document["image"], validate=True))
    profile = Profile.from_json(document["profile"])
    recording = Recording.from_json(document["recording"]) if document["recording"] is not None else None
    if len(profile.epochs) != len(image.epochs):
        raise ValueError("its profile has other epochs than its image")
    graph = _graph(document["graph"], image) if document["graph"] is not None else None
    return RunFile(image, Run(profile, recording), graph)


def _graph_document(graph: GraphRecord) -> dict[str, Any]:
    return {
        "source": print_graph(graph.source),
        "optimized": print_graph(graph.optimized),
        "passes": [asdict(step) for step in graph.passes],
        "seed": graph.seed,
    }


def _graph(document: Mapping[str, Any], image: Image) -> GraphRecord:
    source, optimized = (_parsed(document[name], image) for name in ("source", "optimized"))
    return GraphRecord(source, optimized, tuple(PassStep(**step) for step in document["passes"]), int(document["seed"]))


def _parsed(text: str, image: Image) -> TensorGraph:
    graph = parse_graph(text)
    return replace(graph, sources=image.sources)
