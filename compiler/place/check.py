"""Judge a placement. Shares no code with the placer."""

from compiler.diagnostics import InternalError
from compiler.place.problem import Block, Placement, PlaceProblem, PlaceSolution, core_at
from compiler.target import Coord, Machine, Topology


def check(problem: PlaceProblem, solution: PlaceSolution) -> None:
    """Raise `InternalError` unless every block stands in range on live cores of its own and the cost is as stated."""
    if len(solution.placements) != len(problem.blocks):
        raise InternalError(f"place: {len(solution.placements)} placements for {len(problem.blocks)} blocks")
    owner: dict[Coord, str] = {}
    homes = []
    for block, placement in zip(problem.blocks, solution.placements, strict=True):
        _check_range(problem.machine, block, placement)
        cores = [core_at(problem.machine, block, placement, i) for i in range(block.rows * block.columns)]
        if block.corner is not None and min(cores, key=lambda coord: (coord.y, coord.x)) != block.corner:
            raise InternalError(f"place: block `{block.name}` does not start at {block.corner}")
        _check_cores(problem.machine, block, cores, owner)
        homes.append(cores)
    cost = _cost(problem, homes)
    if cost != solution.cost:
        raise InternalError(f"place: stated cost {solution.cost}, recomputed {cost}")


def _check_range(machine: Machine, block: Block, placement: Placement) -> None:
    right, bottom = placement.column + block.columns, placement.row + block.rows
    inside = placement.column >= 0 and placement.row >= 0
    if not inside or right > len(machine.core_columns) or bottom > len(machine.core_rows):
        raise InternalError(f"place: block `{block.name}` at {placement} leaves the worker grid")


def _check_cores(machine: Machine, block: Block, cores: list[Coord], owner: dict[Coord, str]) -> None:
    for coord in cores:
        if coord not in machine.core_number:
            raise InternalError(f"place: block `{block.name}` covers {coord}, which is no live core")
        if coord in owner:
            raise InternalError(f"place: blocks `{owner[coord]}` and `{block.name}` both cover {coord}")
        owner[coord] = block.name


def _cost(problem: PlaceProblem, homes: list[list[Coord]]) -> int:
    def end(block: int, core: int) -> Coord:
        return problem.anchors[core] if block == -1 else homes[block][core]

    return sum(
        flow.nbytes * _shortest(problem.machine, end(flow.src_block, flow.src_core), end(flow.dst_block, flow.dst_core))
        for flow in problem.flows
    )


def _shortest(machine: Machine, src: Coord, dst: Coord) -> int:
    """Count hops by walking each NoC one link at a time."""
    counts = []
    for noc in machine.nocs:
        if noc.topology is Topology.MESH:
            counts.append(abs(dst.x - src.x) + abs(dst.y - src.y))
            continue
        x, y, count = src.x, src.y, 0
        while x != dst.x:
            x, count = (x + noc.x_step) % machine.columns, count + 1
        while y != dst.y:
            y, count = (y + noc.y_step) % machine.rows, count + 1
        counts.append(count)
    return min(counts)
