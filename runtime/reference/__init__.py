"""The NumPy reference: values of a graph, bounds on how far a device may be from them, and the comparison."""

from runtime.reference.bounds import evaluate_with_bounds
from runtime.reference.comparison import Comparison, compare
from runtime.reference.interpret import evaluate

__all__ = ["Comparison", "compare", "evaluate", "evaluate_with_bounds"]
