"""A client has used up its rate limit when the config changes."""

import asyncio
import time

from load import Load
from plan import MORE, RATE
from stage import change

TITLE = "Rate limits through a change"
ABOUT = (
    "A client that may send 20 at once and then one a second has used that up, and goes on asking some 40 times a second "
    "until a second after the change. What passes beyond the rate is extra. First another route's header changes, "
    "then the burst of the limit itself, from 20 to 22; the two that this may let through are not counted."
)
AFTER = 1.0  # seconds to count after a change
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
    async with Load(running, path="/limited", one=1) as load:
        await asyncio.sleep(2.0)  # past the burst
        before, began = len(load.http1.answers), time.monotonic()
        await change(running, getattr(plan, kind)())
        await asyncio.sleep(AFTER)
        passed = len(load.http1.answers) - before
        allowed = int((time.monotonic() - began) * RATE) + 1 + (MORE if kind == "limit" else 0)
    return max(0, passed - allowed), {"passed": passed, "allowed": allowed, "outcomes": load.http1.failed}
