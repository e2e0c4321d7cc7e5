"""What clients saw: how many requests were asked, which failed and how, which connections ended between requests."""

import time
from collections import Counter


class Tally:
    """Requests of one kind of client. `answers` holds when each good answer came, and from which host."""

    def __init__(self):
        self.asked = 0
        self.failed = Counter()
        self.closed = 0  # connections that ended in good order, between requests
        self.resent = 0  # requests that HTTP/2 gave back unprocessed, which were sent again
        self.answers = []

    def add(self, outcome, body=""):
        """One request with its outcome: a status, or a word for how it broke."""
        self.asked += 1
        if outcome == 200:
            self.answers.append((time.monotonic(), body))
        else:
            self.failed[str(outcome)] += 1

    def share(self):
        """Failed of asked, for a cell."""
        return [sum(self.failed.values()), self.asked]

    def last_from(self, bodies):
        """When the last good answer came from one of these hosts; 0 where none did."""
        return max((at for at, body in self.answers if body in bodies), default=0.0)

    def share_of(self, host):
        """What part of the good answers came from this host."""
        return sum(body == host for _, body in self.answers) / max(1, len(self.answers))

    def longest_without(self, host):
        """The most good answers in a row that came from others."""
        longest = row = 0
        for _, body in self.answers:
            row = 0 if body == host else row + 1
            longest = max(longest, row)
        return longest
