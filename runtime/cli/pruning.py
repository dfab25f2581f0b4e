"""The options of pruning, and what it did, as tables and as JSON."""

from argparse import Namespace
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from compiler.ir import TensorGraph
from compiler.prune import Mode, PruneOptions
from emulator.profile import Profile
from runtime.cli.terminal import Table, number
from runtime.errors import bad_input
from runtime.feed import read_weights
from runtime.known import accepted_weights, with_finite_weights, zero_tiles
from runtime.pruning import LeftOut, Planned, Work, left_out
from runtime.units import amount


def prune_mode(arguments: Namespace) -> Mode:
    """What `--prune` says; raises E0542 for options that have no use without pruning."""
    mode = Mode(arguments.prune or Mode.ALL.value)
    if mode is Mode.NONE:
        given = [name for name in ("--assume-finite", "--compare-unpruned") if _given(arguments, name)]
        if given:
            raise bad_input(
                "E0542",
                f"`{given[0]}` has no meaning with `--prune none`",
                helps=["leave one of the two out: without `--prune` everything that can be is pruned"],
            )
    return mode


def _given(arguments: Namespace, option: str) -> bool:
    return bool(getattr(arguments, option[2:].replace("-", "_"), False))


def prune_options(graph: TensorGraph, arguments: Namespace) -> tuple[TensorGraph, PruneOptions]:
    """What the options and the weights that they name tell about pruning, the promises of weights in the graph.

    Raises E0525, E0522 and E0523 for weights that cannot be read or do not fit.
    """
    mode = prune_mode(arguments)
    if mode is Mode.NONE or arguments.weights is None:
        return graph, PruneOptions(mode, assume_finite=arguments.assume_finite)
    read = read_weights(Path(arguments.weights))
    weights = accepted_weights(graph, read, f"the one in `{arguments.weights}`")
    zeros = {name: zero_tiles(array) for name, array in weights.items()}
    return with_finite_weights(graph, weights), PruneOptions(mode, assume_finite=arguments.assume_finite, zeros=zeros)


@dataclass(frozen=True, slots=True)
class Compared:
    """A run of the program as it is and one without pruning; `same` is whether their outputs are."""

    unpruned: Work
    pruned: Work
    same: bool


NOT_PRUNED = {"prune": Mode.NONE.value, "assume_finite": False, "compare_unpruned": False, "deny": []}
"""Arguments under which a program is compiled again, without pruning."""


def pruning_tables(found: Planned | None, profile: Profile, compared: Compared | None) -> list[Table]:
    """What there is to say: nothing of a program of which nothing is left out."""
    tables = [] if found is None or found.nothing else [planned_table(found)]
    in_run = left_out(profile)
    tables += [] if in_run.nothing else [left_out_table(in_run)]
    return tables + ([compared_table(compared)] if compared is not None else [])


def pruning_document(found: Planned | None, profile: Profile, compared: Compared | None) -> dict[str, Any]:
    return {
        "planned": asdict(found) if found is not None else None,
        "left_out": asdict(left_out(profile)),
        "compared": asdict(compared) if compared is not None else None,
    }


def planned_table(found: Planned) -> Table:
    rows = (
        ("tile operations", number(found.all_operations), number(found.operations),
         _ratio(found.all_operations, found.operations)),
        ("memory", amount(found.all_bytes), amount(found.bytes), _ratio(found.all_bytes, found.bytes)),
    )  # fmt: skip
    return Table("Pruned before the run", ("", "unpruned", "left", "ratio"), rows, numeric=(1, 2, 3))


def left_out_table(found: LeftOut) -> Table:
    every = found.operations + found.skipped_operations
    rows = (
        ("tile operations", number(found.skipped_operations), f"of {number(every)}"),
        ("reads", number(found.reads), "guarded by a gate that was zero, or of zero tiles in DRAM"),
        ("writes", number(found.writes), "of zero tiles to DRAM"),
        ("payloads", number(found.headers), f"of zero tiles; with reads and writes {amount(found.payload_bytes)}"),
        ("NoC flits", number(found.flits), "summed over all links"),
    )
    return Table("Left out in the run", ("", "", ""), rows, numeric=(1,))


def compared_table(found: Compared) -> Table:
    pairs = ((getattr(found.unpruned, name), getattr(found.pruned, name)) for name in _SHOWN)
    rows = tuple(
        (title, show(before), show(after), _ratio(before, after))
        for (title, show), (before, after) in zip(_SHOWN.values(), pairs, strict=True)
    )
    verdict = "same outputs" if found.same else "OUTPUTS DIFFER"
    return Table(
        f"Against the unpruned program: {verdict}", ("", "unpruned", "pruned", "ratio"), rows, numeric=(1, 2, 3)
    )


_SHOWN = {
    "tile_operations": ("tile operations", number),
    "noc_flits": ("NoC flits", number),
    "dram_bytes": ("DRAM", amount),
    "l1_bytes": ("L1", amount),
    "cycles": ("cycles", number),
}


def _ratio(before: int, after: int) -> str:
    return f"{before / after:.2f} x" if after else "all"


def planned_document(found: Planned) -> dict[str, Any]:
    return asdict(found)
