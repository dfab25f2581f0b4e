"""The tensor graph, its builder, printer, parser and verifier."""

from compiler.ir.builder import GraphBuilder, cast_expr
from compiler.ir.graph import (
    Constant,
    Contract,
    Fed,
    Input,
    Iota,
    Kind,
    Map,
    Operation,
    Reduce,
    ReduceKind,
    Reshape,
    Slice,
    State,
    Take,
    TensorGraph,
    TensorType,
    Transpose,
    Weight,
    Window,
)
from compiler.ir.parser import parse_graph
from compiler.ir.printer import print_expr, print_graph, print_operation
from compiler.ir.verify import verify

__all__ = [
    "Constant",
    "Contract",
    "Fed",
    "GraphBuilder",
    "Input",
    "Iota",
    "Kind",
    "Map",
    "Operation",
    "Reduce",
    "ReduceKind",
    "Reshape",
    "Slice",
    "State",
    "Take",
    "TensorGraph",
    "TensorType",
    "Transpose",
    "Weight",
    "Window",
    "cast_expr",
    "parse_graph",
    "print_expr",
    "print_graph",
    "print_operation",
    "verify",
]
