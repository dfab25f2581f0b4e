"""Remove dead operations."""

from dataclasses import dataclass
from typing import ClassVar

from compiler.ir import TensorGraph
from compiler.passes.rewrite import without_dead


@dataclass(frozen=True, slots=True)
class RemoveDead:
    """Drop operations whose value never reaches an output.

    Inputs and weights stay even when nobody uses them, so that the signature of a program does not depend on how well
    it was optimized.

    Before::

        %0: bf16[4, 4] = input x
        %1: bf16[4, 4] = weight w
        %2: bf16[4, 4] = map exp(arg0) %0
        return y = %0

    After::

        %0: bf16[4, 4] = input x
        %1: bf16[4, 4] = weight w
        return y = %0
    """

    name: ClassVar[str] = "dce"

    def run(self, graph: TensorGraph) -> TensorGraph:
        return without_dead(graph)
