"""What is done to each gateway: one column of the table each, as plans of the backend and of the driver."""

from dataclasses import dataclass, field

WORKERS = 16
MEAN_MS = 20.0
CAPACITY = WORKERS * 1000.0 / MEAN_MS  # requests a second
SETTLE = 3.0  # seconds after the load has come that steady columns do not count
SLOW = 10.0  # times the service time, for the slow endpoint
MIX = ((0.95, "/fast", 5.0), (0.05, "/slow", 500.0))  # share, path, mean in ms
STEP_BEFORE, STEP_HALVED, STEP_AFTER = 3, 5, 5  # seconds of 1.5x before, during and after half the workers


@dataclass
class Column:
    """One experiment. Seconds are on the driver's clock."""

    key: str
    title: str
    rate: list  # (from second, requests a second)
    seconds: float
    measure: tuple
    capacity: float = CAPACITY  # what goodput is a share of
    kinds: list = field(default_factory=lambda: [kind("all", 1.0, "/")])
    endpoints: list = field(default_factory=lambda: [{}])  # what each differs in from the usual backend
    steps: list = field(default_factory=list)  # (second, query for every backend)
    in_time_ms: float = 200.0
    timeout_ms: float = 1000.0
    retries: int = 0
    phases: list = field(default_factory=list)  # (title, from second, seconds, capacity): shown second by second
    tuned: bool = False  # Tidegate's file is changed each second
    headline: str = "all"  # whose goodput the table shows: of the capacity, or "critical", of what it offered

    def titled(self):
        return self.title[0].upper() + self.title[1:]

    def backend(self, endpoint):
        usual = {"workers": WORKERS, "mean_ms": MEAN_MS, "spread": "exponential", "collapse": 0.2}
        return usual | endpoint


def kind(name, share, path, priority="normal"):
    return {"name": name, "share": share, "path": path, "priority": priority}


def columns(warm, seconds):
    """All columns, with `warm` seconds at half the capacity before a load and `seconds` that count."""
    return {
        column.key: column
        for column in (
            steady("0.8x", 0.8, warm, seconds),
            steady("1.2x", 1.2, warm, seconds),
            steady("3x", 3, warm, seconds),
            steady("10x", 10, warm, seconds),
            steady("tuned-3x", 3, warm, seconds, title="3x, tuned each second", tuned=True),
            steady("3x-retries", 3, warm, seconds, title="3x, 2 client retries", retries=2),
            halving(warm),
            steady("slow-0.8x", 0.8, warm, seconds, title="one of two slow, 0.8x", **two_endpoints()),
            steady("slow-3x", 3, warm, seconds, title="one of two slow, 3x", **two_endpoints()),
            steady("critical-3x", 3, warm, seconds, title="critical, 25 % of 3x", **critical(0.25)),
            steady("critical-10x", 10, warm, seconds, title="critical, 7 % of 10x", **critical(0.07)),
            cold("cold-1.5x", 1.5),
            cold("cold-3x", 3),
            steady("mixed-3x", 3, warm, seconds, title="5 and 500 ms, 3x", **mixed()),
        )
    }


SHORT = ("0.8x", "3x", "10x", "halving")


def steady(key, times, warm, seconds, title=None, capacity=CAPACITY, **rest):
    measure = (warm + SETTLE, warm + SETTLE + seconds)
    rate = [(0, 0.5 * capacity), (warm, times * capacity)]
    return Column(key, title or key, rate, measure[1], measure, capacity, **rest)


def cold(key, times):
    """The gateway has seen nothing when the load comes."""
    seconds = 4
    phases = [("from the first request", 0, seconds, CAPACITY)]
    title = f"cold start at {times:g}x"
    return Column(key, title, [(0, times * CAPACITY)], seconds, (0, seconds), phases=phases)


def halving(warm):
    half = warm + STEP_BEFORE
    back = half + STEP_HALVED
    end = back + STEP_AFTER
    return Column(
        "halving",
        "half the workers and back, at 1.5x",
        [(0, 0.5 * CAPACITY), (warm, 1.5 * CAPACITY)],
        end,
        (half, back),
        CAPACITY / 2,
        steps=[(half, f"workers={WORKERS // 2}"), (back, f"workers={WORKERS}")],
        phases=[
            ("half the workers", half, STEP_HALVED, CAPACITY / 2),
            ("all workers again", back, STEP_AFTER, CAPACITY),
        ],
    )


def two_endpoints():
    return {"capacity": CAPACITY * (1 + 1 / SLOW), "endpoints": [{}, {"scale": SLOW}]}


def critical(share):
    kinds = [kind("critical", share, "/critical", "critical"), kind("normal", 1 - share, "/normal")]
    return {"kinds": kinds, "headline": "critical"}


def mixed():
    mean = sum(share * ms for share, _, ms in MIX)
    return {
        "capacity": WORKERS * 1000.0 / mean,
        "kinds": [kind(path.strip("/"), share, path) for share, path, _ in MIX],
        "endpoints": [{"paths": {path: ms for _, path, ms in MIX}}],
        "in_time_ms": 2500.0,
        "timeout_ms": 5000.0,
    }
