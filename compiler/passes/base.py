"""What a graph pass is."""

from typing import ClassVar, Protocol

from compiler.ir import TensorGraph


class Pass(Protocol):
    """A frozen value with its options as fields and one pure function.

    `run` keeps the signature of the graph (inputs, weights and outputs: names, types and order) and the bits of every
    output; its docstring's *Before* and *After* are its golden test.
    """

    name: ClassVar[str]

    def run(self, graph: TensorGraph) -> TensorGraph: ...
