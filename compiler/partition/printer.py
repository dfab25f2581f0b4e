"""Stage graphs as text, for people."""

from compiler.partition.nest import ContractBody, GatherBody, MapBody, Nest, ReduceBody, Workload
from compiler.partition.stages import OperandPlan, Sharing, Stage, StageGraph


def print_stages(graph: StageGraph) -> str:
    """Return one paragraph per epoch, one line per stage and one per operand."""
    lines = [f"stages of {graph.workload.name}"]
    for number, stages in enumerate(graph.epochs):
        cores = sum(stage.cores for stage in stages)
        lines += ["", f"epoch {number}: {len(stages)} stages on {cores} cores"]
        for stage in stages:
            lines += _stage(graph.workload, stage)
    return "\n".join(lines) + "\n"


def _stage(workload: Workload, stage: Stage) -> list[str]:
    nest = workload.nests[stage.nest]
    rows, columns = stage.grid
    where = " and ".join(["DRAM"] * stage.to_dram + ["L1"] * stage.shard)
    block = " x ".join(map(str, stage.block))
    head = f"  {nest.name} on cores({rows}, {columns}): {_verb(nest)} to {where} in blocks of {block} tiles"
    operands = zip(nest.operands, stage.operands, strict=True)
    return [head] + [f"    {_operand(workload.storages[a.storage].name, plan)}" for a, plan in operands]


def _verb(nest: Nest) -> str:
    shape = ", ".join(map(str, nest.shape))
    match nest.body:
        case MapBody():
            return f"map [{shape}]"
        case ReduceBody() as body:
            return f"{body.combine.value} of [{body.rows}, {body.columns}] to [{shape}]"
        case ContractBody(dtype=dtype):
            return f"{dtype.value} product [{shape}] over {' x '.join(map(str, nest.reduced))} tiles"
        case GatherBody():
            return f"gather [{shape}]"


_GROUPS = {
    Sharing.NONE: "each core reads its own",
    Sharing.ROW: "read once per row of cores, multicast",
    Sharing.COLUMN: "read once per column of cores, multicast",
    Sharing.ALL: "read once, multicast",
}


def _operand(name: str, plan: OperandPlan) -> str:
    source = "L1" if plan.from_l1 else "DRAM"
    return f"{name} from {source} by {plan.thread.value}: {_GROUPS[plan.sharing]}; {plan.buffers} x block, level
    {plan.level}"
