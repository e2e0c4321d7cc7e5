"""Where an event happens: the services, and one gateway before them."""

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import names
import origin
from http1 import once
from plan import MOVED, Plan
from tally import Tally

IN_FORCE_WITHIN = 8.0  # seconds
NAME_SERVER = "127.0.0.153"


@dataclass
class Stage:
    """One kind of gateway, its program, a folder, and how long things last against the usual."""

    kind: type
    program: str
    folder: Path
    scale: float = 1.0
    hosts: list = field(default_factory=list)  # those of the event that is played
    side: origin.Host = None  # the other service of that event

    @asynccontextmanager
    async def open(self, count=3):
        """The gateway before so many hosts; gives it and its plan."""
        async with self.services(count) as (hosts, side):
            plan = Plan(hosts[0].port, side, tuple(host.address for host in hosts))
            async with self.running(plan) as running:
                yield running, plan

    @asynccontextmanager
    async def open_by_name(self, count=4):
        """The gateway before a name that has the first of so many hosts; gives it and who answers for the name."""
        async with self.services(count) as (hosts, side):
            server = await self.name_server()
            server.says = [hosts[0].address]
            try:
                plan = Plan(hosts[0].port, side, name=names.NAME, resolver=server.address)
                async with self.running(plan) as running:
                    yield running, server
            finally:
                server.close()

    async def name_server(self):
        """At port 53, since Go's resolver knows no other; where that may not be had, at any for those that can."""
        try:
            return await names.NameServer().open(NAME_SERVER, 53)
        except OSError:
            if self.kind.asks_system:
                raise
            return await names.NameServer().open(NAME_SERVER, 0)

    @asynccontextmanager
    async def services(self, count):
        self.hosts = await origin.hosts(count)
        self.side = side = await origin.Host("127.0.0.1").open()
        try:
            yield self.hosts, f"127.0.0.1:{side.port}"
        finally:
            for host in (*self.hosts, side):
                await host.close()

    @asynccontextmanager
    async def running(self, plan):
        running = await asyncio.to_thread(self.kind, self.program, self.folder, plan)
        try:
            if not await in_force(running, plan) or not await until(lambda: works(running), IN_FORCE_WITHIN):
                raise OSError(f"{self.kind.name} started but did not serve: see {self.folder}")
            yield running
        finally:
            running.stop()

    def scaled(self, usual):
        """So long, or so often, as it is here."""
        return usual * self.scale


async def change(running, plan):
    """Puts a plan into force and returns how many seconds that took; infinite where it did not come."""
    began = time.monotonic()
    await asyncio.to_thread(running.change, plan)
    return time.monotonic() - began if await in_force(running, plan) else float("inf")


async def in_force(running, plan):
    """Waits until two new connections in a row see the plan's version."""

    async def twice():
        seen = [await once(running.http1, "/other", Tally()) for _ in range(2)]
        return all(f"\n{MOVED}: {plan.version}\r" in head for _, head, _ in seen)

    return await until(twice, IN_FORCE_WITHIN)


async def works(running):
    return (await once(running.http1, "/work", Tally()))[0] == 200


async def until(holds, seconds):
    """Waits for `await holds()`; returns whether it came within these seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if await holds():
            return True
        await asyncio.sleep(0.01)
    return False
