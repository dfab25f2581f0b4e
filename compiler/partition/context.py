"""The question a nest's mapping answers, and one answer."""

from dataclasses import dataclass

from compiler.partition.cost import Estimate
from compiler.partition.stages import Stage


@dataclass(frozen=True, slots=True)
class Context:
    """What the choice of epochs has settled for a nest: where its operands come from and its result goes."""

    from_l1: tuple[bool, ...]
    to_dram: bool
    shard: bool


@dataclass(frozen=True, slots=True)
class Candidate:
    stage: Stage
    estimate: Estimate
