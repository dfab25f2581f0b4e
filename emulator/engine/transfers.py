"""What threads ask of the networks.

Approximations, one sentence each:

- the packets of one multicast are linked: its tree is reserved once; reservations of one NIU queue up, and do not hold
  up its unicast packets;
- packets of one thread that reach a core over different paths (unicast and tree, or two trees) are kept in order by
  holding back the later command until the earlier packets have arrived.
"""

from emulator.engine import columns as c
from emulator.engine.events import schedule
from emulator.engine.native import inlined, jit
from emulator.engine.network import occupy
from emulator.engine.state import State, stop
from emulator.engine.waking import block

UNICAST = -1
"""The path of packets that do not follow a tree."""
LEAST_FLITS = 2
"""Flits of the smallest packet with a payload."""


@inlined
def flits_of(s: State, size: int) -> int:
    """Flits of one packet with `size` bytes of payload, header included."""
    flit: int = s.constants[c.FLIT_BYTES]
    return 1 + (size + flit - 1) // flit


@inlined
def find_route(s: State, thread: int, noc: int, src: int, dst: int) -> int:
    """First crossing of the unicast route; stops the run when the image has none."""
    positions = s.constants[c.POSITIONS]
    root: int = s.unicast[(noc * positions + src) * positions + dst]
    if root == c.NO_ROUTE:
        stop(s, c.FAULT_ROUTE, thread, noc, src, dst)
        root = c.NO_CROSSING
    return root


@jit
def take_packet(s: State, kind: int, thread: int, noc: int, src: int, dst: int, size: int) -> int:
    """Return a packet row for a unicast of `size` bytes of payload (none: a header only)."""
    row: int = s.control[c.FREE_PACKET]
    s.control[c.FREE_PACKET] = s.packets[row, c.NEXT_FREE]
    s.control[c.FREE_PACKETS] -= 1
    packet = s.packets[row]
    packet[c.KIND] = kind
    packet[c.THREAD] = thread
    packet[c.SRC] = src
    packet[c.DST] = dst
    packet[c.NETWORK] = noc
    packet[c.SIZE] = size
    packet[c.PACKET_FLITS] = flits_of(s, size)
    packet[c.ROOT] = find_route(s, thread, noc, src, dst)
    packet[c.CORE_SET] = UNICAST
    packet[c.SOURCE_CHANNEL] = -1
    packet[c.GRAIN] = -1
    packet[c.COPIES] = 1
    packet[c.SPARED] = 0
    packet[c.WITHIN] = -1
    return row


@jit
def free_packet(s: State, row: int) -> None:
    """Give a packet row back."""
    s.packets[row, c.NEXT_FREE] = s.control[c.FREE_PACKET]
    s.control[c.FREE_PACKET] = row
    s.control[c.FREE_PACKETS] += 1


@jit
def spare(s: State, row: int) -> None:
    """Let the header of packet `row` stand for its payload, whose bytes are all 0."""
    packet = s.packets[row]
    packet[c.SPARED] = flits_of(s, packet[c.SIZE]) - 1
    packet[c.PACKET_FLITS] = 1
    s.control[c.BARE_PACKETS] += 1
    s.control[c.SPARED_BYTES] += packet[c.SIZE]


