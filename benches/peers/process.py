"""Gateways as processes: started, waited for, and ended with all their children."""

import os
import socket
import subprocess
import threading
import time
from pathlib import Path

READY_WITHIN = 10.0  # seconds


def spawn(command, folder, **pipes):
    """Starts a program whose words go to a log in the folder."""
    log = open(folder / f"{Path(command[0]).name}.log", "w")
    usual = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, "text": True}
    return subprocess.Popen([str(word) for word in command], **(usual | pipes))


def drain(pipe):
    """Reads on and forgets, so that the writer never waits."""
    threading.Thread(target=lambda: [None for _ in pipe], daemon=True).start()


def free_port(host="127.0.0.1"):
    """A port that nobody has now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


def wait_for(process, port):
    """Waits until the process accepts connections, and returns the address."""
    until = time.monotonic() + READY_WITHIN
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return f"127.0.0.1:{port}"
        except OSError:
            time.sleep(0.02)
    process.kill()
    raise SystemExit(f"{process.args[0]} did not start: see its log beside {process.args[2]}")


def cpu_seconds(process):
    """Processor time that a process has used; None where the system does not tell."""
    try:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def children(pid):
    """The ids of a process's children, and of theirs."""
    try:
        direct = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return direct + [below for child in direct for below in children(child)]
