"""Routes of random traffic on random machines: complete, dimension-ordered, free of deadlock."""

from dataclasses import replace
from itertools import product

import networkx as nx
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from compiler.diagnostics import InternalError
from compiler.program.image import CoreSet, Hop, MulticastRoute, Route, UnicastRoute
from compiler.route.check import check, prove_deadlock_free
from compiler.route.problem import RouteProblem, RouteSolution, Stream, TrafficClass, Transfer, TransferKind, route_key
from compiler.route.solve import solve
from compiler.target import Coord, Machine, Topology
from runtime.testing.machines import machines


@st.composite
def problems(draw: st.DrawFn, max_streams: int = 5) -> RouteProblem:
    machine = draw(machines(min_cores=2))
    core = st.sampled_from(machine.cores)
    core_sets = tuple(draw(st.lists(_core_sets(machine), min_size=1, max_size=3)))
    far = st.sampled_from(machine.cores + machine.dram.channels)
    nbytes = st.integers(0, 100_000)
    unicast = st.builds(
        Transfer, st.sampled_from((TransferKind.READ, TransferKind.WRITE)), core, far, st.just(-1), nbytes
    )
    multicast = st.builds(
        lambda source, targets, size: Transfer(TransferKind.MULTICAST, source, source, targets, size),
        core,
        st.integers(0, len(core_sets) - 1),
        nbytes,
    )
    transfers = st.lists(st.one_of(unicast, multicast), max_size=12).map(tuple)
    streams = draw(st.lists(st.builds(Stream, st.just("s"), transfers, st.integers(0, 1)), max_size=max_streams))
    return RouteProblem(machine, tuple(streams), core_sets)


def _core_sets(machine: Machine) -> st.SearchStrategy[CoreSet]:
    """The live cores of the rectangle spanned by two cores."""

    def span(a: Coord, b: Coord) -> CoreSet:
        columns, rows = sorted((a.x, b.x)), sorted((a.y, b.y))
        inside = (
            c.x in range(columns[0], columns[1] + 1) and c.y in range(rows[0], rows[1] + 1) for c in machine.cores
        )
        return CoreSet(tuple(number for number, member in enumerate(inside) if member), True)

    return st.builds(span, st.sampled_from(machine.cores), st.sampled_from(machine.cores))


def everything(machine: Machine) -> RouteProblem:
    """Every core reads, writes and multicasts to everything, on both NoCs."""
    ends = machine.cores + machine.dram.channels
    kinds = (TransferKind.READ, TransferKind.WRITE)
    unicasts = tuple(Transfer(kind, core, far, -1, 1) for kind in kinds for core in machine.cores for far in ends)
    trees = tuple(Transfer(TransferKind.MULTICAST, core, core, 0, 1) for core in machine.cores)
    streams = (Stream("a", unicasts + trees, 0), Stream("b", unicasts + trees, 1))
    return RouteProblem(machine, streams, (CoreSet(tuple(range(len(machine.cores))), True),))


@given(problems())
def test_solutions_pass_the_check_and_are_deadlock_free(problem: RouteProblem) -> None:
    solution = solve(problem)
    check(problem, solution)
    prove_deadlock_free(problem.machine, solution.routes)
    assert solution == solve(problem)


@given(machines(max_side=4))
def test_all_traffic_at_once_is_deadlock_free(machine: Machine) -> None:
    problem = everything(machine)
    solution = solve(problem)
    check(problem, solution)
    prove_deadlock_free(machine, solution.routes)


@given(problems(max_streams=4))
def test_choice_of_nocs_is_a_local_optimum(problem: RouteProblem) -> None:
    """Neither the defaults nor any single other choice has a lower busiest link."""
    solution = solve(problem)
    loads = {nocs: _busiest(problem, nocs) for nocs in product((0, 1), repeat=len(problem.streams))}
    assert loads[solution.nocs] == solution.max_link_load
    assert solution.max_link_load <= loads[tuple(stream.default_noc for stream in problem.streams)]
    for stream in range(len(problem.streams)):
        nocs = (*solution.nocs[:stream], 1 - solution.nocs[stream], *solution.nocs[stream + 1 :])
        assert solution.max_link_load <= loads[nocs]


