"""WebSocket by the `websockets` library on both sides."""

import asyncio
import ssl

import pytest
from gateway import HEAD, WEB
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

MESSAGES = 10_000
AT_A_TIME = 100


async def echo(socket):
    async for message in socket:
        await socket.send(message)


async def talk(url, trust):
    """Sends messages in batches, and returns how many came back as they went."""
    same = 0
    async with connect(url, ssl=trust, proxy=None, compression=None) as socket:
        for first in range(0, MESSAGES, AT_A_TIME):
            batch = [f"{index} " + "x" * (index % 700) for index in range(first, first + AT_A_TIME)]
            for message in batch:
                await socket.send(message)
            for message in batch:
                same += await socket.recv() == message
    return same


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_ten_thousand_messages_come_back(start, tls, scheme):
    async def run():
        async with serve(echo, "127.0.0.1", 0, compression=None) as server:
            port = server.sockets[0].getsockname()[1]
            gateway = start(config(port, tls if scheme == "wss" else None))
            trust = ssl.create_default_context(cafile=tls / "cert.pem") if scheme == "wss" else None
            return await talk(f"{scheme}://localhost:{gateway.port()}/chat", trust)

    assert asyncio.run(run()) == MESSAGES


def config(port, tls):
    pair = f'tls = {{ certificates = [{{ cert = "{tls}/cert.pem", key = "{tls}/key.pem" }}] }}' if tls else ""
    return f"""{HEAD}{WEB}{pair}

[upstreams.chat]
endpoints = [{{ address = "127.0.0.1:{port}" }}]

[[routes]]
upstream = "chat"
timeout = "2s"
"""
