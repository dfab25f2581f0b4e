"""Turn the engine's log into a recording, chunk by chunk, in bounded memory but for stalls and the first packets."""

from collections.abc import Sequence

import numpy as np

from emulator.engine import columns as c
from emulator.recording import EpochRecording, Ints

LOG_ROWS = 1 << 16
WINDOWS = 512
"""Most windows of an epoch; when time runs past the last one, windows are joined in pairs."""
FIRST_WINDOW = 16
"""Cycles."""
PACKET_LIMIT = 100_000
"""Packets that are kept per epoch."""

_STALLS = [c.BEGAN, c.ENDED, c.WHO, c.STALL_REASON, c.STALL_PC, c.STALL_CAUSE, c.STALL_CAUSE_TIME, c.STALL_TENSOR]


class Coverage:
    """Cycles that intervals cover, by row and window; exact, however the windows are joined later.

    The covered time up to an edge is the sum of `edge - point` over the begins before it, less that over the ends: so
    it is enough to keep the number of points and their sum per window.
    """

    def __init__(self, rows: int) -> None:
        self.counts = np.zeros((rows, WINDOWS), np.int64)
        self.sums = np.zeros((rows, WINDOWS), np.int64)

    def add(self, rows: Ints, begins: Ints, ends: Ints, window: int) -> None:
        for points, sign in ((begins, 1), (ends, -1)):
            slot = rows * WINDOWS + points // window
            np.add.at(self.counts.reshape(-1), slot, sign)
            np.add.at(self.sums.reshape(-1), slot, sign * points)

    def join(self) -> None:
        self.counts, self.sums = _halved(self.counts), _halved(self.sums)

    def result(self, window: int, used: int) -> Ints:
        """Covered cycles of the first `used` windows."""
        edges = window * np.arange(1, WINDOWS + 1)
        covered = edges * np.cumsum(self.counts, axis=1) - np.cumsum(self.sums, axis=1)
        return np.diff(covered, axis=1, prepend=0)[:, :used]


class Peaks:
    """The greatest value of a level that changes in steps, by row and window; every level begins at 0."""

    def __init__(self, rows: int) -> None:
        self.most = np.full((rows, WINDOWS), -1, np.int64)
        self.last = np.full((rows, WINDOWS), -1, np.int64)

    def add(self, rows: Ints, times: Ints, levels: Ints, window: int) -> None:
        slot = rows * WINDOWS + times // window
        np.maximum.at(self.most.reshape(-1), slot, levels)
        self.last.reshape(-1)[slot] = levels

    def join(self) -> None:
        pairs = self.most.reshape(len(self.most), -1, 2).max(axis=2)
        ends = self.last.reshape(len(self.last), -1, 2)
        last = np.where(ends[:, :, 1] >= 0, ends[:, :, 1], ends[:, :, 0])
        self.most, self.last = _padded(pairs, -1), _padded(last, -1)

    def result(self, used: int) -> Ints:
        """A window begins with the level that the one before it left."""
        carried = np.zeros(len(self.most), np.int64)
        columns = []
        for window in range(used):
            columns.append(np.maximum(self.most[:, window], carried))
            last = self.last[:, window]
            carried = np.where(last >= 0, last, carried)
        return np.stack(columns, axis=1) if columns else np.zeros((len(self.most), 0), np.int64)


def _padded(table: Ints, value: int) -> Ints:
    return np.pad(table, ((0, 0), (0, WINDOWS - table.shape[1])), constant_values=value)


def _halved(table: Ints) -> Ints:
    return _padded(table.reshape(len(table), -1, 2).sum(axis=2), 0)


class Recorder:
    """Collects the log of one epoch."""

    def __init__(self, links: int, channels: int, buffers: int, origins: Sequence[int]) -> None:
        """`origins[i]` is the origin of instruction row `i`."""
        self.window = FIRST_WINDOW
        self.links = Coverage(links)
        self.channels = Coverage(channels)
        self.fills = Peaks(buffers)
        self.origins = np.array([*origins, -1], np.int64)
        self.stalls: list[Ints] = []
        self.packets: list[Ints] = []
        self.kept = 0
        self.arrived = 0

    def take(self, log: Ints) -> None:
        """Add rows of the engine's log; they may be overwritten afterwards."""
        if not len(log):
            return
        while int(log[:, c.ENDED].max()) >= self.window * WINDOWS:
            self.window *= 2
            for part in (self.links, self.channels, self.fills):
                part.join()
        self._covered(self.links, log[log[:, c.WHAT] == c.LOG_LINK])
        self._covered(self.channels, log[log[:, c.WHAT] == c.LOG_CHANNEL])
        fills = log[log[:, c.WHAT] == c.LOG_FILL]
        self.fills.add(fills[:, c.WHO], fills[:, c.ENDED], fills[:, c.AMOUNT_OF], self.window)
        stalls = log[log[:, c.WHAT] == c.LOG_STALL][:, _STALLS]
        stalls[:, 4] = self.origins[stalls[:, 4]]
        self.stalls.append(stalls)
        self._packets(log[log[:, c.WHAT] == c.LOG_PACKET])

    def _covered(self, coverage: Coverage, rows: Ints) -> None:
        coverage.add(rows[:, c.WHO], rows[:, c.BEGAN], rows[:, c.ENDED], self.window)

    def _packets(self, rows: Ints) -> None:
        self.arrived += len(rows)
        rows = rows[: PACKET_LIMIT - self.kept]
        self.kept += len(rows)
        kind = rows[:, c.PACKET_KIND]
        columns = [rows[:, c.BEGAN], rows[:, c.ENDED], rows[:, c.WHO], kind // 2, kind % 2]
        columns += [rows[:, i] for i in (c.PACKET_SRC, c.PACKET_DST, c.PACKET_SIZE, c.PACKET_TENSOR)]
        self.packets.append(np.stack(columns, axis=1))

    def result(self, length: int, used_links: Sequence[int], finish: Sequence[int]) -> EpochRecording:
        """The recording of an epoch of `length` cycles; `used_links` are the links that the profile lists."""
        used = min(WINDOWS, -(-max(length, 1) // self.window))
        return EpochRecording(
            window=self.window,
            links=self.links.result(self.window, used)[np.array(used_links, np.int64)],
            channels=self.channels.result(self.window, used),
            fills=self.fills.result(used),
            finish=np.array(finish, np.int64),
            stalls=np.concatenate([np.zeros((0, 8), np.int64), *self.stalls]),
            packets=np.concatenate([np.zeros((0, 9), np.int64), *self.packets]),
            packets_left_out=self.arrived - self.kept,
        )
