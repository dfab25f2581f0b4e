"""Spans, diagnostics with codes, and errors that carry them."""

from compiler.diagnostics.diagnostic import Diagnostic, DiagnosticError, InternalError, Label, Severity
from compiler.diagnostics.span import Source, Span

__all__ = ["Diagnostic", "DiagnosticError", "InternalError", "Label", "Severity", "Source", "Span"]
