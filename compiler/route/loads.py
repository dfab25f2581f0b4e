"""Bytes per link, without walking routes.

A unicast is one straight run in its source's line and one in its destination's line, so all runs of a line are counted
by one product: (bytes per start and end) x (start and end crosses link).
"""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from compiler.program.image import Hop
from compiler.route.geometry import X_AXIS, Y_AXIS, Network
from compiler.target import Coord

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]


class LinkLoads:
    """Counts bytes on the links of one NoC.

    Links are numbered: first those along x, by row, direction (up, then down) and column; then those along y, by
    column, direction and row. Loads are integers in float64.
    """

    def __init__(self, net: Network) -> None:
        self.net = net
        self._crossings = tuple(_crossings(net, axis) for axis in (X_AXIS, Y_AXIS))

    def unicasts(self, src_x: Ints, src_y: Ints, dst_x: Ints, dst_y: Ints, nbytes: Ints) -> Floats:
        """Return the load of every link when unicast `i` moves `nbytes[i]` from its source to its destination."""
        x_first = self.net.first_axis == X_AXIS
        across = self._runs(X_AXIS, src_y if x_first else dst_y, src_x, dst_x, nbytes)
        down = self._runs(Y_AXIS, dst_x if x_first else src_x, src_y, dst_y, nbytes)
        return np.concatenate([across, down])

    def tree(self, src: Coord, targets: Sequence[Coord]) -> Ints:
        """Return the numbers of the links of a multicast tree, each of which is crossed once."""
        return np.array([self._link(hop) for hop in self.net.multicast(src, targets)], dtype=np.int64)

    def _runs(self, axis: int, line: Ints, start: Ints, end: Ints, nbytes: Ints) -> Floats:
        size, lines = self.net.sizes[axis], self.net.sizes[1 - axis]
        runs = np.bincount((line * size + start) * size + end, nbytes.astype(np.float64), lines * size * size)
        return np.asarray((runs.reshape(lines, -1) @ self._crossings[axis]).ravel())

    def _link(self, hop: Hop) -> int:
        columns, rows = self.net.sizes
        if hop.src.y == hop.dst.y:
            return (hop.src.y * 2 + _is_down(self.net, X_AXIS, hop.src.x, hop.dst.x)) * columns + hop.src.x
        down = _is_down(self.net, Y_AXIS, hop.src.y, hop.dst.y)
        return 2 * columns * rows + (hop.src.x * 2 + down) * rows + hop.src.y


def _is_down(net: Network, axis: int, start: int, end: int) -> bool:
    """Say whether a run goes toward lower coordinates, the wrap aside."""
    return net.steps[axis] < 0 if net.torus else end < start


def _crossings(net: Network, axis: int) -> Floats:
    """Return 1 at `[start * size + end, direction * size + position]` where the run leaves `position`."""
    size = net.sizes[axis]
    crossings = np.zeros((size, size, 2, size))
    for start in range(size):
        for end in range(size):
            down = _is_down(net, axis, start, end)
            step = -1 if down else 1
            for hop in range(net.distance(axis, start, end)):
                crossings[start, end, int(down), (start + step * hop) % size] = 1
    return crossings.reshape(size * size, 2 * size)