def _busiest(problem: RouteProblem, nocs: tuple[int, ...]) -> int:
    """Count the bytes on each link by shortest paths through a graph whose weights prefer the first axis."""
    loads: dict[tuple[int, Coord, Coord], int] = {}
    for stream, noc in zip(problem.streams, nocs, strict=True):
        for transfer in stream.transfers:
            for link in _links(problem, transfer, noc):
                loads[(noc, *link)] = loads.get((noc, *link), 0) + transfer.nbytes
    return max(loads.values(), default=0)


def _links(problem: RouteProblem, transfer: Transfer, noc: int) -> set[tuple[Coord, Coord]]:
    if transfer.kind is TransferKind.READ:
        return _walk(problem.machine, noc, transfer.far, transfer.core)
    if transfer.kind is TransferKind.WRITE:
        return _walk(problem.machine, noc, transfer.core, transfer.far)
    members = (problem.machine.cores[number] for number in problem.core_sets[transfer.far_set].cores)
    return {link for member in members for link in _walk(problem.machine, noc, transfer.core, member)}


def _walk(machine: Machine, noc: int, src: Coord, dst: Coord) -> set[tuple[Coord, Coord]]:
    links = set()
    here = src
    for axis in machine.nocs[noc].order:
        while getattr(here, axis) != getattr(dst, axis):
            there = _step(machine, noc, axis, here, dst)
            links.add((here, there))
            here = there
    return links


def _step(machine: Machine, noc: int, axis: str, here: Coord, dst: Coord) -> Coord:
    network = machine.nocs[noc]
    if axis == "x":
        step = network.x_step or (1 if dst.x > here.x else -1)
        return Coord((here.x + step) % machine.columns, here.y)
    step = network.y_step or (1 if dst.y > here.y else -1)
    return Coord(here.x, (here.y + step) % machine.rows)


@st.composite
def solved_with_a_long_route(draw: st.DrawFn) -> tuple[RouteProblem, RouteSolution, int]:
    """A solved problem and the number of a route of at least two hops."""
    problem = draw(problems())
    solution = solve(problem)
    long = [number for number, route in enumerate(solution.routes) if len(route.hops) >= 2]
    assume(long)
    return problem, solution, draw(st.sampled_from(long))


def _with_hops(solution: RouteSolution, number: int, hops: tuple[Hop, ...]) -> RouteSolution:
    routes: list[Route] = list(solution.routes)
    routes[number] = replace(routes[number], hops=hops)
    return replace(solution, routes=tuple(sorted(routes, key=route_key)))


def _rejects(problem: RouteProblem, solution: RouteSolution) -> None:
    with pytest.raises(InternalError, match=r"^route: "):
        check(problem, solution)


@given(solved_with_a_long_route(), st.data())
def test_check_rejects_a_missing_hop(case: tuple[RouteProblem, RouteSolution, int], data: st.DataObject) -> None:
    problem, solution, number = case
    hops = solution.routes[number].hops
    gone = data.draw(st.integers(0, len(hops) - 1))
    _rejects(problem, _with_hops(solution, number, hops[:gone] + hops[gone + 1 :]))


@given(solved_with_a_long_route(), st.data())
def test_check_rejects_another_virtual_channel(
    case: tuple[RouteProblem, RouteSolution, int], data: st.DataObject
) -> None:
    problem, solution, number = case
    hops = list(solution.routes[number].hops)
    which = data.draw(st.integers(0, len(hops) - 1))
    hops[which] = replace(hops[which], vc=hops[which].vc ^ data.draw(st.integers(1, 7)))
    _rejects(problem, _with_hops(solution, number, tuple(hops)))


