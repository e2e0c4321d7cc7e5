"""A client of HTTP/2 by prior knowledge, of which no more is written than GETs with small answers need."""

import asyncio
import struct
from contextlib import suppress

from http1 import WITHIN

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, END_HEADERS, ACK, PADDED, PRIORITY = 0x1, 0x4, 0x1, 0x8, 0x20
REFUSED = 7  # the stream was not begun: safe to send again
OPENING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class Http2:
    """One connection, opened anew after it has ended or was told to. Many may ask at once."""

    def __init__(self, address, tally):
        self.host, _, port = address.rpartition(":")
        self.port, self.tally = int(port), tally
        self.connection = None
        self.opening = asyncio.Lock()

    async def ask(self, path):
        """One GET, sent again where the server says that it did not begin it; the outcome goes to the tally."""
        outcome = "refused"
        for _ in range(3):
            try:
                connection = await self.connected()
                outcome = await asyncio.wait_for(connection.exchange(path), WITHIN)
            except asyncio.TimeoutError:
                outcome = "no answer"
            except OSError:
                outcome = "not connected"
            if outcome != "refused":
                break
            self.tally.resent += 1
        self.tally.add(outcome)

    async def connected(self):
        async with self.opening:
            if self.connection is None or self.connection.ending:
                self.tally.closed += self.connection is not None
                streams = await asyncio.open_connection(self.host, self.port)
                self.connection = Connection(*streams)
            return self.connection

    def drop(self):
        if self.connection is not None:
            self.connection.writer.close()


class Connection:
    """One connection and its open streams."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.ending, self.next, self.open = False, 1, {}
        writer.write(OPENING + frame(SETTINGS, 0, 0))
        self.task = asyncio.create_task(self.read())

    async def exchange(self, path):
        stream, self.next = self.next, self.next + 2
        done = asyncio.get_running_loop().create_future()
        self.open[stream] = [done, None]
        # :method GET, :scheme http, :path and :authority as literals that nobody indexes
        fields = b"\x82\x86\x04" + literal(path) + b"\x01" + literal("tidegate.test")
        self.writer.write(frame(HEADERS, END_STREAM | END_HEADERS, stream, fields))
        return await done

    async def read(self):
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await self.reader.readexactly(9)
                length, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
                stream = int.from_bytes(head[5:], "big") & 0x7FFFFFFF
                self.take(kind, flags, stream, await self.reader.readexactly(length))
        self.ending = True
        for stream in list(self.open):
            self.finish(stream, "connection cut")
        self.writer.close()

    def take(self, kind, flags, stream, body):
        if kind == SETTINGS and not flags & ACK:
            self.writer.write(frame(SETTINGS, ACK, 0))
        elif kind == PING and not flags & ACK:
            self.writer.write(frame(PING, ACK, 0, body))
        elif kind == GOAWAY:
            self.ending = True
            last = int.from_bytes(body[:4], "big") & 0x7FFFFFFF
            for number in [number for number in self.open if number > last] or [0]:
                self.finish(number, "refused")
        elif kind == RST_STREAM:
            code = int.from_bytes(body, "big")
            self.finish(stream, "refused" if code == REFUSED else f"stream reset, {code}")
        elif kind == HEADERS and stream in self.open and self.open[stream][1] is None:
            self.open[stream][1] = status(flags, body)
        elif kind == DATA and body:
            self.writer.write(frame(WINDOW_UPDATE, 0, 0, struct.pack("!I", len(body))))
        if kind in (HEADERS, DATA) and flags & END_STREAM and stream in self.open:
            self.finish(stream, self.open[stream][1])

    def finish(self, stream, outcome):
        done, _ = self.open.pop(stream, (None, None))
        if done and not done.done():
            done.set_result(outcome)
        if self.ending and not self.open:
            self.writer.close()


def status(flags, block):
    """200 where the block begins with it, which every server writes as one byte; else a word for the rest."""
    at = (1 if flags & PADDED else 0) + (5 if flags & PRIORITY else 0)
    while block[at] & 0xE0 == 0x20:  # a new size of the dynamic table comes first
        at += 1
        at += 0 if block[at - 1] & 0x1F < 0x1F else 1 + next(n for n, byte in enumerate(block[at:]) if byte < 0x80)
    return 200 if block[at] == 0x88 else "another status"


def literal(text):
    return bytes([len(text)]) + text.encode()


def frame(kind, flags, stream, body=b""):
    return len(body).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + body
