"""A newer binary takes over under h2load."""

import json
import re
import signal
import subprocess

from gateway import HEAD, WEB, until

UPGRADES = 10


def config(origin):
    return f"""{HEAD}{WEB}
[drain]
timeout = "6s"

[upstreams.origin]
endpoints = [{{ address = "{origin.address}" }}]

[[routes]]
upstream = "origin"
"""


def pid(gateway):
    return json.loads(gateway.ask("/api/v1/status")[1])["pid"]


def test_no_request_fails_through_ten_upgrades(start, origin):
    gateway = start(config(origin))
    load = subprocess.Popen(
        ["h2load", "--h1", "-c", "4", "-D", "10", f"http://{gateway.address()}/"],
        stdout=subprocess.PIPE,
        text=True,
    )
    last = pid(gateway)
    for _ in range(UPGRADES):
        verb = [gateway.process.args[0], "upgrade", "--admin", f"http://{gateway.address('admin')}"]
        subprocess.run(verb, check=True, timeout=60, stdout=subprocess.DEVNULL)
        before = last
        last = until("another process answers", lambda b=before: (now := pid(gateway)) != b and now)
    assert load.poll() is None, "the load was over before the upgrades were"
    said, _ = load.communicate(timeout=60)
    try:
        counts = re.search(r"requests: .* (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", said)
        succeeded, failed, errored, late = map(int, counts.groups())
        assert (failed, errored, late) == (0, 0, 0), said
        assert succeeded > 1000, said
    finally:
        subprocess.run(["kill", f"-{signal.SIGTERM.value}", str(last)], check=False)
