"""Pictures for documents: a view as one static SVG."""

from collections.abc import Callable

from runtime.view.model import ViewModel
from runtime.view.pictures.graph import graph_picture
from runtime.view.pictures.memory import memory_picture
from runtime.view.pictures.mesh import mesh_picture
from runtime.view.pictures.timeline import timeline_picture

PICTURES: dict[str, Callable[[ViewModel, int], str]] = {
    "mesh": mesh_picture,
    "timeline": timeline_picture,
    "memory": memory_picture,
    "graph": graph_picture,
}
"""Each draws a model; the number is that of the epoch to show, where a picture shows one."""
