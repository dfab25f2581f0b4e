"""Threads over time: what each is doing, and the critical path."""

from itertools import groupby

from emulator.profile import REASONS as REASON_NAMES
from runtime.explain.critical import critical_path
from runtime.view.colors import REASONS
from runtime.view.model import RunView, ViewModel
from runtime.view.pictures.canvas import Canvas
from runtime.view.timeline import Timeline

WIDTH, LEFT, TOP, ROW, BAR = 960.0, 60.0, 26.0, 18.0, 5.4


def timeline_picture(model: ViewModel, epoch: int) -> str:
    """Draw the whole run, whatever `epoch` is; without a run there is a sentence that says so."""
    if model.run is None:
        canvas = Canvas(WIDTH, 40, f"{model.image.name}: not yet run")
        canvas.text(10, 24, "This image has not been run: there is no time to show.")
        return canvas.render()
    line = model.run.timeline
    makespan = model.run.report.makespan
    bottom = TOP + ROW * len(line.cores)
    title = f"{model.image.name} on {model.image.machine.name}: threads of {len(line.cores)} cores, {makespan} cycles"
    canvas = Canvas(WIDTH, bottom + 64, title)
    canvas.text(LEFT, 16, "read, write, compute of each core; pink: critical path", "soft")
    canvas.text(WIDTH - 120, 16, f"{makespan} cycles", "soft")
    for row, core in enumerate(line.cores):
        canvas.text(4, TOP + row * ROW + 13, f"core {core}", "soft small")
        for thread in range(3):
            _bars(canvas, line, row, thread, max(makespan, 1))
    _critical(canvas, model, model.run, max(makespan, 1))
    items = [(REASONS[name], name) for name in REASON_NAMES if name != "idle"]
    canvas.height = canvas.legend(LEFT, bottom + 22, items, WIDTH - LEFT)
    return canvas.render()


def _x(cycle: int, makespan: int) -> float:
    return LEFT + cycle / makespan * (WIDTH - LEFT - 10)


def _bars(canvas: Canvas, line: Timeline, row: int, thread: int, makespan: int) -> None:
    """Neighboring windows of one reason are one bar."""
    reasons = line.threads[row, thread].argmax(axis=0).tolist()
    absent = (line.threads[row, thread].sum(axis=0) == 0).tolist()
    starts, lengths, epochs = line.starts.tolist(), line.lengths.tolist(), line.epochs.tolist()
    windows = ((epochs[w], "idle" if absent[w] else REASON_NAMES[reasons[w]], w) for w in range(len(starts)))
    for (_, reason), group in groupby(windows, key=lambda item: item[:2]):
        members = [w for _, _, w in group]
        if reason == "idle":
            continue
        left, right = _x(starts[members[0]], makespan), _x(starts[members[-1]] + lengths[members[-1]], makespan)
        canvas.rect(left, TOP + row * ROW + thread * BAR + 1, max(0.5, right - left), 4.6, REASONS[reason])


def _critical(canvas: Canvas, model: ViewModel, run: RunView, makespan: int) -> None:
    if run.run.recording is None:
        return
    row = {core: index for index, core in enumerate(run.timeline.cores)}
    parts: list[str] = []
    last = -1
    for segment in critical_path(model.image, run.run.profile, run.run.recording):
        y = TOP + row[segment.thread // 3] * ROW + segment.thread % 3 * BAR + 3.3
        start = "L" if segment.begin == last else "M"
        parts.append(f"{start}{_x(segment.begin, makespan):.1f} {y:.1f}H{_x(segment.end, makespan):.1f}")
        last = segment.end
    canvas.path("".join(parts), stroke="#111", stroke_width=3.2)
    canvas.path("".join(parts), stroke="#ff2fd0", stroke_width=1.6)
