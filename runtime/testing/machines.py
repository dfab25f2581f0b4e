"""Small machines, drawn at random: every one of them passes `check_machine`."""

from typing import TypeVar

from hypothesis import strategies as st

from compiler.numerics import DType, ScalarOp
from compiler.numerics.fidelity import MATMUL_DTYPES
from compiler.target import ComputeTiming, Coord, CoreTiming, Dram, Fact, Machine, Noc, NocTiming, SiteKind, Topology
from compiler.target.check import UNTIMED

_Key = TypeVar("_Key", DType, ScalarOp)
Plan = tuple[tuple[SiteKind, ...], ...]

_HOLES = (SiteKind.HARVESTED, SiteKind.ETHERNET, SiteKind.ROUTER)


def _costs(most: int = 50) -> st.SearchStrategy[int]:
    return st.integers(0, most)


@st.composite
def machines(draw: st.DrawFn, max_side: int = 5, min_cores: int = 1) -> Machine:
    """A machine of at most `max_side` x `max_side` positions and at least `min_cores` cores, with holes, either
    topology and random costs. L1 holds 64 to 384 KiB."""
    plan = draw(_plans(max_side, min_cores))
    semaphores = draw(st.integers(64, 160))
    reserved = draw(st.integers(0, 4096))
    return Machine(
        name=draw(st.sampled_from(("tiny", "drawn machine", 'odd "name" \\ é'))),
        description="drawn by a property test",
        clock_ghz=draw(st.sampled_from((0.5, 1.0, 1.35))),
        floor_plan=plan,
        nocs=draw(_noc_pairs()),
        noc=draw(_noc_timings()),
        compute=draw(_compute_timings()),
        dram=draw(_drams(plan)),
        core=draw(
            st.builds(
                CoreTiming,
                cb_op=_costs(),
                semaphore_poll=_costs(),
                loop=_costs(),
                table_load=_costs(),
                flag_check=_costs(),
                copy_word=_costs(),
                launch=_costs(2000),
            )
        ),
        l1_bytes=draw(st.integers(64, 384)) * 1024,
        l1_reserved_bytes=reserved,
        l1_alignment=draw(st.sampled_from((16, 32, 64))),
        dram_alignment=draw(st.sampled_from((16, 32, 64))),
        circular_buffers=draw(st.integers(24, 64)),
        semaphores=semaphores,
        program_instructions=draw(st.integers(600, 3000)),
        facts=draw(
            st.sampled_from(({}, {"noc.hop": Fact("a test", False), "nocs.0.order": Fact('a "quoted"\nsource', True)}))
        ),
    )


@st.composite
def _plans(draw: st.DrawFn, max_side: int, min_cores: int) -> Plan:
    least = next(side for side in range(2, max_side + 2) if side * (side - 1) >= min_cores)
    columns, rows = draw(st.integers(least, max(least, max_side))), draw(st.integers(least, max(least, max_side)))
    sites = [SiteKind.CORE] * (columns * rows)
    positions = draw(st.permutations(range(columns * rows)))
    drams = draw(st.integers(1, min(4, columns * rows - min_cores)))
    holes = draw(st.integers(0, min(3, columns * rows - min_cores - drams)))
    for position in positions[:drams]:
        sites[position] = SiteKind.DRAM
    for position in positions[drams : drams + holes]:
        sites[position] = draw(st.sampled_from(_HOLES))
    return tuple(tuple(sites[row * columns : (row + 1) * columns]) for row in range(rows))


@st.composite
def _noc_pairs(draw: st.DrawFn) -> tuple[Noc, Noc]:
    if draw(st.booleans()):
        return Noc(Topology.MESH, "xy", 0, 0), Noc(Topology.MESH, "yx", 0, 0)
    step = st.sampled_from((1, -1))
    return (
        Noc(Topology.TORUS, "xy", draw(step), draw(step)),
        Noc(Topology.TORUS, "yx", draw(step), draw(step)),
    )


def _noc_timings() -> st.SearchStrategy[NocTiming]:
    return st.builds(
        NocTiming,
        flit_bytes=st.sampled_from((16, 32, 64)),
        max_packet_flits=st.sampled_from((16, 64, 256)),
        hop=_costs(),
        niu=_costs(),
        read_issue=_costs(),
        write_issue=_costs(),
        atomic_issue=_costs(),
        read_overhead=_costs(),
        write_overhead=_costs(),
        packet_gap=_costs(),
        read_packet_gap=_costs(),
        multicast_reserve_per_hop=_costs(),
        multicast_reserve_base=_costs(),
        ack_per_cycle=st.integers(1, 4),
        virtual_channels=st.just(16),
    )


def _compute_timings() -> st.SearchStrategy[ComputeTiming]:
    timed = tuple(op for op in ScalarOp if op not in UNTIMED)
    return st.builds(
        ComputeTiming,
        matmul=_table(MATMUL_DTYPES),
        fidelity_phase=st.just(0),
        vector=_table(timed),
        vector_load_store=_costs(),
        reduce=st.integers(1, 100),
        unpack_bytes=st.integers(1, 128),
        pack_bytes=st.integers(1, 128),
        pack_accumulate_bytes=st.integers(1, 128),
        instruction=_costs(),
        dst_tiles=st.integers(2, 8),
    )


def _table(keys: tuple[_Key, ...]) -> st.SearchStrategy[dict[_Key, int]]:
    """A cost for each key: one base cost and the key's rank, so that a draw stays cheap and costs differ."""
    return st.integers(1, 500).map(lambda base: {key: base + rank for rank, key in enumerate(keys)})


def _drams(plan: Plan) -> st.SearchStrategy[Dram]:
    sites = tuple(Coord(x, y) for y, row in enumerate(plan) for x, site in enumerate(row) if site is SiteKind.DRAM)
    return st.builds(
        Dram,
        channels=st.permutations(sites).map(tuple),
        channel_bytes=st.just(1 << 26),
        bytes_per_cycle=st.floats(1.0, 64.0),
        access=_costs(300),
        request_spacing=_costs(),
    )
