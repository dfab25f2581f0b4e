"""The cost table against published figures and against properties of its own."""

from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.numerics import DType, ExprBuilder, ScalarOp
from compiler.numerics.expr import identity
from compiler.target import Coord, Machine, load_machine
from compiler.target.costs import (
    ComputeCost,
    acknowledgements,
    dram_service,
    fill_cost,
    flits,
    gather_cost,
    hop_count,
    map_cost,
    matmul_cost,
    multicast_reserve,
    pack_cost,
    packets,
    product_cycles,
    reduce_cost,
)
from runtime.testing.machines import machines

WORMHOLE = load_machine("wormhole_n150")


def test_a_largest_packet_has_257_flits() -> None:
    assert (packets(WORMHOLE, 8192), flits(WORMHOLE, 8192)) == (1, 257)
    assert (packets(WORMHOLE, 8193), flits(WORMHOLE, 8193)) == (2, 259)
    assert (packets(WORMHOLE, 0), flits(WORMHOLE, 0)) == (1, 1)


def test_round_trips_agree_with_published_latencies() -> None:
    noc = WORMHOLE.noc
    near = hop_count(WORMHOLE, 1, Coord(1, 1), Coord(1, 4)) + hop_count(WORMHOLE, 1, Coord(1, 4), Coord(1, 1))
    far = hop_count(WORMHOLE, 1, Coord(1, 1), Coord(3, 4)) + hop_count(WORMHOLE, 1, Coord(3, 4), Coord(1, 1))
    assert (near, far) == (12, 22)
    read = noc.read_issue + noc.read_overhead + 4 * noc.niu
    write = noc.write_issue + noc.write_overhead + 4 * noc.niu
    assert abs(read + near * noc.hop - 205) <= 2
    assert abs(read + far * noc.hop - 293) <= 2
    assert abs(write + near * noc.hop - 206) <= 2
    assert abs(write + far * noc.hop - 294) <= 2


def test_multicast_reserve_agrees_with_published_intervals() -> None:
    for hops, measured in ((2, 39), (4, 71), (11, 181), (15, 245), (17, 277)):
        assert abs(multicast_reserve(WORMHOLE, hops) - measured) <= 1
    assert acknowledgements(WORMHOLE, 64) == 64


def test_a_dram_channel_serves_at_its_sustained_rate() -> None:
    assert dram_service(WORMHOLE, 8192) == 370  # 22.2 bytes per cycle; 367 was measured
    assert dram_service(WORMHOLE, 1) == 7


def test_matmul_is_bound_by_math_and_keeps_the_smaller_side() -> None:
    bf16, bfp8 = DType.BF16, DType.BFP8
    assert matmul_cost(WORMHOLE, bf16, bf16, 2, 2, 4) == ComputeCost(unpack=6 * 4 * 2048 // 64, math=16 * 69)
    assert matmul_cost(WORMHOLE, DType.F32, DType.F32, 1, 1, 1).pace == 1536
    assert matmul_cost(WORMHOLE, bf16, bfp8, 1, 4, 1).unpack == (2048 + 4 * 1088) // 64
    assert matmul_cost(WORMHOLE, bf16, bfp8, 4, 1, 1).unpack == (1088 + 4 * 2048) // 64


def test_products_of_block_floats_agree_with_published_cycles() -> None:
    """tt-metal: bfp8 in two phases 35.8 to 37.7 cycles per tile, one phase 20.3 to 21.9."""
    pairs = {DType.BFP8: 37, DType.BFP4: 21, DType.FP8_E5M2: 21}
    assert {dtype: product_cycles(WORMHOLE, dtype, dtype) for dtype in pairs} == pairs
    assert product_cycles(WORMHOLE, DType.BF16, DType.BFP4) == 69 - 2 * 16


def test_a_copy_needs_no_pass_of_the_vector_unit() -> None:
    cost = map_cost(WORMHOLE, identity(DType.BF16), (DType.BF16,))
    assert cost == ComputeCost(unpack=32, math=WORMHOLE.compute.instruction)


def test_register_operands_cost_no_unpacking() -> None:
    builder = ExprBuilder()
    result = builder.op(ScalarOp.ADD, DType.F32, builder.arg(0, DType.F32), builder.arg(1, DType.F32))
    expr = builder.build(result)
    assert map_cost(WORMHOLE, expr, ()) == ComputeCost(math=124 + 32)
    assert map_cost(WORMHOLE, expr, (DType.F32,)).unpack == 64


@given(machine=machines(), nbytes=st.integers(0, 1 << 20))
@settings(deadline=None, max_examples=40)
def test_flits_carry_all_bytes(machine: Machine, nbytes: int) -> None:
    payload = flits(machine, nbytes) - packets(machine, nbytes)
    assert nbytes <= payload * machine.noc.flit_bytes < nbytes + machine.noc.flit_bytes
    assert payload <= packets(machine, nbytes) * machine.noc.max_packet_flits


@given(machine=machines(min_cores=2), data=st.data())
@settings(deadline=None, max_examples=40)
def test_hops_there_and_back_are_rings_or_twice_the_distance(machine: Machine, data: st.DataObject) -> None:
    src, dst = data.draw(st.sampled_from(machine.cores)), data.draw(st.sampled_from(machine.cores))
    noc = data.draw(st.sampled_from((0, 1)))
    there, back = hop_count(machine, noc, src, dst), hop_count(machine, noc, dst, src)
    rings = machine.columns * (src.x != dst.x) + machine.rows * (src.y != dst.y)
    assert there + back in (rings, 2 * (abs(src.x - dst.x) + abs(src.y - dst.y)))
    assert (there == 0) == (src == dst)


@given(machine=machines(), dtype=st.sampled_from(DType), runs=st.integers(0, 64))
@settings(deadline=None, max_examples=30)
def test_costs_are_not_negative_and_grow(machine: Machine, dtype: DType, runs: int) -> None:
    assert pack_cost(machine, dtype, accumulate=False).pack >= 1
    assert gather_cost(machine, dtype, runs + 1) >= gather_cost(machine, dtype, runs) >= 0
    assert reduce_cost(machine).math >= 1
    assert fill_cost(machine).math >= 0
    once = matmul_cost(machine, DType.BF16, DType.BF16, 1, 1, 1)
    assert (once + once) == once.times(2)
    assert matmul_cost(machine, DType.BF16, DType.BF16, 2, 1, 1).pace >= once.pace
