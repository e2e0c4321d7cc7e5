"""The two ends: starts backends, lets the driver loose, and asks both whether they kept up."""

import json
import os
import resource
import subprocess
import time
from pathlib import Path

from peers.process import cpu_seconds

from .columns import CAPACITY, MEAN_MS, WORKERS

BUCKET_MS = 500


class Backend:
    """A backend process; it ends with this one."""

    def __init__(self, program, plan):
        command = [program, "backend", json.dumps(plan)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        said = json.loads(self.process.stdout.readline())
        self.address, self.control = said["address"], said["control"]

    def stop(self):
        self.process.kill()
        self.process.wait()


def drive(program, plan):
    """Runs the driver to its end and returns what it saw."""
    longest = plan["seconds"] + (plan["timeout_ms"] / 1000 + 1) * (plan["retries"] + 1) + 20
    command = [program, "drive", json.dumps(plan)]
    out = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=longest, check=True)
    return json.loads(out.stdout.splitlines()[-1])


def measure(program, gateway, column, seed, folder):
    """One gateway, one column, once: fresh backends, a fresh gateway, the same arrivals for the same seed."""
    folder.mkdir(parents=True, exist_ok=True)
    backends = [Backend(program, column.backend(endpoint)) for endpoint in column.endpoints]
    running = None
    try:
        running = gateway.start(folder, column, [backend.address for backend in backends])
        before = used(running, backends)
        seen = drive(program, plan_of(column, running.addresses, backends, seed))
        seen["cores"] = cores(before, used(running, backends))
        seen["arrived"], seen["done"] = worked(seen, column)
        return seen
    finally:
        if running:
            running.stop()
        for backend in backends:
            backend.stop()


def used(running, backends):
    """What the clock says and what processor time has been used so far, in seconds."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)  # of the ended ones: here the driver
    return {
        "clock": time.monotonic(),
        "gateway": running.cpu_seconds() or 0.0,
        "backends": sum(cpu_seconds(backend.process) or 0.0 for backend in backends),
        "driver": children.ru_utime + children.ru_stime,
        "machine": busy_seconds(),
    }


def cores(before, after):
    """How many cores each had on average."""
    took = after["clock"] - before["clock"]
    return {who: (after[who] - before[who]) / took for who in before if who != "clock"}


def plan_of(column, targets, backends, seed):
    begin, end = column.measure
    steps = [(at, b.control, query) for at, query in column.steps for b in backends]
    steps += [(at, b.control, mark) for at, mark in ((begin, "begin"), (end, "end")) for b in backends]
    return {
        "targets": targets,
        "connections": connections(column.rate, targets),
        "rate": column.rate,
        "seconds": column.seconds,
        "measure": column.measure,
        "in_time_ms": column.in_time_ms,
        "timeout_ms": column.timeout_ms,
        "retries": column.retries,
        "kinds": [{key: kind[key] for key in ("name", "share", "path")} for kind in column.kinds],
        "steps": steps,
        "bucket_ms": BUCKET_MS,
        "seed": seed,
    }


def connections(rate, targets):
    """As many as requests may wait in a queue of a tenth of a second, and some more."""
    return int(100 + 0.1 * max(a_second for _, a_second in rate) / len(targets))


def worked(seen, column):
    """Requests a second that came to the backends and that they finished, within the measured time; None where a
    backend was too busy to say."""
    marks = sum(step["query"] in ("begin", "end") for step in seen["steps"])
    if marks < 2 * len(column.endpoints):
        return None, None
    span = column.measure[1] - column.measure[0]

    def a_second(count):
        total = {"begin": 0, "end": 0}
        for step in seen["steps"]:
            if step["query"] in total:
                total[step["query"]] += step["counts"][count]
        return (total["end"] - total["begin"]) / span

    return a_second("arrived"), a_second("done")


def reachable(program):
    """What share of the capacity the backend itself does with all workers always busy and no collapse."""
    plan = {"workers": WORKERS, "mean_ms": MEAN_MS, "spread": "exponential", "collapse": 0.0}
    backend = Backend(program, plan)
    try:
        seen = drive(program, check_plan(backend, 1.5, 4, [(1, backend.control, "begin"), (4, backend.control, "end")]))
    finally:
        backend.stop()
    done = {step["query"]: step["counts"]["done"] for step in seen["steps"]}
    return (done["end"] - done["begin"]) / 3 / CAPACITY


def offers(program, times):
    """Whether the driver can offer so many times the capacity to a backend that answers at once."""
    plan = {"workers": WORKERS, "mean_ms": 0.0, "spread": "fixed", "collapse": 0.0}
    backend = Backend(program, plan)
    try:
        seen = drive(program, check_plan(backend, times, 3, []))
    finally:
        backend.stop()
    rate = seen["all"]["good"] / seen["span"]
    return {"rate": rate, "late_send_p99_ms": seen["late_send_p99_ms"], "p99_ms": seen["all"]["p99_ms"]}


def check_plan(backend, times, seconds, steps):
    return {
        "targets": [backend.address],
        "connections": connections([(0, times * CAPACITY)], [backend]),
        "rate": [(0, times * CAPACITY)],
        "seconds": seconds,
        "measure": (0.5, seconds),
        "in_time_ms": 200,
        "timeout_ms": 1000,
        "retries": 0,
        "kinds": [{"name": "all", "share": 1.0, "path": "/"}],
        "steps": steps,
        "bucket_ms": BUCKET_MS,
        "seed": 1,
    }


def busy_seconds():
    """Processor time that the whole machine has used, in seconds; 0 where the system does not tell."""
    try:
        fields = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    except OSError:
        return 0.0
    idle = fields[3] + fields[4]
    return (sum(fields[:8]) - idle) / os.sysconf("SC_CLK_TCK")
