"""`meshc machines`: what there is to compile for, and where each constant comes from."""

from argparse import Namespace
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from compiler.target import Coord, Machine, SiteKind
from compiler.target.load import load_machine, preset_names
from runtime.cli.exit_codes import ExitCode
from runtime.cli.parser import DEFAULT_MACHINE
from runtime.cli.terminal import Table, Terminal
from runtime.units import amount

NOT_CONSTANTS = ("name", "description", "floor_plan", "facts")


def run(arguments: Namespace, terminal: Terminal) -> int:
    if arguments.machine is None:
        _list(terminal)
    else:
        _describe(load_machine(arguments.machine), terminal)
    return ExitCode.OK


def _list(terminal: Terminal) -> None:
    machines = [load_machine(name) for name in preset_names()]
    rows = tuple(
        (
            machine.name,
            str(len(machine.cores)),
            amount(machine.l1_available),
            str(len(machine.dram.channels)),
            f"{machine.clock_ghz:g} GHz",
            machine.description,
        )
        for machine in machines
    )
    columns = ("name", "cores", "L1 per core", "DRAM channels", "clock", "description")
    terminal.table(Table("Machines", columns, rows, numeric=(1, 2, 3, 4)))
    terminal.text(f"\nDefault: {DEFAULT_MACHINE}. `meshc machines NAME` prints every constant with its source.")
    terminal.document({"machines": [_summary(machine) for machine in machines], "default": DEFAULT_MACHINE})


def _summary(machine: Machine) -> dict[str, Any]:
    return {
        "name": machine.name,
        "description": machine.description,
        "cores": len(machine.cores),
        "l1_bytes": machine.l1_available,
        "dram_channels": len(machine.dram.channels),
        "clock_ghz": machine.clock_ghz,
    }


def _describe(machine: Machine, terminal: Terminal) -> None:
    terminal.text(f"{machine.name}: {machine.description}\n")
    for line in floor_plan(machine):
        terminal.text(f"  {line}")
    letters = ", ".join(f"{kind.value} {kind.name.lower()}" for kind in SiteKind)
    terminal.text(f"\n  {letters}")
    constants = list(constants_of(machine))
    rows = tuple((name, value, *_source(machine, name)) for name, value in constants)
    terminal.table(Table("Constants", ("name", "value", "", "source"), rows, numeric=(1,)))
    guesses = sum(not fact.confirmed for fact in machine.facts.values())
    terminal.text(f"\n{guesses} of {len(machine.facts)} sourced constants are to confirm.")
    terminal.document(
        _summary(machine)
        | {"floor_plan": floor_plan(machine), "constants": [_constant(machine, *pair) for pair in constants]}
    )


def floor_plan(machine: Machine) -> list[str]:
    return [" ".join(site.value for site in row) for row in machine.floor_plan]


def _source(machine: Machine, name: str) -> tuple[str, str]:
    fact = machine.facts.get(name)
    if fact is None:
        return "", ""
    return "" if fact.confirmed else "to confirm", fact.source


def _constant(machine: Machine, name: str, value: str) -> dict[str, Any]:
    fact = machine.facts.get(name)
    return {
        "name": name,
        "value": value,
        "source": fact.source if fact else None,
        "confirmed": fact.confirmed if fact else None,
    }


def constants_of(machine: Machine) -> Iterator[tuple[str, str]]:
    """The dotted name and the value, as text, of each constant, in the order of the class."""
    for item in fields(machine):
        if item.name not in NOT_CONSTANTS:
            yield from _flatten(item.name, getattr(machine, item.name))


def _flatten(path: str, value: object) -> Iterator[tuple[str, str]]:
    for key, child in _children(value):
        yield from _flatten(f"{path}.{key}", child)
    if not _children(value):
        yield path, _text(value)


def _children(value: object) -> list[tuple[str, object]]:
    if is_dataclass(value) and not isinstance(value, Coord):
        return [(item.name, getattr(value, item.name)) for item in fields(value)]
    if isinstance(value, Mapping):
        return [(key.value, child) for key, child in value.items()]
    if isinstance(value, tuple) and value and not isinstance(value[0], Coord):
        return [(str(index), child) for index, child in enumerate(value)]
    return []


def _text(value: object) -> str:
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return str(value)
