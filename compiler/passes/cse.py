"""Compute equal values once."""

from dataclasses import dataclass
from typing import ClassVar

from compiler.ir import Fed, Operation, TensorGraph
from compiler.passes.rewrite import Rewriter, rewrite


@dataclass(frozen=True, slots=True)
class ShareCommon:
    """Let an operation that repeats an earlier one use the earlier value; the earlier span stays.

    Before::

        %0: bf16[4, 4] = input x
        %1: bf16[4, 4] = map exp(arg0) %0
        %2: bf16[4, 4] = map exp(arg0) %0
        %3: bf16[4, 4] = map add(arg0, arg1) %1, %2
        return y = %3

    After::

        %0: bf16[4, 4] = input x
        %1: bf16[4, 4] = map exp(arg0) %0
        %2: bf16[4, 4] = map add(arg0, arg1) %1, %1
        return y = %2
    """

    name: ClassVar[str] = "cse"

    def run(self, graph: TensorGraph) -> TensorGraph:
        known: dict[tuple[str, tuple[int, ...], str], int] = {}

        def share(op: Operation, new: Rewriter) -> int | None:
            if isinstance(op.kind, Fed):
                return None
            key = (repr(op.kind), op.inputs, str(op.type))  # by text: constants 0.0 and -0.0 are equal, not the same
            if key not in known:
                known[key] = new.emit(op.kind, op.inputs, op.type, op.span)
            return known[key]

        return rewrite(graph, share)
