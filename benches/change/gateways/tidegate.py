"""Tidegate, which watches its file."""

import os

from plan import CHECK_EACH, DOWN_AFTER, MOVED, RATE, UP_AFTER

from .running import Running


class Tidegate(Running):
    name = "tidegate"
    version_of = ("--version",)
    settings = (
        "file watched; limits, retries, ejection and `[dns]` at their defaults but `allow_addresses`, since all "
        "hosts here are loopback; active checks each second"
    )

    @staticmethod
    def built(root):
        """The program, as `TIDEGATE_BIN` names it or as it was built."""
        return os.environ.get("TIDEGATE_BIN") or str(root / "target/release/tidegate")

    def command(self):
        return [self.program, "run", "--config", self.folder / "tidegate.toml"]

    def write(self, plan):
        self.put("tidegate.toml", self.config(plan))

    def config(self, plan):
        hosts = [f'{{ address = "{address}" }}' for address in plan.addresses()]
        endpoints = ", ".join(hosts or [f'{{ dns = "{plan.name}:{plan.port}" }}'])
        servers = f'servers = ["{plan.resolver}"]\n' if plan.name else ""
        return f"""[admin]
bind = "127.0.0.1:0"

[log]
access = "off"
level = "info"

[dns]
{servers}allow_addresses = ["127.0.0.0/8"]

[[listeners]]
bind = "{self.http1}"

[upstreams.app]
endpoints = [{endpoints}]
connect_timeout = "{plan.connect_ms}ms"

[upstreams.app.health]
path = "/health"
interval = "{CHECK_EACH}s"
unhealthy_after = {DOWN_AFTER}
healthy_after = {UP_AFTER}

[upstreams.side]
endpoints = [{{ address = "{plan.side}" }}]

[upstreams.narrow]
endpoints = [{{ address = "{plan.side}" }}]
concurrency = {{ mode = "fixed", limit = {plan.places}, queue = {{ max_waiting = 0 }} }}

[[routes]]
name = "held"
path_prefix = "/held"
upstream = "narrow"

[[routes]]
name = "work"
path_prefix = "/work"
upstream = "app"

[[routes]]
name = "limited"
path_prefix = "/limited"
upstream = "app"
rate_limits = [{{ rate = "{RATE}/s", burst = {plan.burst} }}]

[[routes]]
name = "chat"
path_prefix = "/chat"
upstream = "side"

[[routes]]
name = "other"
path_prefix = "/other"
upstream = "side"
response_headers = {{ set = {{ {MOVED} = "{plan.version}" }} }}
"""
