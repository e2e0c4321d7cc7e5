"""Envoy, whose listeners, routes and clusters come from files that it watches (xDS by path)."""

import json
from dataclasses import replace

from plan import CHECK_EACH, DOWN_AFTER, MOVED, RATE, UP_AFTER

from .running import Running

TYPES = "type.googleapis.com/envoy"
FILTERS = f"{TYPES}.extensions.filters"
RETRY = {"retry_on": "connect-failure,refused-stream,reset", "num_retries": 2}


class Envoy(Running):
    name = "envoy"
    version_of = ("--version",)
    settings = (
        "LDS, RDS and CDS from files, each put in place by a rename and only where it changed; `local_ratelimit` of "
        "the route; `max_requests` of a cluster's `circuit_breakers`; `health_checks` each second, `outlier_detection` with `always_eject_one_host`; retries of "
        "`connect-failure` and `reset`; a name by `STRICT_DNS` with `respect_dns_ttl` and a refresh each second; "
        "`--concurrency 2`"
    )

    def prepare(self):
        bootstrap = {
            "node": {"id": "here", "cluster": "here"},
            "dynamic_resources": {"lds_config": watched(self.folder, "lds"), "cds_config": watched(self.folder, "cds")},
        }
        self.put("bootstrap.json", json.dumps(bootstrap, indent=1))
        self.written = {}

    def command(self):
        quiet = ["--log-level", "error", "--disable-hot-restart", "--concurrency", "2"]
        return [self.program, "-c", self.folder / "bootstrap.json", *quiet]

    def write(self, plan):
        self.resources("cds", [app(plan), cluster("side", "STATIC", [plan.side]), narrow(plan)])
        self.resources("rds", [routes(plan)])
        self.resources("lds", [self.listener()])

    def resources(self, kind, resources):
        text = json.dumps({"resources": resources}, indent=1)
        if self.written.get(kind) != text:
            self.put(f"{kind}.json", text)
            self.written[kind] = text

    def listener(self):
        web = {
            "@type": f"{FILTERS}.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "web",
            "rds": {"route_config_name": "all", "config_source": watched(self.folder, "rds")},
            "upgrade_configs": [{"upgrade_type": "websocket"}],
            "http_filters": [
                {"name": "limit", "typed_config": limit("off")},
                {"name": "router", "typed_config": {"@type": f"{FILTERS}.http.router.v3.Router"}},
            ],
        }
        return {
            "@type": f"{TYPES}.config.listener.v3.Listener",
            "name": "web",
            "address": address(self.http1),
            "filter_chains": [{"filters": [{"name": "http", "typed_config": web}]}],
        }


class EnvoyLeaving(Envoy):
    """The same, but what DNS lacks is left although it passes its checks."""

    name = "envoy-leaving"
    package = "envoy"
    only = ("dns",)
    settings = "as envoy, with `ignore_health_on_host_removal`"

    def write(self, plan):
        super().write(replace(plan, leave_at_once=True))


def routes(plan):
    def route(path, upstream, **more):
        action = {"cluster": upstream, "timeout": "0s" if path == "/chat" else "60s", "retry_policy": RETRY}
        return {"match": {"prefix": path}, "route": action, **more}

    version = {"header": {"key": MOVED, "value": str(plan.version)}}
    hosts = {
        "name": "all",
        "domains": ["*"],
        "routes": [
            route("/work", "app"),
            route("/limited", "app", typed_per_filter_config={"limit": limit("clients", plan.burst)}),
            route("/chat", "side"),
            route("/held", "narrow"),
            route("/other", "side", response_headers_to_add=[version]),
        ],
    }
    return {"@type": f"{TYPES}.config.route.v3.RouteConfiguration", "name": "all", "virtual_hosts": [hosts]}


def limit(name, burst=None):
    """The rate limit: off where there is no burst."""
    made = {"@type": f"{FILTERS}.http.local_ratelimit.v3.LocalRateLimit", "stat_prefix": name}
    if burst is None:
        return made
    all_of_it = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    bucket = {"max_tokens": burst, "tokens_per_fill": RATE, "fill_interval": "1s"}
    return {**made, "token_bucket": bucket, "filter_enabled": all_of_it, "filter_enforced": all_of_it}


def app(plan):
    check = {
        "timeout": "1s",
        "interval": f"{CHECK_EACH}s",
        "no_traffic_interval": f"{CHECK_EACH}s",
        "unhealthy_threshold": DOWN_AFTER,
        "healthy_threshold": UP_AFTER,
        "http_health_check": {"path": "/health"},
    }
    follow = {
        "dns_lookup_family": "V4_ONLY",
        "respect_dns_ttl": True,
        "dns_refresh_rate": "1s",
        "typed_dns_resolver_config": {
            "name": "cares",
            "typed_config": {
                "@type": f"{TYPES}.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig",
                "resolvers": [address(plan.resolver)] if plan.name else [],
            },
        },
    }
    kind, hosts = ("STRICT_DNS", [f"{plan.name}:{plan.port}"]) if plan.name else ("STATIC", plan.addresses())
    made = cluster("app", kind, hosts) | {"connect_timeout": f"{plan.connect_ms / 1000}s", "health_checks": [check]}
    made["ignore_health_on_host_removal"] = plan.leave_at_once
    return made | {"outlier_detection": {"always_eject_one_host": True}, **(follow if plan.name else {})}


def narrow(plan):
    """The other service, with a limit of requests in flight."""
    breakers = {"thresholds": [{"max_requests": plan.places}]}
    return cluster("narrow", "STATIC", [plan.side]) | {"circuit_breakers": breakers}


def cluster(name, kind, addresses):
    hosts = [{"endpoint": {"address": address(of)}} for of in addresses]
    return {
        "@type": f"{TYPES}.config.cluster.v3.Cluster",
        "name": name,
        "type": kind,
        "lb_policy": "LEAST_REQUEST",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": hosts}]},
    }


def watched(folder, kind):
    return {"resource_api_version": "V3", "path_config_source": {"path": str(folder / f"{kind}.json")}}


def address(of):
    host, _, port = of.rpartition(":")
    return {"socket_address": {"address": host, "port_value": int(port)}}
