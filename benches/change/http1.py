"""A client of HTTP/1.1 that keeps its connection and knows why a request was not answered."""

import asyncio
from contextlib import suppress

WITHIN = 5.0  # seconds for an answer


class Http1:
    """One connection, opened anew when it has ended."""

    def __init__(self, address, tally):
        self.host, _, port = address.rpartition(":")
        self.port, self.tally = int(port), tally
        self.reader = self.writer = None

    async def ask(self, path):
        """One GET; the outcome goes to the tally. Returns status (or word), head and body."""
        try:
            outcome, head, body = await asyncio.wait_for(self.exchange(path), WITHIN)
        except asyncio.TimeoutError:
            outcome, head, body = "no answer", "", ""
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            outcome, head, body = "connection cut", "", ""
        if not isinstance(outcome, int):
            self.drop()
        self.tally.add(outcome, body)
        return outcome, head, body

    async def exchange(self, path):
        if self.writer is not None and (self.reader.at_eof() or self.reader.exception()):
            self.tally.closed += 1
            self.drop()
        if self.writer is None:
            try:
                self.reader, self.writer = await asyncio.open_connection(self.host, self.port)
            except OSError:
                return "not connected", "", ""
        self.writer.write(f"GET {path} HTTP/1.1\r\nHost: tidegate.test\r\n\r\n".encode())
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        body = await self.body(head)
        if "\nconnection: close" in head:
            self.tally.closed += 1
            self.drop()
        return int(head.split(" ", 2)[1]), head, body.decode("latin-1")

    async def body(self, head):
        if "\ncontent-length:" in head:
            return await self.reader.readexactly(int(head.split("\ncontent-length:")[1].split("\r")[0]))
        if "\ntransfer-encoding: chunked" not in head:
            return await self.reader.read()
        whole = b""
        while size := int((await self.reader.readuntil(b"\r\n")).split(b";")[0], 16):
            whole += await self.reader.readexactly(size)
            await self.reader.readexactly(2)
        await self.reader.readuntil(b"\r\n")
        return whole

    def drop(self):
        if self.writer is not None:
            with suppress(OSError):
                self.writer.close()
        self.reader = self.writer = None


async def once(address, path, tally):
    """One request on a connection of its own. Returns status (or word), head and body."""
    client = Http1(address, tally)
    try:
        return await client.ask(path)
    finally:
        client.drop()
