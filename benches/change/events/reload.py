"""The config changes again and again under load, with tunnels open."""

import asyncio
from statistics import median

from load import Load
from stage import change
from tunnel import tunnels

TITLE = "Changes under load"
ABOUT = (
    "20 clients of HTTP/1.1 and 2 connections of HTTP/2 with 5 requests at once ask for what takes 50 ms; 10 WebSocket "
    "tunnels through another route talk ten times a second. The header of a third route changes 20 times, then "
    "the connect time-out of the service itself 10 times. A request failed where its answer was not 200, or its "
    "connection ended under it; a connection that ended between two requests counts as closed."
)
CHANGES = (("elsewhere", 20), ("upstream", 10))
TUNNELS, PAUSE = 10, 0.2
ROWS = {
    "failed1": "requests failed, HTTP/1.1",
    "failed2": "requests failed, HTTP/2",
    "cut": "tunnels cut",
    "closed1": "client connections closed, HTTP/1.1",
    "closed2": "client connections closed, HTTP/2",
    "seconds": "seconds until a change is in force",
    "missed": "changes not in force within 8 s",
    "processes": "processes after the last change",
}


async def run(stage):
    async with stage.open() as (running, plan):
        talking = await tunnels(running.http1, TUNNELS)
        async with Load(running, one=20, two=2) as load:
            await asyncio.sleep(1)
            took = []
            for kind, count in CHANGES:
                for _ in range(max(2, round(stage.scaled(count)))):
                    plan = getattr(plan, kind)()
                    took.append(await change(running, plan))
                    await asyncio.sleep(PAUSE)
            await asyncio.sleep(1)
        processes = running.processes()
        cut = [tunnel.cut for tunnel in talking if tunnel.cut]
        for tunnel in talking:
            tunnel.close()
    return {
        "failed1": load.http1.share(),
        "failed2": load.http2.share(),
        "cut": [len(cut), TUNNELS],
        "closed1": load.http1.closed,
        "closed2": load.http2.closed,
        "seconds": median(took),
        "missed": [sum(seconds == float("inf") for seconds in took), len(took)],
        "processes": processes,
        "reasons": {"http1": load.http1.failed, "http2": load.http2.failed, "tunnels": cut},
        "resent": load.http2.resent,
    }
