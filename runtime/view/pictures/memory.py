"""Memory: L1 of every core, buffer by buffer."""

from runtime.units import amount
from runtime.view.colors import stage_color
from runtime.view.model import ViewModel
from runtime.view.pictures.canvas import Canvas

HEIGHT, TOP, LEFT = 240.0, 28.0, 56.0


def memory_picture(model: ViewModel, epoch: int) -> str:
    """Draw one epoch: a column per core, a box per buffer at its address above the reserved part, in the color of the
    core's stage."""
    machine, stages = model.image.machine, model.epoch_stages(epoch)
    columns = [(core, index) for index, stage in enumerate(stages) for core in stage.cores]
    wide = max(8.0, min(40.0, 860.0 / max(len(columns), 1)))
    width = max(420.0, LEFT + wide * len(columns) + 20)
    peak = max((stage.l1_bytes for stage in stages), default=0)
    title = f"{model.image.name}, epoch {epoch}: at most {amount(peak)} of {amount(machine.l1_available)} of L1"
    canvas = Canvas(width, TOP + HEIGHT + 60, title)
    canvas.text(LEFT, 16, title, "soft")
    base = machine.l1_base
    top = max((b.address + b.bytes for stage in stages for each in stage.buffers for b in each), default=base + 1)
    scale = HEIGHT / (top - base)
    canvas.rect(LEFT, TOP, wide * len(columns), HEIGHT, "none", class_="line")
    canvas.text(4, TOP + 8, amount(top - base), "soft small")
    canvas.text(4, TOP + HEIGHT, "0", "soft small")
    for column, (core, index) in enumerate(columns):
        stage = stages[index]
        for buffer in stage.buffers[stage.cores.index(core)]:
            y = TOP + HEIGHT - (buffer.address - base + buffer.bytes) * scale
            name = f"core {core}, {stage.name}: {buffer.name}, {amount(buffer.bytes)} at {buffer.address}"
            size = max(1.0, buffer.bytes * scale)
            canvas.rect(LEFT + column * wide + 1, y, wide - 2, size, stage_color(index), title=name, stroke="#777")
        if wide > 16:
            canvas.text(LEFT + column * wide + wide / 2, TOP + HEIGHT + 13, str(core), "mid small soft")
    items = [(stage_color(index), f"{stage.letter} {stage.name}") for index, stage in enumerate(stages)]
    canvas.height = canvas.legend(LEFT, TOP + HEIGHT + 34, items, width - LEFT - 10)
    return canvas.render()
