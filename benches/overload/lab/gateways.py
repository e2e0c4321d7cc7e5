"""What stands in front of the backend: how each is installed, set up and started."""

import json
import os
import subprocess
import threading
import time
from pathlib import Path

from peers.process import cpu_seconds, drain, free_port, spawn, wait_for
from peers.programs import program

from .columns import WORKERS

MAX_WAITING, MAX_WAIT = 64, "100ms"  # the same queue for all that have one
FIXED = 17  # the best fixed limit of one backend
THREADS = 2  # of each gateway
# What a column that is tuned goes through, a second each: (concurrency, priority, what a route has besides).
TUNINGS = [
    ('mode = "adaptive"', "normal", ""),
    ('mode = "adaptive", min = 4, max = 64', "normal", ""),
    (f'mode = "fixed", limit = {FIXED}', "normal", ""),
    ('mode = "adaptive"', "high", ""),
    ('mode = "adaptive", max = 200', "low", "share = 0.5"),
    (f'mode = "fixed", limit = {FIXED + 1}', "normal", "share = 0.2"),
]


class Nothing:
    """Clients reach the backends, in turn."""

    settings = "no gateway; with two endpoints clients take them in turn"

    def start(self, folder, column, backends):
        return Running(None, backends)


class Tidegate:
    def __init__(self, program, mode):
        self.program, self.mode = program, mode
        limit = f"`fixed`, limit {FIXED} an endpoint" if mode == "fixed" else f"`{mode}`, all else at its defaults"
        self.settings = f"{limit}; queue of {MAX_WAITING} for {MAX_WAIT}; a route for each kind, with its priority"

    def start(self, folder, column, backends):
        config = folder / "tidegate.toml"
        config.write_text(self.config(column, backends))
        command = [self.program, "run", "--config", config]
        process = spawn(command, folder, stderr=subprocess.PIPE)
        for line in process.stderr:
            if line.startswith("listening name=web "):
                drain(process.stderr)
                if column.tuned:
                    self.tune(process, config, lambda tuning: self.config(column, backends, tuning))
                return Running(process, [line.split("address=")[1].strip()])
        raise SystemExit(f"tidegate did not start, see: {self.program} check {config}")

    @staticmethod
    def tune(process, config, written):
        """Changes the file each second while the gateway runs, as an editor does: beside it, then in its place."""

        def turns():
            turn = 0
            while process.poll() is None:
                beside = config.with_suffix(".new")
                beside.write_text(written(TUNINGS[turn % len(TUNINGS)]))
                beside.rename(config)
                turn += 1
                time.sleep(1.0)

        threading.Thread(target=turns, daemon=True).start()

    def config(self, column, backends, tuning=None):
        endpoints = ", ".join(f'{{ address = "{address}" }}' for address in backends)
        limit = f"limit = {FIXED * len(backends)}, " if self.mode == "fixed" and not tuning else ""
        queue = f'queue = {{ max_waiting = {MAX_WAITING}, max_wait = "{MAX_WAIT}" }}'
        concurrency, priority, more = tuning or (f'mode = "{self.mode}"', None, "")
        routes = "".join(
            f'[[routes]]\nname = "{kind["name"]}"\npath_prefix = "{kind["path"]}"\nupstream = "up"\n'
            f'priority = "{priority or kind["priority"]}"\n{more}\n'
            for kind in column.kinds
        )
        return (
            f'[admin]\nbind = "127.0.0.1:0"\n[log]\naccess = "off"\nlevel = "warn"\n'
            f'[[listeners]]\nname = "web"\nbind = "127.0.0.1:0"\n'
            f"[upstreams.up]\nendpoints = [{endpoints}]\n"
            f"concurrency = {{ {concurrency}, {limit}{queue} }}\n{routes}"
        )


class Haproxy:
    settings = (
        f"`maxconn {WORKERS}` a server, set by hand; `maxqueue {MAX_WAITING}`, `timeout queue {MAX_WAIT}`, "
        f"`balance leastconn`, `http-reuse always`, `option abortonclose`, `nbthread {THREADS}`; critical requests "
        "by `set-priority-class`"
    )

    def __init__(self, program):
        self.program = program

    def start(self, folder, column, backends):
        config, port = folder / "haproxy.cfg", free_port()
        config.write_text(self.config(column, backends, port))
        return Running.when_ready(spawn([self.program, "-f", config], folder), port)

    @staticmethod
    def config(column, backends, port):
        servers = "".join(
            f"  server s{index} {address} maxconn {WORKERS} maxqueue {MAX_WAITING}\n"
            for index, address in enumerate(backends)
        )
        first = "".join(
            f"  http-request set-priority-class int(-100) if {{ path {kind['path']} }}\n"
            for kind in column.kinds
            if kind["priority"] == "critical"
        )
        return (
            f"global\n  nbthread {THREADS}\n  maxconn 8000\n  stats timeout 1s\n"
            f"defaults\n  mode http\n  timeout connect 1s\n  timeout client 30s\n  timeout server 30s\n"
            f"  timeout queue {MAX_WAIT}\n  option abortonclose\n  http-reuse always\n"
            f"frontend web\n  bind 127.0.0.1:{port} backlog 4096\n{first}  default_backend up\n"
            f"backend up\n  balance leastconn\n{servers}"
        )


