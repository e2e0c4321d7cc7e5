"""Cells and rows of tables: the median of all rounds, and the worst."""

from statistics import median

NOTHING = "–"


def cell(row, rounds):
    """The median of the rounds, and the worst where it differs; a dash where nothing was measured."""
    values = [figures[row] for figures in rounds if row in figures]
    if not values:
        return NOTHING
    ordered = sorted(values, key=lambda value: value[0] / max(1, value[1]) if isinstance(value, list) else value)
    middle, worst = shown(ordered[(len(ordered) - 1) // 2]), shown(ordered[-1])
    if len(values) > 1 and all(isinstance(value, float) for value in values):
        middle = shown(median(values))
    return middle if middle == worst else f"{middle} (worst {worst})"


def shown(value):
    """`3 of 8,412`; `1.2`; `4`; `not in time`."""
    if isinstance(value, list):
        return f"{value[0]:,} of {value[1]:,}"
    if isinstance(value, float):
        return "did not" if value == float("inf") else f"{value:.1f}"
    return f"{value:,}"


def markdown(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
