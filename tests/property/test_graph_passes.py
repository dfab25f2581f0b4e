"""Passes keep what a graph means; generated programs, generated data."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.ir import Fed, TensorGraph, parse_graph, print_graph, verify
from compiler.passes import PIPELINE, run_pipeline
from runtime.reference import compare, evaluate, evaluate_with_bounds
from runtime.testing.strategies import graphs, tensors_for

STEPS = tuple({step.name: step for group in PIPELINE for step in group}.values())


def signature(graph: TensorGraph) -> list[object]:
    leaves = [(op.kind, op.type) for op in graph.ops if isinstance(op.kind, Fed)]
    return [*leaves, *((name, graph.ops[value].type) for name, value in graph.outputs)]


@given(graph=graphs())
@settings(max_examples=100, deadline=None)
def test_printing_and_parsing_is_the_identity(graph: TensorGraph) -> None:
    assert parse_graph(print_graph(graph)) == graph
    optimized = run_pipeline(graph)
    assert print_graph(parse_graph(print_graph(optimized))) == print_graph(optimized)


@given(graph=graphs(), step=st.sampled_from(STEPS), seed=st.integers(0, 99), whole=st.booleans())
@settings(max_examples=150, deadline=None)
def test_every_pass_keeps_the_values_and_the_signature(
    graph: TensorGraph, step: object, seed: int, whole: bool
) -> None:
    after = step.run(graph)  # type: ignore[attr-defined]
    verify(after)
    check_same(graph, after, seed, whole)


@given(graph=graphs(), seed=st.integers(0, 99), whole=st.booleans())
@settings(max_examples=150, deadline=None)
def test_the_pipeline_keeps_the_values_and_the_signature(graph: TensorGraph, seed: int, whole: bool) -> None:
    check_same(graph, run_pipeline(graph, check=True), seed, whole)


def check_same(before: TensorGraph, after: TensorGraph, seed: int, whole: bool) -> None:
    assert signature(before) == signature(after)
    tensors = tensors_for(before, seed, whole=whole)
    bounded, found = evaluate_with_bounds(before, tensors), evaluate(after, tensors)
    for name, (value, bound) in bounded.items():
        assert value.tobytes() == evaluate(before, tensors)[name].tobytes()
        result = compare(value, bound, found[name])
        assert result.ok, result
        zero = (value == 0) & (bound == 0)
        assert not np.any(zero & (np.signbit(value.astype(float)) != np.signbit(found[name].astype(float))))


@given(graph=graphs())
@settings(max_examples=60, deadline=None)
def test_the_pipeline_reaches_a_fixpoint(graph: TensorGraph) -> None:
    once = run_pipeline(graph)
    assert print_graph(run_pipeline(once)) == print_graph(once)
