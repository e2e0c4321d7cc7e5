"""Run in a network of its own, in which almost no port is left for connections: prints what became of requests."""

import fcntl
import http.client
import itertools
import json
import socket
import struct
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from gateway import Gateway, until

PORTS = (40000, 40007)
ASKED = 12


class Held(BaseHTTPRequestHandler):
    """Answers `/held` when it is let go, and all else at once."""

    protocol_version = "HTTP/1.1"
    waiting = threading.Semaphore(0)
    here = threading.Semaphore(0)
    count = 0

    def do_GET(self):
        if self.path == "/held":
            Held.count += 1
            Held.here.release()
            Held.waiting.acquire()
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        """Nobody reads it."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


def raise_loopback():
    """A new network has a loopback that is down."""
    get, put, up = 0x8913, 0x8914, 1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        flags = struct.unpack("16sh", fcntl.ioctl(any_socket, get, struct.pack("16sh", b"lo", 0)))[1]
        fcntl.ioctl(any_socket, put, struct.pack("16sh", b"lo", flags | up))


# Clients take ports of their own choice, so that those that are left are the gateway's.
sources = itertools.count(20000)


def fetch(port, path):
    source = ("127.0.0.1", next(sources))
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30, source_address=source)
    connection.request("GET", path)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, answer.getheader("proxy-status") or "", text


class Asked(Gateway):
    """A gateway that is asked so."""

    def ask(self, path):
        status, _, text = fetch(self.port("admin"), path)
        return status, text


def ask(gateway, path):
    return fetch(gateway.port(), path)[:2]


def config(port):
    return f"""
[admin]
bind = "127.0.0.1:9900"
[log]
access = "access.log"
[[listeners]]
name = "web"
bind = "127.0.0.1:8080"
[upstreams.up]
endpoints = [{{ address = "127.0.0.1:{port}" }}]
concurrency = {{ mode = "off" }}
ejection = {{ consecutive_failures = 1 }}
health = {{ path = "/", interval = "200ms", timeout = "200ms", unhealthy_after = 1 }}
[[routes]]
upstream = "up"
"""


def main(folder):
    raise_loopback()
    server = Server(("127.0.0.1", 30000), Held)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    file = Path(folder) / "tidegate.toml"
    file.write_text(config(server.server_port))
    gateway = Asked(file)
    try:
        Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("{} {}".format(*PORTS))
        with ThreadPoolExecutor(ASKED) as pool:
            asked = [pool.submit(ask, gateway, "/held") for _ in range(ASKED)]
            until("the rest is refused", lambda: Held.count + sum(one.done() for one in asked) == ASKED)
            refused = [one.result() for one in asked if one.done()]
            labels = {"cause": "overload", "kind": "connection_limit_reached", "stage": "connect"}
            counted = gateway.metric("tidegate_faults_total", **labels)
            until(
                "a check finds no port",
                lambda: gateway.metric("tidegate_health_checks_total", result="inconclusive"),
            )
            healthy = gateway.metric("tidegate_endpoint_healthy")
            Held.waiting.release(ASKED)
            statuses = [one.result()[0] for one in asked]
        log = file.with_name("access.log")
        until("every line is written", lambda: len(log.read_text().splitlines()) == ASKED)
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        # All ports are taken by connections that rest: they are used again.
        again = [ask(gateway, "/")[0] for _ in range(ASKED)]
        told = {
            "held": Held.count,
            "refused": refused,
            "counted": counted,
            "reasons": [line["reason"] for line in lines if line["status"] == 503],
            "statuses": statuses,
            "again": again,
            "ejections": gateway.metric("tidegate_ejections_total"),
            "ejected": gateway.metric("tidegate_endpoint_ejected"),
            "healthy": healthy,
        }
        print(json.dumps(told))
    finally:
        gateway.kill()


main(sys.argv[1])
