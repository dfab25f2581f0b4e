"""The machine as data: presets, checks and the cost table that compiler and emulator share."""

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
]