class Envoy:
    settings = (
        "`adaptive_concurrency`, gradient controller: `sample_aggregate_percentile` 90, "
        "`concurrency_update_interval` 0.1 s, `min_rtt_calc_params` interval 60 s and 50 requests; jitter, buffer and "
        f"`min_concurrency` at their defaults (15 %, 25 %, 3), one limit for all endpoints, no queue and no "
        f"priorities; `LEAST_REQUEST`, circuit breakers out of the way, `--concurrency {THREADS}`"
    )

    def __init__(self, program):
        self.program = program

    def start(self, folder, column, backends):
        config, port = folder / "envoy.json", free_port()
        config.write_text(json.dumps(self.config(backends, port)))
        quiet = ["--log-level", "error", "--disable-hot-restart"]
        command = [self.program, "-c", config, "--concurrency", str(THREADS), *quiet]
        return Running.when_ready(spawn(command, folder), port)

    @staticmethod
    def config(backends, port):
        types = "type.googleapis.com/envoy.extensions.filters"
        adaptive = {
            "@type": f"{types}.http.adaptive_concurrency.v3.AdaptiveConcurrency",
            "gradient_controller_config": {
                "sample_aggregate_percentile": {"value": 90},
                "concurrency_limit_params": {"concurrency_update_interval": "0.1s"},
                "min_rtt_calc_params": {"interval": "60s", "request_count": 50},
            },
        }
        route = {"match": {"prefix": "/"}, "route": {"cluster": "up", "timeout": "30s"}}
        manager = {
            "@type": f"{types}.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "web",
            "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
            "http_filters": [
                {"name": "adaptive", "typed_config": adaptive},
                {"name": "router", "typed_config": {"@type": f"{types}.http.router.v3.Router"}},
            ],
        }
        most = {key: 100_000 for key in ("max_connections", "max_pending_requests", "max_requests")}
        hosts = [{"endpoint": {"address": socket_address(*address.split(":"))}} for address in backends]
        cluster = {
            "name": "up",
            "type": "STATIC",
            "connect_timeout": "1s",
            "lb_policy": "LEAST_REQUEST",
            "circuit_breakers": {"thresholds": [most]},
            "load_assignment": {"cluster_name": "up", "endpoints": [{"lb_endpoints": hosts}]},
        }
        listener = {
            "name": "web",
            "address": socket_address("127.0.0.1", port),
            "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
        }
        return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


class Running:
    """A gateway at work: where it listens, and how to end it."""

    def __init__(self, process, addresses):
        self.process, self.addresses = process, addresses

    @classmethod
    def when_ready(cls, process, port):
        return cls(process, [wait_for(process, port)])

    def cpu_seconds(self):
        """Processor time used so far, of all its threads; None where nothing runs or the system does not tell."""
        return cpu_seconds(self.process) if self.process else None

    def stop(self):
        if self.process is not None:
            self.process.kill()  # it holds nothing; a drain would only take time
            self.process.wait()


def socket_address(address, port):
    return {"socket_address": {"address": address, "port_value": int(port)}}


def gateway(name, root):
    """The gateway of this name, installed where it has to be."""
    if name == "nothing":
        return Nothing()
    peers = {"haproxy": Haproxy, "envoy": Envoy}
    if name in peers:
        return peers[name](program(name, root))
    own = Path(os.environ.get("TIDEGATE_BIN") or root / "target/release/tidegate")
    modes = {"tidegate": "adaptive", "tidegate-fixed": "fixed", "tidegate-off": "off"}
    modes |= {f"tidegate-{mode}": mode for mode in ("adaptive", "aimd", "vegas", "gradient2")}
    if name not in modes:
        raise SystemExit(f"no gateway `{name}`: nothing, haproxy, envoy, {', '.join(modes)}")
    return Tidegate(own, modes[name])
