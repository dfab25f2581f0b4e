"""Machines from text: presets, round trips, messages."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.diagnostics import DiagnosticError
from compiler.target import (
    Coord,
    Machine,
    SiteKind,
    check_machine,
    load_machine,
    machine_text,
    parse_machine,
    preset_names,
)
from compiler.target.check import constant_names
from runtime.testing.machines import machines


def _messages(error: pytest.ExceptionInfo[DiagnosticError]) -> list[tuple[str, str]]:
    return [(d.code, d.message) for d in error.value.diagnostics]


@pytest.mark.parametrize("name", preset_names())
def test_every_numeric_constant_of_a_preset_has_its_source(name: str) -> None:
    machine = load_machine(name)
    assert set(constant_names(machine)) - set(machine.facts) == {"name", "description"}


def test_wormhole_n150_is_the_published_chip() -> None:
    machine = load_machine("wormhole_n150")
    assert (machine.columns, machine.rows, len(machine.cores)) == (10, 12, 72)
    assert (len(machine.core_columns), len(machine.core_rows)) == (8, 9)
    assert len(set(machine.dram.channels)) == 12
    assert Coord(1, 1) in machine.core_number
    assert not machine.facts["floor_plan"].confirmed


@given(machine=machines())
@settings(deadline=None, max_examples=60)
def test_drawn_machines_are_sound_and_their_text_reads_back(machine: Machine) -> None:
    check_machine(machine)
    text = machine_text(machine)
    assert parse_machine(text, "drawn") == machine
    assert machine_text(parse_machine(text, "drawn")) == text


@pytest.mark.parametrize("name", preset_names())
def test_presets_read_back_from_their_text(name: str) -> None:
    machine = load_machine(name)
    assert parse_machine(machine_text(machine), name) == machine


def test_unknown_name_suggests_a_close_one() -> None:
    with pytest.raises(DiagnosticError) as error:
        load_machine("wormhole_n15")
    assert _messages(error) == [("E0401", "there is no machine `wormhole_n15`")]
    assert error.value.diagnostics[0].helps[0] == "did you mean `wormhole_n150`?"


def test_missing_file_is_a_diagnostic() -> None:
    with pytest.raises(DiagnosticError) as error:
        load_machine("no such file.toml")
    assert error.value.diagnostics[0].code == "E0401"


def test_malformed_text_points_at_the_place() -> None:
    with pytest.raises(DiagnosticError) as error:
        parse_machine("a = 1\nb = = 2\n", "m.toml")
    (diagnostic,) = error.value.diagnostics
    assert diagnostic.code == "E0402"
    assert str(diagnostic.labels[0].span) == "m.toml:2:5"


@pytest.mark.parametrize(
    ("old", "new", "code", "message"),
    [
        ("hop = 10", "hopp = 10", "E0403", "`m`: `noc.hopp` is not a constant of a machine"),
        ("hop = 10", "hop = 1.5", "E0403", "`m`: `noc.hop` must be an integer, found 1.5"),
        ("hop = 10", "hop = { value = 3 }", "E0403", "needs exactly the keys `value`, `source` and `confirmed`"),
        ('topology = "mesh"', 'topology = "ring"', "E0403", "must be one of `torus`, `mesh`, found 'ring'"),
        ("hop = 10", "hop = -1", "E0404", "`noc.hop` is -1; it must be a finite number >= 0"),
        ("bf16 = 64", "bf16 = 0", "E0404", "`compute.matmul.bf16` is missing or not positive"),
        ("exp = 512", "", "E0404", "`compute.vector.exp` is missing or not positive"),
        ("DTTTT", "DTTT", "E0404", "not a rectangle"),
        ("DTTTT", "?TTTT", "E0403", "`floor_plan` must be a picture of letters"),
        ("DTTTT", "ETTTT", "E0404", "the DRAM channel at (0, 0) does not stand on a DRAM site"),
        ("[[0, 0], [0, 1], [0, 2], [0, 3]]", "[]", "E0404", "there is no DRAM channel"),
        ("[[0, 0], [0, 1],", "[[0, 1], [0, 1],", "E0404", "2 DRAM channels share the position (0, 1)"),
        ("[[0, 0],", "[[0, 9],", "E0404", "is outside the 5 x 4 floor plan"),
        ('order = "xy"', 'order = "zz"', "E0404", "NoC 0 has axis order `zz`"),
        ("x_step = 0", "x_step = 1", "E0404", "NoC 0 is a mesh and moves by (1, 0)"),
        ("dst_tiles = 4", "dst_tiles = 1", "E0404", "`compute.dst_tiles` is 1"),
        ("l1_bytes = 262144", "l1_bytes = 16384", "E0404", "at least 32768 are needed"),
        ("l1_alignment = 16", "l1_alignment = 48", "E0404", "it must divide every page, so 64"),
        ("l1_alignment = 16", "l1_alignment = 4", "E0404", "and be a multiple of 16"),
        ("bytes_per_cycle = 16.0", "bytes_per_cycle = inf", "E0404", "`dram.bytes_per_cycle` is inf"),
    ],
)
def test_each_violation_is_one_sentence(old: str, new: str, code: str, message: str) -> None:
    text = machine_text(replace(load_machine("mesh_4x4"), facts={}))
    assert old in text
    with pytest.raises(DiagnosticError) as error:
        parse_machine(text.replace(old, new, 1), "m")
    assert any(c == code and message in m for c, m in _messages(error)), _messages(error)


def test_a_fact_about_nothing_is_reported() -> None:
    machine = load_machine("mesh_4x4")
    facts = {"noc.hops": machine.facts["noc.hop"]}
    with pytest.raises(DiagnosticError, match="about no constant"):
        check_machine(replace(machine, facts=facts))


@given(text=st.text(alphabet='ab=[]{}"\n.1', max_size=60))
@settings(deadline=None, max_examples=100)
def test_any_text_is_read_or_refused_with_a_diagnostic(text: str) -> None:
    with pytest.raises(DiagnosticError):
        parse_machine(text, "noise")


def test_a_plan_without_cores_is_refused() -> None:
    machine = load_machine("mesh_4x4")
    plan = tuple(tuple(SiteKind.DRAM for _ in row) for row in machine.floor_plan)
    with pytest.raises(DiagnosticError, match="no core"):
        check_machine(replace(machine, floor_plan=plan))
