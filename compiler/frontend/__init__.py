"""From the text of a program to its tensor graph."""

from compiler.frontend.ast import Module
from compiler.frontend.library import load
from compiler.frontend.lower import lower

__all__ = ["Module", "load", "lower"]
