"""The tables of a `State`, in order: how many columns each has, and how wide its elements are."""

from dataclasses import dataclass

from emulator.engine import columns as c


@dataclass(frozen=True, slots=True)
class TableShape:
    """`columns` int64 per row; 0 for a plain vector of elements of `size` bytes."""

    name: str
    columns: int
    size: int = 8


SCHEMA = (
    TableShape("control", 0),
    TableShape("constants", 0),
    TableShape("heap", c.HEAP_COLUMNS),
    TableShape("packets", c.PACKET_COLUMNS),
    TableShape("payload", 0, 1),
    TableShape("payload_flags", 0, 1),
    TableShape("threads", c.THREAD_COLUMNS),
    TableShape("cycles", c.CYCLE_COLUMNS),
    TableShape("code", c.CODE_COLUMNS),
    TableShape("spent", c.SPENT_COLUMNS),
    TableShape("affines", c.AFFINE_COLUMNS),
    TableShape("tables", c.TABLE_COLUMNS),
    TableShape("values", 0),
    TableShape("operands", c.OPERAND_COLUMNS),
    TableShape("buffers", c.BUFFER_COLUMNS),
    TableShape("first_buffer", 0),
    TableShape("semaphores", 0),
    TableShape("tensors", c.TENSOR_COLUMNS),
    TableShape("pages", c.PAGE_COLUMNS),
    TableShape("lists", 0),
    TableShape("members", 0),
    TableShape("sets", c.SET_COLUMNS),
    TableShape("unicast", 0),
    TableShape("multicast", c.MULTICAST_COLUMNS),
    TableShape("trees", c.TREE_COLUMNS),
    TableShape("resources", c.RESOURCE_COLUMNS),
    TableShape("unordered", c.UNORDERED_COLUMNS),
    TableShape("position", 0),
    TableShape("channels", c.CHANNEL_COLUMNS),
    TableShape("streams", c.STREAM_COLUMNS),
    TableShape("kernels", 0),
    TableShape("arguments", 0),
    TableShape("l1", 0, 1),
    TableShape("l1_written", 0, 1),
    TableShape("l1_flags", 0, 1),
    TableShape("dram", 0, 1),
    TableShape("dram_written", 0, 1),
    TableShape("log", c.LOG_COLUMNS),
    TableShape("registers", 0, 4),
    TableShape("register_flags", 0, 1),
    TableShape("scratch", 0, 4),
)
