"""Routes on grids small enough to follow by eye."""

import pytest

from compiler.program.image import Hop
from compiler.route.geometry import hop_count, multicast, unicast
from compiler.route.problem import TrafficClass
from compiler.target import Coord, Machine
from compiler.target.load import load_machine


@pytest.fixture(scope="module")
def wormhole() -> Machine:
    return load_machine("wormhole_n150")


@pytest.fixture(scope="module")
def mesh() -> Machine:
    return load_machine("mesh_4x4")


def _path(hops: tuple[Hop, ...]) -> list[tuple[int, int]]:
    return [(hop.dst.x, hop.dst.y) for hop in hops]


def test_noc_0_goes_right_then_down_and_wraps(wormhole: Machine) -> None:
    hops = unicast(wormhole, 0, Coord(8, 11), Coord(1, 1))
    assert _path(hops) == [(9, 11), (0, 11), (1, 11), (1, 0), (1, 1)]
    assert [hop.vc for hop in hops] == [0, 1, 1, 1, 1]


def test_a_turn_starts_before_the_dateline_again(wormhole: Machine) -> None:
    hops = unicast(wormhole, 0, Coord(9, 3), Coord(0, 5))
    assert _path(hops) == [(0, 3), (0, 4), (0, 5)]
    assert [hop.vc for hop in hops] == [1, 0, 0]


def test_noc_1_goes_up_then_left(wormhole: Machine) -> None:
    hops = unicast(wormhole, 1, Coord(1, 1), Coord(9, 11), TrafficClass.RESPONSE)
    assert _path(hops) == [(1, 0), (1, 11), (0, 11), (9, 11)]
    assert [hop.vc for hop in hops] == [6, 7, 6, 7]


@pytest.mark.parametrize("noc", [0, 1])
def test_a_round_trip_walks_every_ring_it_uses(wormhole: Machine, noc: int) -> None:
    """10, 12 or 22 hops on Wormhole (tt-isa-documentation, NoC/RoutingPaths; the published latencies agree)."""
    for far, hops in ((Coord(4, 1), 10), (Coord(1, 9), 12), (Coord(7, 8), 22)):
        near = Coord(1, 1)
        assert hop_count(wormhole, noc, near, far) + hop_count(wormhole, noc, far, near) == hops


def test_the_two_nocs_of_a_torus_go_opposite_ways(wormhole: Machine) -> None:
    a, b = Coord(2, 3), Coord(7, 9)
    assert hop_count(wormhole, 0, a, b) == hop_count(wormhole, 1, b, a) == len(unicast(wormhole, 0, a, b))


def test_a_mesh_goes_the_short_way(mesh: Machine) -> None:
    far = Coord(mesh.columns - 1, mesh.rows - 1)
    hops = unicast(mesh, 0, far, Coord(0, 0))
    assert len(hops) == hop_count(mesh, 0, far, Coord(0, 0)) == far.x + far.y
    assert {hop.vc for hop in hops} == {0}


def test_a_tree_is_a_trunk_with_branches(mesh: Machine) -> None:
    targets = [Coord(x, y) for x in (1, 2) for y in (0, 1, 2)]
    hops = multicast(mesh, 0, Coord(1, 1), targets)
    assert _path(hops) == [(2, 1), (1, 2), (1, 0), (2, 2), (2, 0)]
    assert {hop.vc for hop in hops} == {4}


def test_a_tree_on_a_torus_wraps_into_the_rows_behind(wormhole: Machine) -> None:
    hops = multicast(wormhole, 0, Coord(1, 10), [Coord(1, 1), Coord(1, 11), Coord(2, 10)])
    assert _path(hops) == [(2, 10), (1, 11), (1, 0), (1, 1)]
    assert [hop.vc for hop in hops] == [4, 4, 5, 5]


def test_nothing_to_cross(wormhole: Machine) -> None:
    here = Coord(3, 3)
    assert unicast(wormhole, 0, here, here) == multicast(wormhole, 1, here, [here]) == multicast(wormhole, 1, here, [])
    assert unicast(wormhole, 0, here, here) == ()
