"""The engine's one entry from Python: run events until there are none, or until something stops the run."""

from collections.abc import Callable
from hashlib import sha256
from importlib import resources

from emulator.engine import columns as c
from emulator.engine.arrivals import arrive, leave
from emulator.engine.events import drop_first
from emulator.engine.native import entry, merged
from emulator.engine.network import cross, eject
from emulator.engine.record import has_room
from emulator.engine.state import State
from emulator.engine.threads import run_thread
from emulator.engine.views import state_at
from emulator.engine.waking import pages_changed


@merged
def handle(s: State, now: int, event: int, first: int, second: int) -> None:
    """Do what an event says."""
    if event == c.CROSSED:
        cross(s, now, first, second)
    elif event == c.EJECTED:
        eject(s, now, first, second)
    elif event == c.ARRIVED:
        arrive(s, now, first, second)
    elif event == c.INJECTED:
        leave(s, now, first)
    elif event == c.THREAD_STEP:
        run_thread(s, now, first)
    else:
        s.buffers[first, c.VISIBLE] += second
        pages_changed(s, now, s.buffers[first, c.OF_CORE], first, s.buffers[first, c.PRODUCER])


def _sources() -> int:
    """A digest of all modules that are compiled into `run`.

    numba's cache looks only at the file of the function it holds, so a change in another module would go unseen.
    """
    folder = resources.files("emulator.engine")
    names = sorted(item.name for item in folder.iterdir() if item.name.endswith(".py"))
    digest = sha256(b"".join((folder / name).read_bytes() for name in names)).digest()
    return int.from_bytes(digest[:6], "little")


def _compile(sources: int) -> Callable[[int], int]:
    """Compile (or load) the entry. The digest is a closure variable because those are a part of numba's cache key."""

    def run(addresses: int) -> int:
        s: State = state_at(addresses)
        while s.control[c.HEAP_SIZE] > 0 and s.control[c.STATUS] == c.RUN:
            if not has_room(s):
                s.control[c.STATUS] = c.GROW
                break
            now, event = s.heap[0, c.TIME], s.heap[0, c.EVENT]
            first, second = s.heap[0, c.FIRST], s.heap[0, c.SECOND]
            drop_first(s)
            s.control[c.NOW] = now
            s.control[c.EVENTS] += 1
            handle(s, now, event, first, second)
        return sources

    return entry(run)


_run = _compile(_sources())


def run_events(s: State) -> None:
    """Run until no event is left or `STATUS` is not `RUN`; `GROW` asks for a longer `heap`, more `packets` or an
    empty `log`."""
    addresses = s.addresses
    _run(addresses.ctypes.data)
