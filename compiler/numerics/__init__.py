"""Data formats bit by bit, rounding, tile layout and scalar expressions: part of the contract with any device."""

from compiler.numerics.dtypes import DType
from compiler.numerics.expr import Expr, ExprBuilder, ScalarNode, ScalarOp
from compiler.numerics.layout import TILE, TileGrid, from_pages, to_pages

__all__ = [
    "TILE",
    "DType",
    "Expr",
    "ExprBuilder",
    "ScalarNode",
    "ScalarOp",
    "TileGrid",
    "from_pages",
    "to_pages",
]
