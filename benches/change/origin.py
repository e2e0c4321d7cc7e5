"""The services behind the gateways: one that can fall ill and remembers who asked, one that echoes WebSockets."""

import asyncio
import time
from contextlib import suppress

WORK = 0.05  # seconds that `/work` takes, so that some are always in flight
HELD = 4.5  # seconds that `/held` takes: longer than any gateway takes for a change
TAKES = {"/work": WORK, "/held": HELD}


class Host:
    """One host of the service. While it is `down` it answers everything with 503, checks too."""

    def __init__(self, address):
        self.address = address
        self.down = False
        self.asked = []  # when each client's request came
        self.held = 0  # requests of `/held` that it works on
        self.open_ones = set()

    async def open(self, port=0):
        self.server = await asyncio.start_server(self.serve, self.address, port, backlog=512)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def serve(self, reader, writer):
        self.open_ones.add(writer)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                await self.answer(head, reader, writer)
        writer.close()
        self.open_ones.discard(writer)

    async def answer(self, head, reader, writer):
        path = head.split(" ", 2)[1]
        if path == "/chat":
            return await echo(reader, writer)
        if path != "/health":
            self.asked.append(time.monotonic())
            self.held += path == "/held"
            await asyncio.sleep(TAKES.get(path, 0))
            self.held -= path == "/held"
        status = "503 Service Unavailable" if self.down else "200 OK"
        body = self.address
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        await writer.drain()

    def asked_since(self, when):
        """How many clients' requests came since then."""
        return sum(at >= when for at in self.asked)

    async def close(self):
        self.server.close()
        for writer in self.open_ones:
            writer.close()


async def echo(reader, writer):
    """Sends every small WebSocket frame back, unmasked, until the peer goes."""
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n")
    writer.write(b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
    while True:
        kind, length = await reader.readexactly(2)
        mask = await reader.readexactly(4)
        masked = await reader.readexactly(length & 0x7F)
        body = bytes(byte ^ mask[index % 4] for index, byte in enumerate(masked))
        writer.write(bytes((kind, len(body))) + body)
        await writer.drain()


async def hosts(count, first=2):
    """So many hosts of the service, on one port of 127.0.0.2, 127.0.0.3 and so on."""
    made = [await Host(f"127.0.0.{first}").open()]
    for index in range(1, count):
        made.append(await Host(f"127.0.0.{first + index}").open(made[0].port))
    return made
