"""A host is known to be down, and out, when the config changes."""

import asyncio
import time

from load import Load
from stage import change, until

TITLE = "A host that is down, through a change"
ABOUT = (
    "One of three hosts answers 503, its checks too, until the gateway sends it nothing any more for 3 seconds. Then "
    "a change; counted are the clients' requests that reach that host from there until 3 seconds after the change "
    "is in force, under 10 clients."
)
OUT_WITHIN, QUIET, AFTER = 20.0, 3.0, 3.0  # seconds
ROWS = {
    "out": "seconds until it got nothing any more",
    "before": "requests failed until then",
    "elsewhere": "requests sent to it, a change elsewhere",
    "elsewhere failed": "requests failed then",
    "upstream": "requests sent to it, a change of its upstream's time-out",
    "upstream failed": "requests failed then, too",
}


async def run(stage):
    async with stage.open() as (running, plan), Load(running, one=10) as load:
        await asyncio.sleep(1)
        figures = await falls_ill(load, stage.hosts[-1])
        for kind in ("elsewhere", "upstream"):
            plan = getattr(plan, kind)()
            load.anew()
            began = time.monotonic()
            await change(running, plan)
            await asyncio.sleep(AFTER)
            seen = load.anew()
            figures[kind] = [stage.hosts[-1].asked_since(began), seen.asked]
            figures[f"{kind} failed"] = seen.share()
    return figures


async def falls_ill(load, host):
    """A host is ill from now on, until it gets nothing any more."""
    load.anew()
    began = time.monotonic()
    host.down = True
    if not await until(lambda: quiet(host, began), OUT_WITHIN):
        return {"before": load.anew().share(), "out": float("inf")}
    return {"before": load.anew().share(), "out": max(0.0, host.asked[-1] - began)}


async def quiet(host, began):
    return time.monotonic() - max(began, host.asked[-1] if host.asked else began) >= QUIET
