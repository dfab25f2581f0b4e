"""What must hold of a machine before anything is compiled for it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from math import gcd, isfinite

from compiler.diagnostics import Diagnostic, DiagnosticError
from compiler.numerics import DType, ScalarOp
from compiler.numerics.fidelity import MATMUL_DTYPES
from compiler.numerics.layout import page_bytes
from compiler.target.machine import Coord, Machine, Noc, SiteKind, Topology

UNTIMED = frozenset({ScalarOp.ARG, ScalarOp.CONST, ScalarOp.CAST})
"""Steps of an expression that take no pass of the vector unit: operands, constants, and conversions, which ride on the
load and the store."""

LIKE = {ScalarOp.MULZ: ScalarOp.MUL}
"""Steps that have the cost of another: the unit looks at the operands of a product anyway."""

MIN_DST_TILES = 2
MEMORY_UNIT = 16
"""Bytes that a memory serves whole (tt-isa-documentation, NoC/Ordering: L1 is accessed in units of 16 bytes)."""
MIN_L1_PAGES = 8
"""The least L1 that can hold double-buffered operands and a result, in 4-byte pages."""

_MAY_BE_ZERO = frozenset(
    {
        *("hop", "niu", "read_issue", "write_issue", "atomic_issue", "read_overhead", "write_overhead"),
        *("packet_gap", "read_packet_gap", "multicast_reserve_per_hop", "multicast_reserve_base"),
        *("vector_load_store", "access", "request_spacing", "cb_op", "semaphore_poll", "loop", "copy_word", "launch"),
        *("table_load", "flag_check"),
        *("semaphores", "l1_reserved_bytes", "instruction", "fidelity_phase"),
    }
)


def check_machine(machine: Machine) -> None:
    """Raise `DiagnosticError` (E0404) with one diagnostic per violated rule."""
    found = tuple(Diagnostic("E0404", f"machine `{machine.name}`: {text}") for text in violations(machine))
    if found:
        raise DiagnosticError(found)


def violations(machine: Machine) -> Iterator[str]:
    """Sentences, one per violated rule; none for a sound machine.

    - the floor plan is a rectangle with at least one core;
    - every DRAM channel stands on a DRAM site, at most one per site, and there is at least one;
    - a torus has steps of +1 or -1, a mesh of 0; the axis order is `xy` or `yx`;
    - costs are finite and not negative; sizes, rates and counts are positive;
    - the cost tables are complete: every type of `MATMUL_DTYPES`, every scalar operation not in `UNTIMED`;
    - alignments are multiples of `MEMORY_UNIT` and divide a page; L1 holds `MIN_L1_PAGES` above its reserved part;
    - every fact is about a constant of the machine.
    """
    plan = list(_floor_plan(machine))
    yield from plan
    if not plan:
        yield from _dram(machine)
    for number, noc in enumerate(machine.nocs):
        yield from _noc(number, noc)
    yield from _numbers(machine)
    yield from _tables(machine)
    yield from _memory(machine)
    known = set(constant_names(machine))
    yield from (f"the fact `{name}` is about no constant of the machine" for name in machine.facts if name not in known)


def constant_names(machine: Machine) -> Iterator[str]:
    """The dotted name of every constant, in the order of the text form: `clock_ghz`, `nocs.0.order`, `noc.hop`, ..."""
    yield from _names("", machine)


def _names(prefix: str, value: object) -> Iterator[str]:
    for key, item in _members(value):
        yield from _names(f"{prefix}.{key}" if prefix else key, item) if _is_inner(item) else ()
        if not _is_inner(item):
            yield f"{prefix}.{key}" if prefix else key


def _members(value: object) -> Iterable[tuple[str, object]]:
    if isinstance(value, Mapping):
        return [(key.value, item) for key, item in value.items()]
    if isinstance(value, tuple):
        return [(str(index), item) for index, item in enumerate(value)]
    assert is_dataclass(value)
    return [(item.name, getattr(value, item.name)) for item in fields(value) if item.name != "facts"]


def _is_inner(value: object) -> bool:
    if isinstance(value, tuple):
        return bool(value) and isinstance(value[0], Noc)
    return isinstance(value, Mapping) or (is_dataclass(value) and not isinstance(value, Coord))


def _floor_plan(machine: Machine) -> Iterator[str]:
    widths = {len(row) for row in machine.floor_plan}
    if len(widths) != 1 or 0 in widths:
        yield "the floor plan is not a rectangle: every row needs the same number of sites, at least one"
    elif not machine.cores:
        yield "the floor plan has no core (letter `T`)"


def _dram(machine: Machine) -> Iterator[str]:
    if not machine.dram.channels:
        yield "there is no DRAM channel: inputs and outputs live in DRAM, so at least one is needed"
    for channel, count in Counter(machine.dram.channels).items():
        if count > 1:
            yield f"{count} DRAM channels share the position {channel}"
        if not (0 <= channel.x < machine.columns and 0 <= channel.y < machine.rows):
            yield f"the DRAM channel at {channel} is outside the {machine.columns} x {machine.rows} floor plan"
        elif machine.floor_plan[channel.y][channel.x] is not SiteKind.DRAM:
            yield f"the DRAM channel at {channel} does not stand on a DRAM site (letter `D`)"


def _noc(number: int, noc: Noc) -> Iterator[str]:
    if noc.order not in ("xy", "yx"):
        yield f"NoC {number} has axis order `{noc.order}`; allowed are `xy` and `yx`"
    steps = (noc.x_step, noc.y_step)
    if noc.topology is Topology.TORUS and not {*steps} <= {1, -1}:
        yield f"NoC {number} is a torus and moves by {steps}; each step of a torus is 1 or -1"
    if noc.topology is Topology.MESH and steps != (0, 0):
        yield f"NoC {number} is a mesh and moves by {steps}; a mesh has links both ways, written as steps of 0"


def _numbers(machine: Machine) -> Iterator[str]:
    for group, value in (
        ("", machine),
        ("noc.", machine.noc),
        ("compute.", machine.compute),
        ("dram.", machine.dram),
        ("core.", machine.core),
    ):
        for name, number in _members(value):
            if isinstance(number, int | float):
                yield from _number(group + name, number, name in _MAY_BE_ZERO)


def _number(name: str, number: float, may_be_zero: bool) -> Iterator[str]:
    if not isfinite(number) or number < 0 or (number == 0 and not may_be_zero):
        yield f"`{name}` is {number}; it must be a finite number {'>= 0' if may_be_zero else '> 0'}"


def _tables(machine: Machine) -> Iterator[str]:
    for dtype in MATMUL_DTYPES:
        if machine.compute.matmul.get(dtype, 0) <= 0:
            yield f"`compute.matmul.{dtype.value}` is missing or not positive"
    saved = 3 * machine.compute.fidelity_phase
    if saved >= machine.compute.matmul.get(DType.BF16, saved + 1):
        yield f"three of `compute.fidelity_phase` are {saved}, no less than `compute.matmul.bf16`"
    for op in ScalarOp:
        if op not in UNTIMED and op not in LIKE and machine.compute.vector.get(op, 0) <= 0:
            yield f"`compute.vector.{op.value}` is missing or not positive"
    for name in [d.value for d in machine.compute.matmul if d not in MATMUL_DTYPES]:
        yield f"`compute.matmul.{name}` is a cost of a product that no instruction computes"
    for name in [op.value for op in machine.compute.vector if op in UNTIMED]:
        yield f"`compute.vector.{name}` is a cost of a step that takes no time"
    if machine.compute.dst_tiles < MIN_DST_TILES:
        yield f"`compute.dst_tiles` is {machine.compute.dst_tiles}; kernels need at least {MIN_DST_TILES}"


def _memory(machine: Machine) -> Iterator[str]:
    granule = gcd(*(page_bytes(dtype) for dtype in DType))
    for name in ("l1_alignment", "dram_alignment"):
        value = getattr(machine, name)
        if value <= 0 or granule % value or value % MEMORY_UNIT:
            yield f"`{name}` is {value}; it must divide every page, so {granule}, and be a multiple of {MEMORY_UNIT}"
            return
    needed = MIN_L1_PAGES * page_bytes(DType.F32)
    if machine.l1_available < needed:
        yield (
            f"L1 has {machine.l1_available} bytes above its reserved part; at least {needed} are needed "
            f"({MIN_L1_PAGES} tiles of f32)"
        )
    if machine.dram.channel_bytes < page_bytes(DType.F32):
        yield f"`dram.channel_bytes` is {machine.dram.channel_bytes}, less than a tile of f32"
