"""The NumPy reference: values of a graph, bounds on how far a device may be from them, and the comparison."""

from runtime.reference.interpret import evaluate

__all__ = ["evaluate"]
