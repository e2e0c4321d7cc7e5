"""A client has used up its rate limit when the config changes."""

import asyncio
import time

from http1 import Http1
from plan import MORE, RATE
from stage import change
from tally import Tally

TITLE = "Rate limits through a change"
ABOUT = (
    "A client that may send 20 at once and then one a second has used that up, and goes on asking 40 times a second "
    "until a second after the change. What passes beyond the rate is extra. First another route's header changes, "
    "then the burst of the limit itself, from 20 to 22; the two that this may let through are not counted."
)
EACH, AFTER = 0.025, 1.0  # seconds between requests; how long to count after a change
ROWS = {
    "elsewhere": "extra requests let through, a change elsewhere",
    "limit": "extra requests let through, a change of its burst",
}


async def run(stage):
    figures = {}
    for kind in ROWS:
        async with stage.open() as (running, plan):
            figures[kind], figures[f"{kind} seen"] = await extra(running, plan, kind)
    return figures


async def extra(running, plan, kind):
    await asyncio.sleep(running.settles)
    tally = Tally()
    client = Http1(running.http1, tally)
    asking = asyncio.create_task(ask(client))
    await asyncio.sleep(2.0)  # past the burst
    before, began = len(tally.answers), time.monotonic()
    await change(running, getattr(plan, kind)())
    await asyncio.sleep(AFTER)
    asking.cancel()
    passed = len(tally.answers) - before
    allowed = int((time.monotonic() - began) * RATE) + 1 + (MORE if kind == "limit" else 0)
    client.drop()
    return max(0, passed - allowed), {"passed": passed, "allowed": allowed, "outcomes": tally.failed}


async def ask(client):
    """Asks without waiting for the service more than it must."""
    while True:
        await client.ask("/limited")
        await asyncio.sleep(EACH)
