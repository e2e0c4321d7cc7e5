"""SIGTERM under load."""

import http.client
import signal
import time

from gateway import HEAD, WEB, until
from load import Load

PIECES = 60  # of 50 ms each: three seconds


def config(origin, delay, timeout):
    return f"""{HEAD}{WEB}
[drain]
delay = "{delay}"
timeout = "{timeout}"

[upstreams.origin]
endpoints = [{{ address = "{origin.address}" }}]

[[routes]]
upstream = "origin"
"""


def stream(gateway, pieces):
    """Begins a slow answer: its head is read, its body is still coming."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port(), timeout=30)
    connection.request("GET", f"/slow/{pieces}")
    answer = connection.getresponse()
    assert answer.status == 200
    assert answer.read(7) == b"000000\n"
    return answer


def test_nothing_is_cut_before_the_deadline(start, origin):
    gateway = start(config(origin, "1s", "20s"))
    load = Load(gateway.address())
    slow = [stream(gateway, PIECES) for _ in range(4)]
    until("requests are answered", lambda: load.seen["hello\n"] > 100)

    gateway.signal(signal.SIGTERM)
    until("the gateway is not ready", lambda: gateway.ask("/readyz")[0] == 503)
    answered = load.seen["hello\n"]
    until("it still serves", lambda: load.seen["hello\n"] > answered + 20)
    load.stop()  # as a load balancer does that saw 503

    last = b"%06d\n" % (PIECES - 1)
    for answer in slow:
        assert answer.read().endswith(last)
    assert gateway.process.wait(20) == 0, gateway.log()
    assert load.failed == []


def test_what_outlasts_the_deadline_is_cut_and_the_exit_code_says_so(start, origin):
    gateway = start(config(origin, "0s", "1s"))
    answer = stream(gateway, 10_000)
    from_signal = time.monotonic()
    gateway.signal(signal.SIGTERM)
    try:
        whole = answer.read().endswith(b"009999\n")
    except (OSError, http.client.HTTPException):
        whole = False
    assert not whole
    assert gateway.process.wait(20) == 3, gateway.log()
    assert time.monotonic() - from_signal >= 1


def test_a_second_signal_ends_it_at_once(start, origin):
    gateway = start(config(origin, "0s", "5m"))
    stream(gateway, 10_000)
    gateway.signal(signal.SIGTERM)
    until("the first signal is seen", lambda: not accepts(gateway))
    gateway.signal(signal.SIGTERM)
    gateway.process.wait(5)


def accepts(gateway):
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port(), timeout=5)
    try:
        connection.connect()
        return True
    except OSError:
        return False
    finally:
        connection.close()
