"""Tell people what was left out, why, and what it saved, by lines of their source.

::

    causal.mesh:10: return causal_attention(q, k, v)
      contract_3: 56 of 128 steps left out: nobody uses the result
      map_10: 56 of 128 tiles left out: the result is zero
        because of map_7 (computed, causal.mesh:10), iota_4 (constant)
      saved: 112 steps, 448 KiB not moved (estimate), 224 KiB not stored
"""

from collections.abc import Iterator
from itertools import groupby
from math import prod

from compiler.diagnostics import Span
from compiler.prune.certificates import Certificate, Premise, Reason, Rule, Savings
from compiler.prune.solve import Pruned


def render(pruned: Pruned) -> str:
    """Return the text; it ends with a line break."""
    if not (pruned.certificates or pruned.switches or pruned.streams):
        return "nothing was pruned\n"
    ordered = sorted(pruned.certificates, key=lambda c: (_place(c.span), c.nest))
    lines = []
    for place, group in groupby(ordered, key=lambda c: _place(c.span)):
        lines += list(_group(pruned, place, list(group)))
    if pruned.certificates:
        lines.append(f"in all: {_savings(pruned.saved)}")
    return "".join(f"{line}\n" for line in (*lines, *_at_run_time(pruned)))


def _at_run_time(pruned: Pruned) -> Iterator[str]:
    """What gates and zero tiles may spare besides."""
    if pruned.switches or pruned.streams:
        yield "at run time:"
    for switch in pruned.switches:
        gate = f"`{switch.gate}`" + (f" ({_place(switch.gate_span)})" if switch.gate_span else "")
        yield f"  {switch.name} ({_place(switch.span)}): tiles are left out where the gate {gate} is zero"
    for stream in pruned.streams:
        yield (
            f"  {stream.name} ({_place(stream.span)}): products with its zero tiles are left out; "
            f"pays below {stream.density:.0%} of tiles that are not zero"
        )


def _place(span: Span | None) -> str:
    return "" if span is None else f"{span.source}:{span.line}"


def _group(pruned: Pruned, place: str, certificates: list[Certificate]) -> Iterator[str]:
    yield f"{place}: {_text(pruned, certificates[0].span)}".rstrip() if place else "of no line of the source:"
    for certificate in certificates:
        for reason in certificate.reasons:
            yield from _reason(certificate, reason)
    saved = [certificate.saved for certificate in certificates]
    yield f"  saved: {_savings(Savings(*(sum(column) for column in zip(*map(_numbers, saved), strict=True))))}"


def _numbers(saved: Savings) -> tuple[int, int, int]:
    return saved.iterations, saved.moved_bytes, saved.stored_bytes


def _text(pruned: Pruned, span: Span | None) -> str:
    for source in pruned.workload.sources:
        if span is not None and source.name == span.source:
            return source.text.splitlines()[span.line - 1].strip()
    return ""


def _reason(certificate: Certificate, reason: Reason) -> Iterator[str]:
    count, of = reason.iterations.count, prod(reason.iterations.dims)
    yield f"  {certificate.name}: {count} of {of} tile steps left out: {reason.rule.value}"
    if reason.premises:
        known = (*reason.premises, *(certificate.chain if reason.rule in (Rule.ZERO, Rule.NEUTRAL) else ()))
        yield f"    because of {', '.join(map(_premise, known))}"


def _premise(premise: Premise) -> str:
    place = _place(premise.span)
    return f"{premise.name} ({premise.origin.value}{', ' + place if place else ''})"


def _savings(saved: Savings) -> str:
    moved, stored = _size(saved.moved_bytes), _size(saved.stored_bytes)
    return f"{saved.iterations} tile steps, {moved} not moved (estimate: each use counted), {stored} not stored"


def _size(count: int) -> str:
    for unit in ("bytes", "KiB", "MiB"):
        if count < 10240:
            return f"{count} {unit}"
        count = round(count / 1024)
    return f"{count} GiB"
