"""nginx as the service behind the gateway."""

import os
import subprocess
from pathlib import Path

from gateway import until

CONFIG = """
daemon off;
master_process on;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log notice;
{user}
events {{ worker_connections 4096; }}
http {{
  access_log off;
  gzip off;
  keepalive_requests 1000000;
  {more}
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{ default_type text/plain; return 200 "nginx\\n"; }}
  }}
}}
"""


class Nginx:
    """Runs in the foreground, below this process, until `close`."""

    def __init__(self, folder: Path, port: int, more=""):
        self.address = f"127.0.0.1:{port}"
        self.file = folder / "nginx.conf"
        user = "user root;" if os.getuid() == 0 else ""
        self.file.write_text(CONFIG.format(folder=folder, port=port, user=user, more=more))
        self.log = folder / "error.log"
        self.process = subprocess.Popen(self.command(), stderr=subprocess.DEVNULL)
        until("nginx has a worker", self.workers)

    def command(self, *more):
        return ["nginx", "-p", str(self.file.parent), "-e", str(self.log), "-c", str(self.file), *more]

    def workers(self):
        """The process ids of its workers."""
        pid = self.process.pid
        return set(Path(f"/proc/{pid}/task/{pid}/children").read_text().split())

    def reload(self):
        """`nginx -s reload`, until every worker of before is gone."""
        before = self.workers()
        subprocess.run(self.command("-s", "reload"), check=True, capture_output=True)
        until("nginx has only new workers", lambda: (now := self.workers()) and not now & before)

    def close(self):
        self.process.terminate()
        self.process.wait(20)
