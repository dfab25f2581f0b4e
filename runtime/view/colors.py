"""Colors of stages, reasons and loads, for every form of a view but the report, which has the same in its script."""

STAGES = (
    "#a6cee3", "#b2df8a", "#fdbf6f", "#cab2d6", "#fb9a99", "#ffed6f",
    "#8dd3c7", "#fccde5", "#bebada", "#80b1d3", "#ccebc5", "#d9d9d9",
)  # fmt: skip
"""Light, so that black letters stand out on them."""

REASONS = {
    "busy": "#0072b2",
    "cb reserve": "#f0e442",
    "cb wait": "#e69f00",
    "semaphore": "#cc79a7",
    "await": "#009e73",
    "barrier": "#d55e00",
    "order": "#8c564b",
    "pipe": "#56b4e9",
    "idle": "#c3c8cf",
}
"""After Okabe and Ito, "Color Universal Design", told apart by most color-blind people."""

ROLES = {
    "input": "#a6cee3",
    "weight": "#b2df8a",
    "state": "#cab2d6",
    "constant": "#ffed6f",
    "output": "#fdbf6f",
    "temporary": "#d9d9d9",
}

HEAT = (
    "#d9dde3", "#c9c7a8", "#d9c36b", "#e8ae3a", "#ee9326", "#ec7420", "#e2541f", "#cf3222", "#ad1a2b", "#7d0a35",
)  # fmt: skip
"""From nothing to everything."""


def stage_color(index: int) -> str:
    """The color of the stage with number `index` in its epoch."""
    return STAGES[index % len(STAGES)]


def heat(share: float) -> int:
    """The step of `HEAT` for a share in 0 .. 1; only nothing is step 0."""
    return 0 if share <= 0 else min(9, 1 + int(share * 9))
