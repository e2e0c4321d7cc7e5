"""A name server that answers as it is told: addresses, errors, nothing, or cut short."""

import asyncio
import struct

NAME = "app.tidegate.test"
TTL = 1
NO_ERROR, SERVER_FAILURE, NO_SUCH_NAME = 0, 2, 3
CUT = 0x0200  # the flag of an answer that did not fit
A, SOA = 1, 6


class NameServer(asyncio.DatagramProtocol):
    """Answers for every name. `says` is a list of addresses, or "nxdomain", "servfail", "silent".

    While `cut` is set, an answer by UDP holds the first address alone and says that it is cut short; TCP has it whole.
    While `flaps` is set, every other answer has the first address alone, by either.
    """

    def __init__(self):
        self.says, self.cut, self.flaps, self.turn = [], False, False, 0

    async def open(self, address, port):
        loop = asyncio.get_running_loop()
        self.stream = await asyncio.start_server(self.serve, address, port)
        port = self.stream.sockets[0].getsockname()[1]
        try:
            self.packets, _ = await loop.create_datagram_endpoint(lambda: self, (address, port))
        except OSError:
            self.stream.close()
            raise
        self.address = f"{address}:{port}"
        return self

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, query, peer):
        if reply := self.reply(query, self.cut):
            self.transport.sendto(reply, peer)

    async def serve(self, reader, writer):
        try:
            while True:
                (length,) = struct.unpack("!H", await reader.readexactly(2))
                if reply := self.reply(await reader.readexactly(length), False):
                    writer.write(struct.pack("!H", len(reply)) + reply)
        except (OSError, asyncio.IncompleteReadError):
            writer.close()

    def reply(self, query, cut):
        if self.says == "silent" or len(query) < 17:
            return None
        end = query.index(0, 12) + 5
        question, wanted = query[12:end], struct.unpack("!H", query[end - 4 : end - 2])[0]
        codes = {"nxdomain": NO_SUCH_NAME, "servfail": SERVER_FAILURE}
        code = codes.get(self.says, NO_ERROR) if isinstance(self.says, str) else NO_ERROR
        found = self.says if code == NO_ERROR and wanted == A else []
        self.turn += wanted == A
        found = found[:1] if cut or (self.flaps and self.turn % 2) else found
        answers = b"".join(record(A, bytes(map(int, address.split(".")))) for address in found)
        nobody = record(SOA, b"\0\0" + struct.pack("!5I", 1, TTL, TTL, TTL, TTL)) if not found else b""
        flags = 0x8480 | struct.unpack("!H", query[2:4])[0] & 0x0100 | code | (CUT if cut and wanted == A else 0)
        counts = (1, len(found), 0 if found or code == SERVER_FAILURE else 1, 0)
        authority = nobody if counts[2] else b""
        return query[:2] + struct.pack("!H4H", flags, *counts) + question + answers + authority

    def close(self):
        self.packets.close()
        self.stream.close()


def record(kind, body):
    """A resource record for the name that was asked for."""
    return b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, TTL, len(body)) + body
