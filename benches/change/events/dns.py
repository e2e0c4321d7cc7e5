"""The name of the service moves, fails, and is answered wrongly."""

import asyncio
import time

from load import Load
from stage import until

TITLE = "DNS"
ABOUT = (
    "A name with a TTL of one second, under 10 clients; all hosts are up all the time. It moves from one host to "
    "another. Then, for 10 seconds each, it does not exist, its server fails, or is silent, and has moved when lookups "
    "work again. Then it has 4 hosts, and for 6 seconds each answers by UDP are cut short (one of the four; TCP has "
    "them all), or every other answer has one alone. A host was dropped where 60 answers in a row came from others. "
    "At last the name has one host, and goes on so."
)
FOLLOW_WITHIN, FAIL, WRONG, SETTLE = 12.0, 10.0, 6.0, 10.0  # seconds
QUIET = 2.0  # seconds without a request after which a host is left
DROPPED, SERVED = 60, 0.05  # answers in a row from others; the least share of a host that gets traffic
ERRORS = {"nxdomain": "the name does not exist", "servfail": "its server fails", "silent": "its server is silent"}
ROWS = {
    "moved": "seconds until all traffic follows a move",
    "moved failed": "requests failed in the move",
    **{kind: f"requests failed, {words}" for kind, words in ERRORS.items()},
    "after": "seconds until it follows a move after such an outage, the longest of three",
    "served": "hosts with traffic where answers have four",
    "cut": "of these dropped, answers cut short",
    "cut failed": "requests failed then",
    "flaps": "of these dropped, every other answer with one of them",
    "flaps failed": "requests failed then, too",
    "shrunk": "seconds until traffic follows from four hosts to one",
}


async def run(stage):
    async with stage.open_by_name() as (running, server), Load(running, one=10) as load:
        hosts = [host.address for host in stage.hosts]
        await asyncio.sleep(2)
        load.anew()
        figures = {"moved": await follow(load, server, hosts[1:2], hosts[:1])}
        figures["moved failed"] = load.anew().share()
        figures |= await outages(stage, load, server, hosts[:2], figures["moved"] < FOLLOW_WITHIN)
        server.says = hosts
        await until(lambda: all_served(load, hosts), SETTLE)
        served = [host for host in hosts if load.http1.share_of(host) >= SERVED]
        figures["served"] = [len(served), len(hosts)]
        for what in ("cut", "flaps"):
            figures |= await wrong(stage, load, server, served, what)
        if len(served) > 1:
            figures["shrunk"] = await follow(load, server, served[:1], served[1:])
    return figures


async def follow(load, server, new, old):
    """Seconds from the new answer to the last request that an old host got; infinite where one still gets some."""
    began = time.monotonic()
    server.says = new

    async def followed():
        quiet = max(began, load.http1.last_from(old))
        return time.monotonic() - quiet > QUIET and load.http1.last_from(new) > quiet

    if not await until(followed, FOLLOW_WITHIN + QUIET):
        return float("inf")
    return max(0.0, load.http1.last_from(old) - began)


async def outages(stage, load, server, pair, follows):
    """Each kind of error, after which the name has moved to the other of the pair."""
    figures, longest = {}, 0.0
    for kind in ERRORS:
        old, new = server.says, [host for host in pair if host not in server.says]
        load.anew()
        server.says = kind
        await asyncio.sleep(stage.scaled(FAIL))
        figures[kind] = load.anew().share()
        if follows:
            longest = max(longest, await follow(load, server, new, old))
        server.says = new
        await until(lambda: recovered(load), SETTLE)
    return figures | {"after": longest if follows else float("inf")}


async def recovered(load):
    load.anew()
    await asyncio.sleep(0.5)
    return load.http1.answers and not load.http1.failed


async def all_served(load, hosts):
    load.anew()
    await asyncio.sleep(1.0)
    return all(load.http1.share_of(host) >= SERVED for host in hosts)


async def wrong(stage, load, server, served, what):
    """How many of the hosts are dropped while answers are wrong in this way."""
    load.anew()
    setattr(server, what, True)
    await asyncio.sleep(stage.scaled(WRONG))
    seen = load.anew()
    setattr(server, what, False)
    await until(lambda: all_served(load, served), SETTLE)
    dropped = [host for host in served if seen.longest_without(host) >= DROPPED]
    return {what: [len(dropped), len(served)], f"{what} failed": seen.share()}
