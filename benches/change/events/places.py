"""As many requests are in flight as may be when the config changes."""

import asyncio

from http1 import Http1
from plan import PLACES
from stage import change, until
from tally import Tally

TITLE = "Limits of requests in flight through a change"
ABOUT = (
    f"A path may have {PLACES} requests in flight, which last 4.5 seconds; {PLACES} are, and one more is refused. Then a "
    f"change, and when it is in force {PLACES + 2} clients ask. What reaches the service beyond the limit, while the first "
    "are still there, is extra. First another route's header changes, then the limit itself, by one."
)
SETTLE = 0.3  # seconds for a request to reach the service, or to be refused
ROWS = {
    "refused": "clients refused before the change, of one too many",
    "elsewhere": "extra requests in flight, a change elsewhere",
    "place": "extra requests in flight, a change of the limit",
}


async def run(stage):
    figures = {"refused": [0, 0]}
    for kind in ("elsewhere", "place"):
        async with stage.open() as (running, plan):
            tally = Tally()
            asking = [ask(running, tally) for _ in range(PLACES)]
            await until(lambda: full(stage.side), 2.0)
            beyond = ask(running, tally)
            await asyncio.sleep(SETTLE)
            refused = beyond.done() and stage.side.held <= PLACES
            figures["refused"] = [figures["refused"][0] + refused, figures["refused"][1] + 1]
            plan = getattr(plan, kind)()
            await change(running, plan)
            asking += [beyond, *(ask(running, tally) for _ in range(PLACES + 2))]
            await asyncio.sleep(SETTLE)
            figures[kind] = max(0, stage.side.held - plan.places)
            await asyncio.gather(*asking)
    return figures


def ask(running, tally):
    """A client of its own, which asks once."""

    async def once():
        client = Http1(running.http1, tally)
        await client.ask("/held")
        client.drop()

    return asyncio.create_task(once())


async def full(side):
    return side.held >= PLACES