@given(problems(), st.data())
def test_check_rejects_a_missing_route_and_a_wrong_load(problem: RouteProblem, data: st.DataObject) -> None:
    solution = solve(problem)
    _rejects(problem, replace(solution, max_link_load=solution.max_link_load + 1))
    if solution.routes:
        gone = data.draw(st.integers(0, len(solution.routes) - 1))
        _rejects(problem, replace(solution, routes=solution.routes[:gone] + solution.routes[gone + 1 :]))
        _rejects(problem, replace(solution, routes=(*solution.routes, solution.routes[gone])))


@given(machines(max_side=5), st.data())
def test_check_rejects_the_other_axis_first(machine: Machine, data: st.DataObject) -> None:
    corners = [(a, b) for a in machine.cores for b in machine.dram.channels if a.x != b.x and a.y != b.y]
    assume(corners)
    core, far = data.draw(st.sampled_from(corners))
    problem = RouteProblem(machine, (Stream("s", (Transfer(TransferKind.READ, core, far, -1, 0),), 0),), ())
    first, second = (replace(noc, order=noc.order[::-1]) for noc in machine.nocs)
    flipped = replace(machine, nocs=(first, second))
    swapped = solve(replace(problem, machine=flipped))
    _rejects(problem, swapped)


@given(machines(max_side=4))
def test_proof_agrees_with_networkx_when_datelines_are_dropped(machine: Machine) -> None:
    """Without datelines a ring of three or more links that everything uses waits for itself."""
    routes = [_without_datelines(route) for route in solve(everything(machine)).routes]
    graph: nx.DiGraph[tuple[int, Hop]] = nx.DiGraph()
    for route in routes:
        arrivals = {hop.dst: hop for hop in route.hops}
        graph.add_edges_from(
            ((route.noc, arrivals[hop.src]), (route.noc, hop)) for hop in route.hops if hop.src in arrivals
        )
    if nx.is_directed_acyclic_graph(graph):
        prove_deadlock_free(machine, routes)
    else:
        assert machine.nocs[0].topology is Topology.TORUS
        with pytest.raises(InternalError, match=r"can deadlock: the .* which waits for"):
            prove_deadlock_free(machine, routes)


def _without_datelines(route: Route) -> Route:
    return replace(route, hops=tuple(replace(hop, vc=hop.vc & ~1) for hop in route.hops))


def _square(order: str) -> list[Route]:
    """Four unicasts around a square of routers, each turning once."""
    corners = [Coord(0, 0), Coord(1, 0), Coord(1, 1), Coord(0, 1)]
    if order == "counter":
        corners.reverse()
    turns = [(corners[i], corners[(i + 1) % 4], corners[(i + 2) % 4]) for i in range(4)]
    return [UnicastRoute(0, a, c, (Hop(a, b, 0), Hop(b, c, 0))) for a, b, c in turns]


@given(machines(max_side=4), st.sampled_from(("clock", "counter")))
def test_four_turns_around_a_square_are_rejected(machine: Machine, order: str) -> None:
    assume(machine.nocs[0].topology is Topology.MESH)
    with pytest.raises(InternalError, match="can deadlock"):
        prove_deadlock_free(machine, _square(order))
    prove_deadlock_free(machine, _square(order)[:3])


@given(machines(max_side=4))
def test_answers_that_share_the_channels_of_requests_are_rejected(machine: Machine) -> None:
    """A tree and the answers of its members must not wait for one another."""
    here, there = Coord(0, 0), Coord(1, 0)
    assume(machine.nocs[0].topology is Topology.MESH)
    answer = TrafficClass.RESPONSE * 2
    out = MulticastRoute(0, here, 0, (Hop(here, there, 4),))
    back = UnicastRoute(0, there, here, (Hop(there, here, answer),))
    prove_deadlock_free(machine, [out, back])
    loop = UnicastRoute(0, there, there, (Hop(there, here, answer), Hop(here, there, 4)))
    with pytest.raises(InternalError, match="interface at"):
        prove_deadlock_free(machine, [out, loop])
