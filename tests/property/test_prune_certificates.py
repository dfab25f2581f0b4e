"""The checker accepts every certificate that pruning leaves, and refuses damaged ones."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.diagnostics import InternalError
from compiler.ir import TensorGraph
from compiler.numerics.masks import TileMask
from compiler.partition.nest import Workload
from compiler.partition.tiling import tile
from compiler.passes import run_pipeline
from compiler.prune import Certificate, Pruned, PruneOptions, prune, render
from compiler.prune.certificates import Origin, Reason, Rule, Savings
from compiler.prune.check import check
from runtime.testing.sparse import sparse_graphs, special_tensors, zero_tiles
from runtime.testing.strategies import graphs

SEEDS = st.integers(0, 2**16)


def _case(graph: TensorGraph, seed: int, assume_finite: bool) -> tuple[Workload, PruneOptions]:
    optimized = run_pipeline(graph)
    zeros = zero_tiles(optimized, special_tensors(optimized, seed, share=0.0), seed)
    return tile(optimized), PruneOptions(assume_finite=assume_finite, zeros=zeros)


@given(sparse_graphs(), SEEDS, st.booleans())
def test_certificates_are_accepted(graph: TensorGraph, seed: int, assume_finite: bool) -> None:
    workload, options = _case(graph, seed, assume_finite)
    check(workload, options, prune(None, workload, options))


@given(graphs())
def test_certificates_are_accepted_for_every_operation(graph: TensorGraph) -> None:
    workload = tile(run_pipeline(graph))
    check(workload, PruneOptions(), prune(None, workload))


@given(sparse_graphs(), SEEDS, st.booleans(), st.data())
def test_damaged_certificates_are_refused(
    graph: TensorGraph, seed: int, assume_finite: bool, data: st.DataObject
) -> None:
    workload, options = _case(graph, seed, assume_finite)
    pruned = prune(None, workload, options)
    damaged = [wrong for number in range(len(pruned.certificates)) for wrong in _damaged(pruned, number)]
    if damaged:
        with pytest.raises(InternalError):
            check(workload, options, data.draw(st.sampled_from(damaged)))


def _damaged(pruned: Pruned, number: int) -> Iterator[Pruned]:
    """Copies with one certificate wrong in one place."""
    before, certificate, after = (
        pruned.certificates[:number],
        pruned.certificates[number],
        pruned.certificates[number + 1 :],
    )
    yield replace(pruned, certificates=(*before, *after))
    for wrong in _wrong(certificate):
        yield replace(pruned, certificates=(*before, wrong, *after))


def _wrong(certificate: Certificate) -> Iterator[Certificate]:
    saved = certificate.saved
    yield replace(certificate, saved=Savings(saved.iterations + 1, saved.moved_bytes, saved.stored_bytes))
    yield replace(certificate, name="another")
    for place, reason in enumerate(certificate.reasons):
        others = certificate.reasons[:place], certificate.reasons[place + 1 :]
        yield replace(certificate, reasons=(*others[0], *others[1]))
        for wrong in _wrong_reasons(reason):
            yield replace(certificate, reasons=(*others[0], wrong, *others[1]))


def _wrong_reasons(reason: Reason) -> Iterator[Reason]:
    flags = reason.iterations.array
    for point in {0, flags.size // 2, flags.size - 1}:
        flipped = flags.copy().reshape(-1)
        flipped[point] = ~flipped[point]
        yield replace(reason, iterations=TileMask.of(flipped.reshape(flags.shape)))
    for rule in Rule:
        if rule is not reason.rule:
            yield replace(reason, rule=rule)
    for place, premise in enumerate(reason.premises):
        others = reason.premises[:place], reason.premises[place + 1 :]
        yield replace(reason, premises=(*others[0], *others[1]))
        for origin in Origin:
            if origin is not premise.origin:
                yield replace(reason, premises=(*others[0], replace(premise, origin=origin), *others[1]))


@given(sparse_graphs(), SEEDS)
def test_text_names_every_nest(graph: TensorGraph, seed: int) -> None:
    workload, options = _case(graph, seed, assume_finite=True)
    pruned = prune(None, workload, options)
    text = render(pruned)
    assert all(certificate.name in text for certificate in pruned.certificates)
    assert text.endswith("\n")
    total = sum(int(np.sum(~_mask(certificate))) for certificate in pruned.certificates)
    assert total == pruned.saved.iterations


def _mask(certificate: Certificate) -> np.typing.NDArray[np.bool_]:
    """Iterations that stay."""
    gone = [reason.iterations.array for reason in certificate.reasons]
    return np.asarray(~np.logical_or.reduce(gone))
