"""Traefik, whose file provider watches the file."""

import json
import shutil

from plan import CHECK_EACH, MOVED, RATE

from .running import Running


class Traefik(Running):
    name = "traefik"
    version_of = ("version",)
    asks_system = True
    settings = (
        "file provider with `watch` (it looks at changes each two seconds, its default); `rateLimit`; `inFlightReq`; `healthCheck` "
        "each second; `retry` of 2; a name stands in the server's URL, and Go's resolver asks what the system's "
        "`resolv.conf` names, here one of its own in a mount namespace"
    )

    def prepare(self):
        static = {
            "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
            "log": {"level": "ERROR"},
            "entryPoints": {"web": {"address": self.http1}},
            "providers": {"file": {"filename": str(self.folder / "dynamic.yml"), "watch": True}},
        }
        self.resolver = None
        self.put("static.yml", json.dumps(static, indent=1))  # JSON is YAML

    def command(self):
        command = [self.program, f"--configFile={self.folder / 'static.yml'}"]
        return command if not self.resolver else [*self.namespace(), *command]

    def namespace(self):
        """Its own resolv.conf, seen by it alone."""
        file = self.put("resolv.conf", f"nameserver {self.resolver}\noptions timeout:1 attempts:2\n")
        words = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
        return [shutil.which("unshare"), "--map-root-user", "--mount", "sh", "-c", words, file]

    def write(self, plan):
        self.resolver = plan.resolver.rpartition(":")[0] if plan.name else None
        self.put("dynamic.yml", json.dumps(self.config(plan), indent=1))

    @staticmethod
    def config(plan):
        urls = [f"http://{address}" for address in plan.addresses()] or [f"http://{plan.name}:{plan.port}"]
        check = {"path": "/health", "interval": f"{CHECK_EACH}s", "timeout": "1s"}
        app = {"servers": [{"url": url} for url in urls], "healthCheck": check, "serversTransport": "app"}

        def router(path, service, *middlewares):
            rule = f"PathPrefix(`{path}`)"
            made = {"rule": rule, "service": service, "entryPoints": ["web"]}
            return made | ({"middlewares": list(middlewares)} if middlewares else {})

        return {
            "http": {
                "routers": {
                    "work": router("/work", "app", "again"),
                    "limited": router("/limited", "app", "clients", "again"),
                    "chat": router("/chat", "side"),
                    "held": router("/held", "side", "held"),
                    "other": router("/other", "side", "version"),
                },
                "middlewares": {
                    "again": {"retry": {"attempts": 2}},
                    "clients": {"rateLimit": {"average": RATE, "period": "1s", "burst": plan.burst}},
                    "held": {"inFlightReq": {"amount": plan.places, "sourceCriterion": {"requestHost": True}}},
                    "version": {"headers": {"customResponseHeaders": {MOVED: str(plan.version)}}},
                },
                "services": {
                    "app": {"loadBalancer": app},
                    "side": {"loadBalancer": {"servers": [{"url": f"http://{plan.side}"}]}},
                },
                "serversTransports": {"app": {"forwardingTimeouts": {"dialTimeout": f"{plan.connect_ms}ms"}}},
            }
        }
