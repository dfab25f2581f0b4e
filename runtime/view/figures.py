"""Figures that several forms of a view share."""

from runtime.view.model import ViewModel


def link_shares(model: ViewModel, epoch: int) -> list[float]:
    """Per link: its busy share of an epoch, or without a run its load relative to that of the busiest link."""
    flits = model.traffic[epoch].link_flits
    if model.run is None:
        most = max(int(flits.max(initial=0)), 1)
        return [float(value) / most for value in flits.tolist()]
    profile = model.run.run.profile.epochs[epoch]
    carried = {(link.noc, link.src, link.dst): link.flits for link in profile.links}
    return [carried.get((link.noc, link.src, link.dst), 0) / max(profile.cycles, 1) for link in model.links]


def longest_epoch(model: ViewModel) -> int:
    """The epoch that takes most cycles; without a run, the one with most traffic."""
    if model.run is not None:
        lengths = [epoch.cycles for epoch in model.run.run.profile.epochs]
    else:
        lengths = [int(traffic.link_flits.sum()) for traffic in model.traffic]
    return max(range(len(lengths)), key=lambda epoch: (lengths[epoch], -epoch), default=0)
