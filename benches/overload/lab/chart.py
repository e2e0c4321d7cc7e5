"""The step column as a drawing: goodput and latency over time, a line for each gateway. Plain SVG, for light and
dark pages alike: nothing behind it, middle tones on it."""

from math import log10
from statistics import median

WIDTH, PANEL, LEFT, RIGHT, TOP, GAP = 860, 220, 64, 140, 44, 46
INK = "#7d8590"
COLOURS = {"nothing": "#8c959f", "haproxy": "#3b8eea", "envoy": "#a371f7", "tidegate": "#e0762f"}
SPARE = ["#2da44e", "#d6409f", "#bf8700", "#0fa3b1"]  # for Tidegate's other modes
LATENCY = (30.0, 1000.0)  # ms, shown on a logarithmic scale


def chart(column, gateways, runs):
    """The SVG's text. Lines are medians of the rounds."""
    colours = dict(COLOURS)
    spare = iter(SPARE * len(gateways))
    colours |= {name: next(spare) for name in gateways if name not in colours}
    drawing = Drawing(column)
    most = max(capacity for _, _, capacity in drawing.stretches) * 1.15
    parts = [drawing.text(LEFT, 20, column.titled() + ": answers in time a second, and their latency", size=15)]
    parts += drawing.phases()
    parts += drawing.panel(0, [(v, f"{v:g}") for v in range(0, int(most) + 1, 200)], lambda v: v / most, "good/s")
    parts += drawing.panel(1, [(v, f"{v:g}") for v in (30, 100, 300, 1000)], log_share, "p99, ms")
    parts.append(drawing.capacity(most))
    for index, name in enumerate(gateways):
        good, slow = series(runs[column.key][name])
        bold = 2.6 if name.startswith("tidegate") else 1.7
        parts.append(drawing.line(0, good, lambda v: v / most, colours[name], bold))
        parts.append(drawing.line(1, slow, log_share, colours[name], bold))
        parts += drawing.legend(index, name, colours[name])
    height = TOP + 2 * PANEL + GAP + 34
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"'
    head += f' font-family="system-ui, sans-serif" aria-label="{column.title}: goodput and latency over time">'
    return "\n".join([head, *parts, "</svg>", ""])


class Drawing:
    def __init__(self, column):
        self.column = column
        self.begin, self.end = column.measure[0] - 3, column.seconds  # three seconds before the step
        full = column.phases[-1][3]
        self.stretches = [(self.begin, column.measure[0], full)]
        self.stretches += [(begin, begin + length, capacity) for _, begin, length, capacity in column.phases]

    def x(self, second):
        return LEFT + (second - self.begin) / (self.end - self.begin) * (WIDTH - LEFT - RIGHT)

    @staticmethod
    def y(panel, share):
        return TOP + panel * (PANEL + GAP) + PANEL * (1 - min(1.0, max(0.0, share)))

    def panel(self, panel, ticks, share, unit):
        parts = [self.text(LEFT - 8, self.y(panel, 1) - 8, unit, anchor="end", size=11)]
        for value, label in ticks:
            y = self.y(panel, share(value))
            parts.append(self.rule(self.x(self.begin), y, self.x(self.end), y, 0.25))
            parts.append(self.text(LEFT - 8, y + 4, label, anchor="end", size=11))
        if panel == 1:
            for second in range(int(self.begin), int(self.end) + 1):
                since = second - int(self.column.measure[0])
                parts.append(self.text(self.x(second), self.y(1, 0) + 18, f"{since} s", anchor="middle", size=11))
        return parts

    def phases(self):
        parts = []
        for title, begin, length, _ in self.column.phases:
            x = self.x(begin)
            parts.append(self.rule(x, TOP, x, self.y(1, 0), 0.9, dash="3 3"))
            parts.append(self.text(x + 5, self.y(0, 0) + 20, title, size=11))
        return parts

    def capacity(self, most):
        points = " ".join(
            f"{self.x(second):.1f},{self.y(0, capacity / most):.1f}"
            for begin, end, capacity in self.stretches
            for second in (begin, end)
        )
        return f'<polyline points="{points}" fill="none" stroke="{INK}" stroke-dasharray="6 4" opacity="0.8"/>'

    def line(self, panel, values, share, colour, width):
        """One polyline for each unbroken stretch: where nothing was answered there is no latency to draw."""
        paths, path = [], []
        for second, value in values:
            if self.begin <= second <= self.end and value is not None:
                path.append(f"{self.x(second):.1f},{self.y(panel, share(value)):.1f}")
            elif path:
                paths.append(path)
                path = []
        lines = (
            f'<polyline points="{" ".join(path)}" fill="none" stroke="{colour}" stroke-width="{width}"'
            ' stroke-linejoin="round" stroke-linecap="round"/>'
            for path in [*paths, path]
            if path
        )
        return "\n".join(lines)

    def legend(self, index, name, colour):
        x, y = WIDTH - RIGHT + 16, TOP + 10 + 20 * index
        line = f'<line x1="{x}" y1="{y}" x2="{x + 18}" y2="{y}" stroke="{colour}" stroke-width="3"/>'
        return [line, self.text(x + 24, y + 4, name, size=12)]

    @staticmethod
    def rule(x1, y1, x2, y2, opacity, dash="none"):
        return (
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{INK}" opacity="{opacity}"'
            f' stroke-dasharray="{dash}"/>'
        )

    @staticmethod
    def text(x, y, text, anchor="start", size=12):
        return f'<text x="{x:.1f}" y="{y:.1f}" fill="{INK}" font-size="{size}" text-anchor="{anchor}">{text}</text>'


def series(runs):
    """Good answers a second, and the p99 of the answered, each at the middle of its bucket."""
    bucket = runs[0]["bucket"]
    good, slow = [], []
    for at in range(max(len(run["series"]) for run in runs)):
        seen = [run["series"][at] for run in runs if at < len(run["series"])]
        middle = (at + 0.5) * bucket
        good.append((middle, median([one["good"] for one in seen]) / bucket))
        times = [one["p99_ms"] for one in seen if one["p99_ms"] is not None]
        slow.append((middle, median(times) if times else None))
    return good, slow


def log_share(ms):
    low, high = (log10(bound) for bound in LATENCY)
    return (log10(max(ms, LATENCY[0])) - low) / (high - low)
