"""HAProxy, changed by a reload of its master, with everything that is there to carry state over."""

import signal
import socket

from peers.process import free_port
from plan import BURST, CHECK_EACH, DOWN_AFTER, MOVED, RATE, UP_AFTER

from .running import Running

SLOTS = 4  # servers that a followed name has room for


class Haproxy(Running):
    name = "haproxy"
    settles = 6.0  # until then its `peers` wait to be taught, and teach nobody
    settings = (
        "`-W`, reload by `SIGUSR2`, `expose-fd listeners`; before each reload `show servers state` into a "
        "`server-state-file`; the stick table of the rate limit kept by `peers`; `maxconn` of a server, `timeout queue 100ms`; `option idle-close-on-response`; "
        "`option httpchk`, `inter 1s fall 3 rise 2`; `option redispatch`; a name by `server-template` of "
        f"{SLOTS} with `resolvers`, `hold valid 1s`, the rest of `hold` at its defaults"
    )

    def prepare(self):
        self.peer, self.state, self.control = free_port(), self.folder / "state", self.folder / "control"
        self.state.write_text("")  # nothing of a run before

    def command(self):
        return [self.program, "-W", "-f", self.folder / "haproxy.cfg"]

    def tell(self):
        with socket.socket(socket.AF_UNIX) as ask:
            ask.connect(str(self.control))
            ask.sendall(b"show servers state\n")
            self.state.write_bytes(b"".join(iter(lambda: ask.recv(65536), b"")))
        self.process.send_signal(signal.SIGUSR2)

    def write(self, plan):
        self.put("haproxy.cfg", self.config(plan))

    def config(self, plan):
        checks = f"check inter {CHECK_EACH}s fall {DOWN_AFTER} rise {UP_AFTER}"
        servers = "".join(f"  server s{n} {address} {checks}\n" for n, address in enumerate(plan.addresses()))
        follow = f"resolvers dns resolve-prefer ipv4 init-addr last,none {checks}"
        servers = servers or f"  server-template s {SLOTS} {plan.name}:{plan.port} {follow}\n"
        resolvers = (
            f"resolvers dns\n  nameserver own {plan.resolver}\n  hold valid 1s\n"
            "  timeout resolve 1s\n  timeout retry 1s\n"
        )
        return f"""global
  nbthread 2
  maxconn 8000
  localpeer me
  stats socket {self.control} mode 600 level admin expose-fd listeners
  server-state-file {self.state}
defaults
  mode http
  timeout connect 1s
  timeout client 75s
  timeout server 30s
  timeout tunnel 1h
  option redispatch
  option idle-close-on-response
  load-server-state-from-file global
{resolvers if plan.name else ""}peers own
  peer me 127.0.0.1:{self.peer}
backend clients
  stick-table type ip size 100k expire 60s store http_req_rate({BURST // RATE}s) peers own
frontend web
  bind {self.http1}
  acl limited path_beg /limited
  http-request track-sc0 src table clients if limited
  http-request deny deny_status 429 if limited {{ sc_http_req_rate(0) gt {plan.burst} }}
  use_backend held if {{ path_beg /held }}
  use_backend chat if {{ path_beg /chat }}
  use_backend other if {{ path_beg /other }}
  default_backend app
backend app
  timeout connect {plan.connect_ms}ms
  option httpchk GET /health
{servers}backend chat
  server side {plan.side}
backend held
  timeout queue 100ms
  server side {plan.side} maxconn {plan.places}
backend other
  http-response set-header {MOVED} {plan.version}
  server side {plan.side}
"""
