"""A name that changes its address under load, answered by dnsmasq."""

import os
import signal
import socket
import subprocess
import time

import pytest
from gateway import HEAD, WEB, until
from load import Load
from origin import Origin

NAME = "app.tidegate.test"
TTL = 1
# What a change may take at most: the time to live, its jitter, a lookup, and a slow machine.
SOON = TTL * 2 + 3


class Dnsmasq:
    """Answers for names from a hosts file, with a time to live of `TTL` seconds."""

    def __init__(self, folder, port):
        self.port = port
        self.hosts = folder / "hosts"
        self.hosts.touch()
        folder.chmod(0o755)
        self.process = subprocess.Popen(
            ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file=", "--log-facility=-"]
            + ["--no-resolv", "--no-hosts", "--bind-interfaces", "--listen-address=127.0.0.1", f"--port={port}"]
            + [f"--addn-hosts={self.hosts}", f"--local-ttl={TTL}"]
            + (["--user=root"] if os.getuid() == 0 else []),
            stderr=subprocess.DEVNULL,
        )
        until("dnsmasq answers", self.answers)

    def answers(self):
        """Whether it answers a query at all (here for the root's name servers)."""
        query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x01"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
            asker.settimeout(0.2)
            try:
                asker.connect(("127.0.0.1", self.port))
                asker.send(query)
                return len(asker.recv(512)) >= 12
            except OSError:
                return False

    def set(self, *addresses):
        """From now on the name has these addresses."""
        self.hosts.write_text("".join(f"{address} {NAME}\n" for address in addresses))
        self.process.send_signal(signal.SIGHUP)

    def close(self):
        self.process.terminate()
        self.process.wait(20)


@pytest.fixture
def dnsmasq(tmp_path, free_port):
    server = Dnsmasq(tmp_path, free_port(socket.SOCK_DGRAM))
    yield server
    server.close()


@pytest.fixture
def pair():
    """Two services on one port of two addresses."""
    one = Origin("one", "127.0.0.2")
    two = Origin("two", "127.0.0.3", one.server_address[1])
    yield one, two
    one.close()
    two.close()


def test_new_requests_follow_a_name_and_none_fails(start, dnsmasq, pair):
    one, two = pair
    dnsmasq.set("127.0.0.2")
    gateway = start(f"""{HEAD}{WEB}
[dns]
servers = ["127.0.0.1:{dnsmasq.port}"]
min_ttl = "1s"
allow_addresses = ["127.0.0.0/8"]

[upstreams.app]
endpoints = [{{ dns = "{NAME}:{one.server_address[1]}" }}]

[[routes]]
upstream = "app"
""")
    until("the name is resolved", lambda: gateway.ask("/readyz")[0] == 200)
    load = Load(gateway.address())
    try:
        until("every client is answered", lambda: load.all_see("one", 0))
        for address, says in [("127.0.0.3", "two"), ("127.0.0.2", "one"), ("127.0.0.3", "two")]:
            changed = time.monotonic()
            dnsmasq.set(address)
            until(f"every client is answered by {says}", lambda s=says, c=changed: load.all_see(s, c), SOON)
    finally:
        load.stop()
    assert load.failed == []
    assert load.seen.keys() == {"one", "two"}
