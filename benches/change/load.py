"""Many clients that ask again and again until they are stopped, each after the request that it is at."""

import asyncio

from http1 import Http1
from http2 import Http2
from tally import Tally

PAUSE = 0.02  # seconds between an answer and the next request of the same client


class Load:
    """`one` clients of HTTP/1.1, and `two` connections of HTTP/2 with `lanes` requests at once each."""

    def __init__(self, running, path="/work", one=20, two=0, lanes=5):
        self.http1, self.http2 = Tally(), Tally()
        self.stopped = False
        self.clients = [Http1(running.http1, self.http1) for _ in range(one)]
        self.clients += [Http2(running.http2, self.http2) for _ in range(two)]
        busy = [client for client in self.clients for _ in range(lanes if isinstance(client, Http2) else 1)]
        self.tasks = [asyncio.create_task(self.ask(client, path)) for client in busy]

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.stop()

    async def ask(self, client, path):
        while not self.stopped:
            await client.ask(path)
            await asyncio.sleep(PAUSE)

    def anew(self):
        """Returns what clients of HTTP/1.1 saw so far, and begins to count anew."""
        before = self.http1
        self.http1 = Tally()
        for client in self.clients:
            if isinstance(client, Http1):
                client.tally = self.http1
        return before

    async def stop(self):
        self.stopped = True
        await asyncio.gather(*self.tasks)
        for client in self.clients:
            client.drop()
