"""The concrete syntax, the standard library and the reference of the language, as package data."""

from functools import cache
from importlib.resources import files


def syntax() -> str:
    """The grammar, in the notation of lark."""
    return _read("mesh.lark")


def tables() -> str:
    """The parse tables of the grammar, in JSON; `compiler.frontend.tables` computes them."""
    return _read("mesh.tables.json")


def standard_library() -> str:
    """The functions that every program can use, written in the language itself."""
    return _read("std.mesh")


def errors() -> str:
    """The meaning of every code, in Markdown."""
    return _read("errors.md")


def reference() -> str:
    """The description of the language, in Markdown."""
    return _read("language.md")


@cache
def _read(name: str) -> str:
    return files(__name__).joinpath(name).read_text(encoding="utf-8")
