"""The gateway as a process: started with a config on ports of its own choice, watched, and stopped."""

import hashlib
import os
import re
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

BINARY = os.environ.get("TIDEGATE_BIN", "target/release/tidegate")
LISTENING = re.compile(r"listening name=(\S+) address=(\S+)")

# What every config here begins with. Access lines go nowhere unless a test wants them.
HEAD = """
[admin]
bind = "127.0.0.1:0"

[log]
access = "off"
"""
WEB = """
[[listeners]]
name = "web"
bind = "127.0.0.1:0"
"""


def until(what, holds, seconds=20.0):
    """Waits for `holds()` to be true and returns what it returned; fails naming `what`."""
    end = time.monotonic() + seconds
    while True:
        seen = holds()
        if seen:
            return seen
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(0.02)


def hash_of(text):
    """The hash by which a config is known: twelve hex digits of its SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


class Gateway:
    """One running gateway. `names` are the listeners to wait for beside the admin listener; `within` is a command that
    becomes the one after it, somewhere else."""

    def __init__(self, file: Path, names=("web",), within=()):
        self.file = file
        self.lines = []
        self.addresses = {}
        self.process = subprocess.Popen(
            [*within, BINARY, "run", "--config", str(file)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        wanted = {*names, "admin"}
        until("every listener is bound", lambda: self._died() or wanted <= self.addresses.keys())

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line)
            if found := LISTENING.search(line):
                self.addresses[found[1]] = found[2]

    def _died(self):
        if self.process.poll() is not None:
            self._reader.join(5)
            raise AssertionError(f"the gateway ended with {self.process.returncode}:\n{self.log()}")
        return False

    def log(self):
        """What it wrote to stderr."""
        return "".join(self.lines)

    def address(self, name="web"):
        """`host:port` of a listener."""
        return self.addresses[name]

    def port(self, name="web"):
        """The port of a listener."""
        return int(self.addresses[name].rpartition(":")[2])

    def ask(self, path):
        """GET on the admin listener: status and text."""
        try:
            with urllib.request.urlopen(f"http://{self.address('admin')}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metrics(self):
        """The text of `/metrics`."""
        return self.ask("/metrics")[1]

    def metric(self, name, **labels):
        """The sum of all series of `name` that have these labels."""
        total = 0.0
        for line in self.metrics().splitlines():
            if line.split("{")[0].split(" ")[0] == name and all(f'{k}="{v}"' in line for k, v in labels.items()):
                total += float(line.rsplit(" ", 1)[1])
        return total

    def runs(self, text):
        """Whether the config in force is `text`."""
        return f'tidegate_config_info{{hash="{hash_of(text)}"}}' in self.metrics()

    def memory(self):
        """The most memory that it ever had, in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024

    def signal(self, number):
        """Sends a signal to the process."""
        self.process.send_signal(number)

    def stop(self, seconds=40):
        """SIGTERM, and how it ended."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"still there {seconds} s after SIGTERM:\n{self.log()}") from None
        finally:
            self._reader.join(5)

    def kill(self):
        """Ends it at once, for whoever cleans up."""
        self.process.kill()
        self.process.wait()
