"""Leave out what is zero or never looked at, before anything is mapped to cores.

The result has the same outputs bit for bit, up to the sign of a zero. A nest that computes only part of its space has
`live`; a tensor of which only part is stored has `live` too, and a tensor of which nothing is live has no producer
(-1), keeps its role, and reads as zeros.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from compiler.numerics import TILE, TileGrid
from compiler.numerics.masks import TileMask
from compiler.partition.nest import Nest, Storage, Workload
from compiler.program.image import Role
from compiler.prune.assume import Analysis, Assumer
from compiler.prune.certificates import Certificate, Certifier, Savings
from compiler.prune.demand import Demand, NestDemand, demand, replaceable
from compiler.prune.facts import Flags, mask_of, regrid
from compiler.prune.forward import source_facts
from compiler.prune.gates import guard
from compiler.prune.options import PruneOptions
from compiler.prune.signs import signs_that_matter
from compiler.prune.streams import Stream, Switch, streams, switches
from compiler.prune.zeros import expect_zeros
from compiler.target import Machine


@dataclass(frozen=True, slots=True)
class Pruned:
    """The workload that is left, and why the rest is not needed; what the run may leave out besides."""

    workload: Workload
    certificates: tuple[Certificate, ...] = ()
    switches: tuple[Switch, ...] = ()
    streams: tuple[Stream, ...] = ()

    @property
    def saved(self) -> Savings:
        """All savings together."""
        parts = [certificate.saved for certificate in self.certificates]
        return Savings(
            sum(part.iterations for part in parts),
            sum(part.moved_bytes for part in parts),
            sum(part.stored_bytes for part in parts),
        )


def prune(machine: Machine | None, workload: Workload, options: PruneOptions | None = None) -> Pruned:
    """Return `workload` without what needs not be computed, stored or sent."""
    options = options or PruneOptions()
    pruned = _static(workload, options) if options.mode.static else Pruned(workload)
    if options.mode.dynamic:
        pruned = _dynamic(machine, pruned, options)
    return pruned


def _dynamic(machine: Machine | None, pruned: Pruned, options: PruneOptions) -> Pruned:
    workload = expect_zeros(machine, guard(pruned.workload), options.assume_finite)
    found = tuple(streams(machine, workload)) if machine is not None else ()
    return replace(pruned, workload=replace(workload, dynamic=True), switches=tuple(switches(workload)), streams=found)


def _static(workload: Workload, options: PruneOptions) -> Pruned:
    analysis = forward(workload, options)
    signs = signs_that_matter(workload)
    needed = demand(workload, analysis.nests, signs)
    if not any(nest.pages.any() for nest in needed.nests):
        return Pruned(workload)  # every output is zero: something has to write it
    promised = promises(workload, analysis, needed)
    certificates = Certifier(workload, analysis, needed, signs, promised).run()
    return Pruned(_Writer(workload, analysis, needed, signs, options).run(), certificates)


def forward(workload: Workload, options: PruneOptions) -> Analysis:
    """What is known of every storage and nest."""
    storages = workload.storages
    sources = [source_facts(storage, _zeros(storage, options)) for storage in storages]

    def may_assume(number: int) -> bool:
        fed = storages[number].role in (Role.INPUT, Role.WEIGHT, Role.STATE)
        return storages[number].dtype.is_float and (options.assume_finite or (storages[number].finite and fed))

    return Assumer(workload, sources, may_assume).run()


def promises(workload: Workload, analysis: Analysis, needed: Demand) -> frozenset[int]:
    """The storages that what is left out relies upon to be finite; of a state its next value too."""
    found = frozenset[int]()
    for facts, nest in zip(analysis.nests, needed.nests, strict=True):
        found |= frozenset() if nest.whole else facts.relies
    states = {workload.storages[n].name for n in found if workload.storages[n].role is Role.STATE}
    return found | {
        n for n, s in enumerate(workload.storages) if s.role in (Role.STATE, Role.OUTPUT) and s.name in states
    }


def _zeros(storage: Storage, options: PruneOptions) -> Flags | None:
    """Tiles of a fed tensor that are known to be zero. A state changes from call to call."""
    if storage.role not in (Role.INPUT, Role.WEIGHT) or storage.name not in options.zeros:
        return None
    return options.zeros[storage.name].array


class _Writer:
    """Puts down the decisions."""

    def __init__(
        self,
        workload: Workload,
        analysis: Analysis,
        needed: Demand,
        signs: Sequence[bool],
        options: PruneOptions,
    ) -> None:
        self.workload, self.analysis, self.needed = workload, analysis, needed
        self.signs, self.options = signs, options
        self.promised = promises(workload, analysis, needed)

    def run(self) -> Workload:
        kept = [n for n, nest in enumerate(self.needed.nests) if nest.pages.any()]
        number = {old: new for new, old in enumerate(kept)}
        used = {a.storage for n in kept for a in self.workload.nests[n].operands}
        used |= {self.workload.nests[n].out for n in kept}
        used |= {k for k, s in enumerate(self.workload.storages) if s.role not in (Role.TEMPORARY, Role.CONSTANT)}
        index = {old: new for new, old in enumerate(sorted(used))}
        storages = tuple(self.storage(old, number) for old in sorted(used))
        nests = tuple(self.nest(self.workload.nests[n], self.needed.nests[n], index) for n in kept)
        return replace(self.workload, storages=storages, nests=nests)

    def nest(self, nest: Nest, needed: NestDemand, index: dict[int, int]) -> Nest:
        operands = tuple(replace(access, storage=index[access.storage]) for access in nest.operands)
        live = None if needed.whole else mask_of(needed.iterations, nest.space)
        return replace(nest, out=index[nest.out], operands=operands, live=live)

    def storage(self, old: int, number: dict[int, int]) -> Storage:
        storage = self.workload.storages[old]
        dims = TileGrid(storage.shape).dims
        pages = self.pages(old, storage)
        live = None if pages is None or pages.all() else mask_of(pages, dims)
        stored = np.ones((1,) * len(dims), np.bool_) if pages is None else pages
        promised = old in self.promised
        finite = storage.finite or promised or bool((self.analysis.proven[old].finite | ~stored).all())
        producer = number.get(storage.producer, -1)
        data = storage.data if live is None else _data_within(storage, live)
        return replace(storage, producer=producer, data=data, live=live, finite=finite, promised=promised)

    def pages(self, old: int, storage: Storage) -> Flags | None:
        """The pages that are stored, None for all."""
        if storage.producer >= 0:
            needed = self.needed.nests[storage.producer]
            dims = self.workload.nests[storage.producer].out_dims
            return None if needed.whole else regrid(needed.pages, dims, TileGrid(storage.shape).dims)
        if storage.role is Role.CONSTANT:
            pages = self.needed.pages[old] & ~replaceable(self.analysis.best[old], self.signs[old])
        else:
            zeros = _zeros(storage, self.options)
            if zeros is None or not zeros.any() or self.signs[old]:
                return None
            pages = ~zeros
        return pages


def _data_within(storage: Storage, live: TileMask) -> bytes:
    """The bytes of a constant with zeros for pages that are not live."""
    if storage.role is not Role.CONSTANT:
        return storage.data
    *_, rows, columns = shape = TileGrid(storage.shape).matrix_shape
    stored = live.array.repeat(TILE, axis=-2).repeat(TILE, axis=-1)[..., :rows, :columns]
    values = np.frombuffer(storage.data, storage.dtype.numpy).reshape(shape)
    return np.where(stored, values, np.zeros((), values.dtype)).tobytes()
