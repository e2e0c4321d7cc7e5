"""WebSocket tunnels that say something ten times a second and want to hear it back."""

import asyncio

ASK = (
    "GET /chat HTTP/1.1\r\nHost: tidegate.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
EACH, WITHIN = 0.1, 5.0  # seconds between messages, and for each to come back
MASK = b"\x01\x02\x03\x04"


class Tunnel:
    """One tunnel; `cut` is how it ended before it was told to, if it did."""

    def __init__(self, address):
        self.address, self.cut, self.echoes = address, "", 0

    async def open(self):
        host, _, port = self.address.rpartition(":")
        self.reader, self.writer = await asyncio.open_connection(host, int(port))
        self.writer.write(ASK.encode())
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), WITHIN)
        if b" 101 " not in head:
            raise ConnectionError(f"no tunnel: {head.decode('latin-1')}")
        self.task = asyncio.create_task(self.talk())
        return self

    async def talk(self):
        try:
            while True:
                said = f"{self.echoes:06}".encode()
                masked = bytes(byte ^ MASK[index % 4] for index, byte in enumerate(said))
                self.writer.write(bytes((0x81, 0x80 | len(said))) + MASK + masked)
                heard = await asyncio.wait_for(self.reader.readexactly(2 + len(said)), WITHIN)
                if heard[2:] != said:
                    raise ConnectionError("another message came back")
                self.echoes += 1
                await asyncio.sleep(EACH)
        except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError) as error:
            self.cut = repr(error)

    def close(self):
        self.task.cancel()
        self.writer.close()


async def tunnels(address, count):
    """So many open tunnels."""
    return [await Tunnel(address).open() for _ in range(count)]
