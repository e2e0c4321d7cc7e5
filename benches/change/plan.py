"""What every gateway is set up for, in words of no gateway: its hosts, its limit, and what changes.

Five paths. `/work` and `/limited` go to the service, the second through a rate limit; `/chat`, `/held` and `/other` go
to another service, of which `/held` may have a few requests in flight alone. The answer of `/other` carries a version
in a header, by which a change is known to be in force.
"""

from dataclasses import dataclass, replace

RATE, BURST = 1, 20  # requests a second, and at once, of one client
MORE = 2  # by which the burst is raised
PLACES = 4  # requests of `/held` in flight at once
CHECK_EACH, DOWN_AFTER, UP_AFTER = 1, 3, 2  # seconds between active checks; checks in a row
MOVED = "x-version"  # the header that tells the version


@dataclass(frozen=True)
class Plan:
    """One version of a gateway's config."""

    port: int  # of each host of the service
    side: str  # the other service: "address:port"
    hosts: tuple = ()  # addresses of the service; none where a name is followed
    name: str = ""  # the name that has the addresses, where one is followed
    resolver: str = ""  # who answers for it: "address:port"
    version: int = 0
    connect_ms: int = 1000  # how long a connection to a host of the service may take
    burst: int = BURST
    places: int = PLACES
    leave_at_once: bool = False  # whether a host that DNS lacks is left although it passes its checks

    def elsewhere(self):
        """A change of a route that has nothing to do with the service."""
        return replace(self, version=self.version + 1)

    def upstream(self):
        """A change of a time-out of the service."""
        other = 1500 if self.connect_ms == 1000 else 1000
        return replace(self.elsewhere(), connect_ms=other)

    def limit(self):
        """A change of the rate limit."""
        return replace(self.elsewhere(), burst=self.burst + MORE)

    def place(self):
        """A change of the limit of requests in flight: one more."""
        return replace(self.elsewhere(), places=self.places + 1)

    def addresses(self):
        return [f"{host}:{self.port}" for host in self.hosts]
