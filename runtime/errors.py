"""Diagnostics about what the user hands to the runtime: files, arrays, names, options. Their codes: E0520 to E0549."""

from collections.abc import Iterable
from difflib import get_close_matches

from compiler.diagnostics import Diagnostic, DiagnosticError


def bad_input(code: str, message: str, *, notes: Iterable[str] = (), helps: Iterable[str] = ()) -> DiagnosticError:
    """Return one diagnostic that concerns no place in a source, ready to be raised."""
    return DiagnosticError((Diagnostic(code, message, notes=tuple(notes), helps=tuple(helps)),))


def did_you_mean(word: str, known: Iterable[str], what: str) -> list[str]:
    """Return the help for an unknown `word`: the nearest of `known`, or else all of them; `what` is their plural."""
    candidates = sorted(known)
    near = get_close_matches(word, candidates, n=1, cutoff=0.5)
    if near:
        return [f"did you mean `{near[0]}`?"]
    return [f"{what}: {', '.join(candidates)}"] if candidates else []
