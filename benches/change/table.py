"""Figures of all rounds as tables: one for each event, a column for each gateway."""

from statistics import median

NOTHING = "–"


def tables(events, names, runs):
    """Markdown. `runs[event][gateway]` is a list of figures, one for each round."""
    parts = []
    for key, event in events.items():
        rows = [[title, *(cell(row, runs[key].get(name, [])) for name in names)] for row, title in event.ROWS.items()]
        parts.append(f"### {event.TITLE}\n\n{event.ABOUT}\n\n{markdown(['', *names], rows)}")
    return "\n\n".join(parts)


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
