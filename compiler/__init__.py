"""Compile tensor programs for a 2D mesh of cores."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from compiler.frontend.builder import Program, Value, std

__all__ = ["Program", "Value", "std"]


def __getattr__(name: str) -> Any:
    """Load what builds programs in Python when it is first asked for: most of the package does not need it."""
    if name not in __all__:
        raise AttributeError(f"module `compiler` has no attribute `{name}`")
    from compiler.frontend import builder

    return getattr(builder, name)