@jit
def read_bytes(
    s: State, time: int, thread: int, noc: int, tensor: int, page: int, start: int, size: int, target: int, whole: bool
) -> int:
    """Ask for `size` bytes from byte `start` of a page, of the `whole` page with its flags; return the number of
    packets asked for."""
    place = s.pages[s.tensors[tensor, c.FIRST_PAGE] + page]
    own = s.position[thread // 3]
    node = own if place[c.NODE] == c.NOT_STORED else place[c.NODE]
    if node < 0:
        stop(s, c.FAULT_UNREACHABLE, thread, tensor, page, 0)
        return 0
    limit, issue = s.constants[c.PACKET_BYTES], s.constants[c.READ_ISSUE]
    done = 0
    count = 0
    while done < size:
        part = min(limit, size - done)
        row = take_packet(s, c.READ_REQUEST, thread, noc, own, node, 0)
        s.packets[row, c.SIZE] = part
        s.packets[row, c.SOURCE_MEMORY] = place[c.MEMORY] + start + done
        s.packets[row, c.TARGET_MEMORY] = target + done
        s.packets[row, c.SOURCE_CHANNEL] = place[c.CHANNEL]
        s.packets[row, c.GRAIN] = tensor
        s.packets[row, c.WITHIN] = done if whole else -1
        count += 1
        done += part
        schedule(s, time + count * issue, c.INJECTED, row, 0)
    s.threads[thread, c.OUTSTANDING] += count
    return count


@jit
def write_page(s: State, time: int, thread: int, noc: int, tensor: int, page: int, source: int) -> int:
    """Send the page at byte `source` of `l1` to DRAM; return the number of packets sent."""
    place = s.pages[s.tensors[tensor, c.FIRST_PAGE] + page]
    if place[c.NODE] < 0 or place[c.CHANNEL] < 0:
        stop(s, c.FAULT_UNREACHABLE, thread, tensor, page, 0)
        return 0
    size, limit = s.tensors[tensor, c.TENSOR_PAGE_BYTES], s.constants[c.PACKET_BYTES]
    done = 0
    count = 0
    while done < size:
        part = min(limit, size - done)
        row = take_packet(s, c.WRITE_DRAM, thread, noc, s.position[thread // 3], place[c.NODE], part)
        s.packets[row, c.SOURCE_MEMORY] = source + done
        s.packets[row, c.TARGET_MEMORY] = place[c.MEMORY] + done
        s.packets[row, c.SOURCE_CHANNEL] = place[c.CHANNEL]
        s.packets[row, c.GRAIN] = tensor
        count += 1
        done += part
        schedule(s, time + count * s.constants[c.WRITE_ISSUE], c.INJECTED, row, 0)
    s.threads[thread, c.OUTSTANDING] += count
    return count


@inlined
def path_row(s: State, thread: int, noc: int, core: int) -> int:
    """Row of `unordered`."""
    cores: int = s.constants[c.CORES]
    return (2 * thread + noc) * cores + core


@jit
def may_send(s: State, time: int, thread: int, noc: int, targets: int) -> bool:
    """Whether a packet to core set `targets` would arrive in order; if not, block the thread."""
    path = targets if s.sets[targets, c.TREE] else UNICAST
    first = s.sets[targets, c.FIRST_MEMBER]
    for i in range(first, first + s.sets[targets, c.MEMBERS]):
        row = path_row(s, thread, noc, s.members[i])
        if s.unordered[row, c.UNDER_WAY] > 0 and s.unordered[row, c.PATH] != path:
            block(s, time, thread, c.WAIT_ORDER, 0, 0)
            return False
    return True


@inlined
def _expect(s: State, thread: int, noc: int, core: int, path: int) -> None:
    row = path_row(s, thread, noc, core)
    s.unordered[row, c.UNDER_WAY] += 1
    s.unordered[row, c.PATH] = path


@jit
def reserve_tree(s: State, time: int, thread: int, noc: int, depth: int, flits: int) -> int:
    """Reserve a tree for packets of `flits` flits in all; return when the first of them can leave."""
    hops = depth * s.constants[c.RESERVE_PER_HOP]
    position = s.position[thread // 3]
    row = s.constants[c.FIRST_RESERVE] + noc * s.constants[c.POSITIONS] + position
    duration = hops + s.constants[c.RESERVE_BASE] + flits - LEAST_FLITS
    return occupy(s, row, time, duration, 0) + hops


@jit
def send_tree(s: State, time: int, row: int, targets: int, leaves: int) -> None:
    """Hand packet `row` to the NIU at `leaves`, to follow the tree to `targets`."""
    thread, noc = s.packets[row, c.THREAD], s.packets[row, c.NETWORK]
    first, count = s.sets[targets, c.FIRST_MEMBER], s.sets[targets, c.MEMBERS]
    own = thread // 3
    copies = 0
    for i in range(first, first + count):
        if s.members[i] != own:
            _expect(s, thread, noc, s.members[i], targets)
            copies += 1
    s.packets[row, c.COPIES] = copies
    s.packets[row, c.CORE_SET] = targets
    s.packets[row, c.ROOT] = s.multicast[_tree_row(s, thread, noc, targets), c.TREE_ROOT]
    s.threads[thread, c.OUTSTANDING] += copies
    schedule(s, leaves, c.INJECTED, row, 0)


@inlined
def _tree_row(s: State, thread: int, noc: int, targets: int) -> int:
    cores: int = s.constants[c.CORES]
    return (noc * s.constants[c.SETS] + targets) * cores + thread // 3


@jit
def tree_depth(s: State, thread: int, noc: int, targets: int) -> int:
    """Hops to the farthest member of the tree, -1 (and a stop) when the image has no such tree."""
    row = _tree_row(s, thread, noc, targets)
    if s.multicast[row, c.TREE_ROOT] == c.NO_ROUTE:
        stop(s, c.FAULT_TREE, thread, noc, targets, 0)
        return -1
    depth: int = s.multicast[row, c.TREE_DEPTH]
    return depth


@jit
def multicast_bytes(
    s: State, time: int, thread: int, noc: int, targets: int, source: int, size: int, bare: bool, leaves: int
) -> int:
    """Send `size` bytes at byte `source` of `l1` to the same address of every other core of a tree's set; `bare`:
    headers stand for them.

    The tree is reserved from `leaves` on; returns the number of packets.
    """
    limit = s.constants[c.PACKET_BYTES]
    own = s.position[thread // 3]
    done = 0
    count = 0
    while done < size:
        part = min(limit, size - done)
        row = take_packet(s, c.WRITE_L1, thread, noc, own, own, part)
        s.packets[row, c.SOURCE_MEMORY] = source + done
        if bare:
            spare(s, row)
        done += part
        count += 1
        send_tree(s, time, row, targets, max(leaves, time + count * s.constants[c.WRITE_ISSUE]))
    return count


@jit
def unicast_bytes(
    s: State, time: int, thread: int, noc: int, core: int, source: int, size: int, bare: bool, issued: int
) -> int:
    """Send `size` bytes at byte `source` of `l1` to the same address of `core`, as command number `issued` onward of
    this instruction; `bare`: headers stand for them. Return the number of packets."""
    limit = s.constants[c.PACKET_BYTES]
    own = s.position[thread // 3]
    done = 0
    count = 0
    while done < size:
        part = min(limit, size - done)
        row = take_packet(s, c.WRITE_L1, thread, noc, own, s.position[core], part)
        s.packets[row, c.SOURCE_MEMORY] = source + done
        s.packets[row, c.TARGET_CORE] = core
        if bare:
            spare(s, row)
        done += part
        count += 1
        _expect(s, thread, noc, core, UNICAST)
        s.threads[thread, c.OUTSTANDING] += 1
        schedule(s, time + (issued + count) * s.constants[c.WRITE_ISSUE], c.INJECTED, row, 0)
    return count


@jit
def increment(s: State, time: int, thread: int, noc: int, targets: int, semaphore: int, amount: int) -> int:
    """Add to a semaphore of every core of a set; return the cycles of issue, -1 when the run is stopped."""
    issue = s.constants[c.ATOMIC_ISSUE]
    own = s.position[thread // 3]
    first, count = s.sets[targets, c.FIRST_MEMBER], s.sets[targets, c.MEMBERS]
    if s.sets[targets, c.TREE]:
        depth = tree_depth(s, thread, noc, targets)
        if depth < 0:
            return -1
        row = take_packet(s, c.INCREMENT, thread, noc, own, own, 4)
        s.packets[row, c.SEM] = semaphore
        s.packets[row, c.AMOUNT] = amount
        leaves = reserve_tree(s, time + issue, thread, noc, depth, s.packets[row, c.PACKET_FLITS])
        send_tree(s, time, row, targets, leaves)
        return issue
    for i in range(count):
        core = s.members[first + i]
        row = take_packet(s, c.INCREMENT, thread, noc, own, s.position[core], 4)
        s.packets[row, c.SEM] = semaphore
        s.packets[row, c.AMOUNT] = amount
        s.packets[row, c.TARGET_CORE] = core
        _expect(s, thread, noc, core, UNICAST)
        schedule(s, time + (i + 1) * issue, c.INJECTED, row, 0)
    s.threads[thread, c.OUTSTANDING] += count
    return issue * count
