"""What was measured as text: the page here, and a shorter table for the front page."""

from dataclasses import dataclass

from peers import page
from table import cell, markdown

# What the front page shows: event, row, words.
SHORT = (
    ("reload", "failed1", "requests failed in 30 changes, HTTP/1.1"),
    ("reload", "failed2", "requests failed in 30 changes, HTTP/2"),
    ("reload", "cut", "tunnels cut by them"),
    ("reload", "closed1", "client connections closed by them, HTTP/1.1"),
    ("buckets", "elsewhere", "extra requests past a full rate limit, change elsewhere"),
    ("buckets", "limit", "extra requests past a full rate limit, change of its burst"),
    ("places", "elsewhere", "extra requests past a full limit in flight, change elsewhere"),
    ("places", "place", "extra requests past a full limit in flight, change of the limit"),
    ("down", "elsewhere", "requests to a host known to be down, change elsewhere"),
    ("down", "upstream", "requests to a host known to be down, change of its upstream"),
    ("dns", "moved", "seconds to follow a name that moves"),
    ("dns", "nxdomain", "requests failed, name gone for 10 s"),
    ("dns", "servfail", "requests failed, its server failing for 10 s"),
    ("dns", "silent", "requests failed, its server silent for 10 s"),
    ("dns", "cut", "live hosts dropped, answers cut short"),
    ("dns", "flaps", "live hosts dropped, answers that come and go"),
)


@dataclass
class Measured:
    """All figures of a run, and what they were measured with."""

    events: dict
    kinds: dict
    runs: dict
    versions: dict
    missing: dict
    conditions: str

    def named(self, name):
        """The gateway with its version, as head of a column."""
        return f"{name} {self.versions.get(name, '(not available here)')}"

    def page(self):
        parts = [self.conditions, *(self.table(key, event) for key, event in self.events.items()), self.setups()]
        if self.missing:
            parts.append("Not measured:\n\n" + "\n".join(f"- {what}: {why}" for what, why in self.missing.items()))
        return "\n\n".join(parts)

    def table(self, key, event):
        """One event: what it is, and a row for each figure, a column for each gateway that it is for."""
        kinds = [name for name, kind in self.kinds.items() if key in (kind.only or self.events)]
        rows = [
            [words, *(cell(row, self.runs[key][name]) for name in kinds)] for row, words in event.ROWS.items()
        ]
        head = ["", *(self.named(name) for name in kinds)]
        return f"### {event.TITLE}\n\n{event.ABOUT}\n\n{markdown(head, rows)}"

    def setups(self):
        kinds = (f"- **{name}**: {kind.settings}." for name, kind in self.kinds.items())
        return "### Set up\n\n" + "\n".join(kinds)

    def short(self):
        kinds = [name for name, kind in self.kinds.items() if not kind.only]
        rows = [
            [words, *(cell(row, self.runs[event][name]) for name in kinds)]
            for event, row, words in SHORT
            if event in self.runs
        ]
        return markdown(["", *(self.named(name) for name in kinds)], rows)

    def write(self, here, front):
        """Into the two pages, between their marks."""
        page.put(here, self.page())
        page.put(front, self.short(), "changes measured")
