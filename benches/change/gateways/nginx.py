"""nginx, changed by a reload signal to its master."""

import os
import signal

from peers.process import free_port
from plan import DOWN_AFTER, MOVED, RATE

from .running import Running


class Nginx(Running):
    name = "nginx"
    settings = (
        "`reload`; `limit_req` with `nodelay`; `limit_conn` in a zone; passive checks alone (`max_fails=3 fail_timeout=30s`, "
        "`proxy_next_upstream error timeout http_503`), since active ones are not in the free version; "
        "`keepalive 32`; a name is followed by `resolver` and a variable in `proxy_pass`, which has no `upstream`; "
        "HTTP/2 on a port of its own"
    )

    def prepare(self):
        self.http2 = f"127.0.0.1:{free_port()}"

    def command(self):
        file = self.folder / "nginx.conf"
        return [self.program, "-p", self.folder, "-c", file, "-e", self.folder / "error.log"]

    def tell(self):
        self.process.send_signal(signal.SIGHUP)

    def write(self, plan):
        self.put("nginx.conf", self.config(plan))

    def config(self, plan):
        user = "user root;" if os.getuid() == 0 else ""
        paths = "".join(
            f"  {kind}_temp_path {self.folder}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        servers = "".join(
            f"    server {address} max_fails={DOWN_AFTER} fail_timeout=30s;\n" for address in plan.addresses()
        )
        service = f"  upstream app {{\n    zone app 128k;\n{servers}    keepalive 32;\n  }}\n" if servers else ""
        follow = f"resolver {plan.resolver} ipv6=off; resolver_timeout 2s; set $app {plan.name}:{plan.port};"
        to_app = "proxy_pass http://app;" if servers else f"{follow} proxy_pass http://$app;"
        to_app += f" proxy_connect_timeout {plan.connect_ms}ms; proxy_next_upstream error timeout http_503;"
        return f"""daemon off; master_process on; worker_processes 2; {user}
pid {self.folder}/nginx.pid;
events {{ worker_connections 4096; }}
http {{
  access_log off;
{paths}  limit_req_zone $binary_remote_addr zone=clients:1m rate={RATE}r/s;
  limit_req_status 429;
  limit_conn_zone $server_port zone=held:1m;
{service}  upstream side {{ server {plan.side}; keepalive 32; }}
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  server {{
    listen {self.http1};
    listen {self.http2} http2;
    location /work {{ {to_app} }}
    location /limited {{ limit_req zone=clients burst={plan.burst} nodelay; {to_app} }}
    location /held {{ limit_conn held {plan.places}; proxy_pass http://side; }}
    location /chat {{
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; proxy_read_timeout 1h;
      proxy_pass http://side;
    }}
    location /other {{ add_header {MOVED} {plan.version}; proxy_pass http://side; }}
  }}
}}
"""
