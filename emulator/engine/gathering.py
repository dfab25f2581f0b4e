"""`Gather` and `Take`: which elements of which page a run of elements of the result comes from.

Approximations: a run lands at its place in L1 with the packet that carries it; the core's own copying for a `Gather` is
charged to the thread before the first read leaves; a row of a `Take` is read in one packet wherever it begins.
"""

from emulator.engine import columns as c
from emulator.engine.flags import set_flags
from emulator.engine.memory import consumed_page, mark, produced_page
from emulator.engine.native import jit
from emulator.engine.state import State, evaluate, stop
from emulator.engine.transfers import read_bytes
from emulator.engine.views import fill_bytes

TILE_EDGE = 32
TILE_ELEMENTS = 1024


@jit
def result_element(s: State, index_map: int, page: int, element: int) -> int:
    """Row-major number, in the result, of an element of a page; -1 outside the result. -2: there is no such page."""
    shape = s.lists[index_map]
    rank = s.lists[shape]
    rows, columns = s.lists[shape + rank - 1], s.lists[shape + rank]
    tile_rows, tile_columns = (rows + TILE_EDGE - 1) // TILE_EDGE, (columns + TILE_EDGE - 1) // TILE_EDGE
    tile_column, rest = page % tile_columns, page // tile_columns
    tile_row, lead = rest % tile_rows, rest // tile_rows
    leads = 1
    for axis in range(rank - 2):
        leads *= s.lists[shape + 1 + axis]
    if page < 0 or lead >= leads:
        return -2
    row = tile_row * TILE_EDGE + element // TILE_EDGE
    column = tile_column * TILE_EDGE + element % TILE_EDGE
    if row >= rows or column >= columns:
        return -1
    number: int = (lead * rows + row) * columns + column
    return number


@jit
def source_element(s: State, index_map: int, number: int) -> int:
    """Row-major number, in the source, of element `number` of the result; -1 if it has none."""
    digits, base = s.lists[index_map + 1], s.lists[index_map + 2]
    steps, extents = s.lists[index_map + 3], s.lists[index_map + 4]
    count, rank = s.lists[digits], s.lists[extents]
    source = 0
    for j in range(rank):
        coordinate = s.lists[base + 1 + j]
        rest = number
        for d in range(count - 1, -1, -1):
            radix = s.lists[digits + 1 + d]
            coordinate += s.lists[steps + 1 + j * count + d] * (rest % radix)
            rest //= radix
        extent = s.lists[extents + 1 + j]
        if coordinate < 0 or coordinate >= extent:
            return -1
        source = source * extent + coordinate
    return source


