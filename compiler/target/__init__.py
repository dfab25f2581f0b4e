"""The machine as data: presets, checks and the cost table that compiler and emulator share."""

from compiler.target.check import check_machine
from compiler.target.load import load_machine, machine_text, parse_machine, preset_names
from compiler.target.machine import (
    ComputeTiming,
    Coord,
    CoreTiming,
    Dram,
    Fact,
    Machine,
    Noc,
    NocTiming,
    SiteKind,
    Topology,
)

__all__ = [
    "ComputeTiming",
    "Coord",
    "CoreTiming",
    "Dram",
    "Fact",
    "Machine",
    "Noc",
    "NocTiming",
    "SiteKind",
    "Topology",
    "check_machine",
    "load_machine",
    "machine_text",
    "parse_machine",
    "preset_names",
]