@jit
def place_of(s: State, tensor: int, element: int) -> int:
    """`page * 1024 + element of the page` of element `element` (row-major) of a tensor."""
    shape = s.tensors[tensor, c.SHAPE]
    rank = s.lists[shape]
    rows, columns = s.lists[shape + rank - 1], s.lists[shape + rank]
    tile_rows, tile_columns = (rows + TILE_EDGE - 1) // TILE_EDGE, (columns + TILE_EDGE - 1) // TILE_EDGE
    column, rest = element % columns, element // columns
    row, lead = rest % rows, rest // rows
    page = (lead * tile_rows + row // TILE_EDGE) * tile_columns + column // TILE_EDGE
    place: int = page * TILE_ELEMENTS + (row % TILE_EDGE) * TILE_EDGE + column % TILE_EDGE
    return place


@jit
def _place_for(s: State, tensor: int, index_map: int, page: int, element: int) -> int:
    number = result_element(s, index_map, page, element)
    if number < 0:
        return number
    source = source_element(s, index_map, number)
    return -1 if source < 0 else place_of(s, tensor, source)


@jit
def _run_length(s: State, tensor: int, index_map: int, page: int, element: int, place: int) -> int:
    """Elements from `element` on, in its row of the tile, that lie side by side in the source page as well."""
    length = 1
    while (element + length) % TILE_EDGE != 0 and (place + length) % TILE_EDGE != 0:
        if _place_for(s, tensor, index_map, page, element + length) != place + length:
            break
        length += 1
    return length


@jit
def _clear(s: State, target: int, size: int) -> None:
    """Begin a page with zeros and without flags."""
    fill_bytes(s.l1, target, size, 0)
    if s.constants[c.FLAGS]:
        set_flags(s, target, 0)
    mark(s.l1_written, target, size, 1)


@jit
def gather(s: State, now: int, thread: int, i: int) -> int:
    """Issue the next read of a `Gather`; return its cost. `GATHERED` is 0 again when the page is complete."""
    code, item = s.code[i], 0
    buffer = s.first_buffer[thread // 3] + code[c.A]
    tensor, index_map = code[c.A + 2], code[c.A + 5]
    page = evaluate(s, code[c.A + 3], thread)
    target = produced_page(s, thread, buffer, evaluate(s, code[c.A + 1], thread))
    if target < 0:
        return 0
    item = s.tensors[tensor, c.ITEM_BYTES]
    cost = 0
    element = s.threads[thread, c.GATHERED]
    if element == 0:
        size = s.buffers[buffer, c.PAGE_BYTES]
        _clear(s, target, size)
        cost = size // 4 * s.constants[c.COPY_WORD]
    while element < TILE_ELEMENTS:
        place = _place_for(s, tensor, index_map, page, element)
        if place == -2:
            stop(s, c.FAULT_PAGE, thread, tensor, page, 1)
            return 0
        if place >= 0:
            length = _run_length(s, tensor, index_map, page, element, place)
            start, destination = place % TILE_ELEMENTS * item, target + element * item
            source, size = place // TILE_ELEMENTS, length * item
            read_bytes(s, now + cost, thread, code[c.A + 4], tensor, source, start, size, destination, False)
            s.threads[thread, c.GATHERED] = (element + length) % TILE_ELEMENTS
            return cost + s.constants[c.READ_ISSUE]
        element += 1
    s.threads[thread, c.GATHERED] = 0
    return cost


@jit
def _integer(s: State, memory: int) -> int:
    """The i32 at byte `memory` of `l1`."""
    value = 0
    for byte in range(3, -1, -1):
        value = value * 256 + s.l1[memory + byte]
    return value - 2**32 if value >= 2**31 else value


@jit
def take(s: State, now: int, thread: int, i: int) -> int:
    """Issue the next read of a `Take`; return its cost. `GATHERED` is 0 again when the page is complete."""
    code, first = s.code[i], s.first_buffer[thread // 3]
    tensor, page = code[c.A + 2], evaluate(s, code[c.A + 3], thread)
    target = produced_page(s, thread, first + code[c.A], evaluate(s, code[c.A + 1], thread))
    numbers = consumed_page(s, thread, first + code[c.A + 7], evaluate(s, code[c.A + 8], thread))
    if target < 0 or numbers < 0:
        return 0
    size = TILE_EDGE * s.tensors[tensor, c.ITEM_BYTES]
    row = s.threads[thread, c.GATHERED]
    if row == 0:
        _clear(s, target, TILE_EDGE * size)
    inside = min(TILE_EDGE, code[c.A + 10] - TILE_EDGE * evaluate(s, code[c.A + 11], thread))
    cost = 0
    while row < inside:
        number = _integer(s, numbers + 4 * row * code[c.A + 9])
        cost += s.constants[c.TABLE_LOAD]
        row += 1
        if number >= 0 and number < code[c.A + 6]:
            source = page + number // TILE_EDGE * code[c.A + 5]
            if source < 0 or source >= s.tensors[tensor, c.PAGES]:
                stop(s, c.FAULT_PAGE, thread, tensor, source, 1)
                return 0
            place, landing = number % TILE_EDGE * size, target + (row - 1) * size
            count = read_bytes(s, now + cost, thread, code[c.A + 4], tensor, source, place, size, landing, False)
            s.threads[thread, c.GATHERED] = row % TILE_EDGE
            return cost + count * s.constants[c.READ_ISSUE]
        cost += size // 4 * s.constants[c.COPY_WORD]
    s.threads[thread, c.GATHERED] = 0
    return cost + (TILE_EDGE - max(0, inside)) * (size // 4) * s.constants[c.COPY_WORD]
