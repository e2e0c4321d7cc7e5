"""promtool on what is scraped, and on the rules that come with the gateway."""

import json
import re
import subprocess

import pytest
from gateway import HEAD, WEB
from load import Load


@pytest.fixture(scope="module")
def scraped(start, origin):
    """`/metrics` of a gateway that has answered, refused and failed."""
    gateway = start(f"""{HEAD}{WEB}
[upstreams.origin]
endpoints = [{{ address = "{origin.address}" }}]

[upstreams.origin.concurrency]
mode = "fixed"
limit = 4

[upstreams.nobody]
endpoints = [{{ address = "127.0.0.1:1" }}]

[[routes]]
name = "all"
upstream = "origin"

[[routes.rate_limits]]
rate = "1/s"
burst = 3

[[routes]]
name = "down"
path_prefix = "/down"
upstream = "nobody"
""")
    for path in ("/", "/down"):
        load = Load(gateway.address(), path, clients=1)
        while sum(load.seen.values()) + len(load.failed) < 8:
            pass
        load.stop()
    return gateway.metrics()


def rules(root, word):
    files = [file for file in sorted((root / "deploy/prometheus").iterdir()) if file.suffix in (".yml", ".yaml")]
    found = [str(file) for file in files if re.search(rf"^{word}:", file.read_text(), re.MULTILINE)]
    assert found, f"no file with {word} in deploy/prometheus"
    return found


def promtool(*arguments, **options):
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_scraped_is_well_formed(scraped):
    promtool("check", "metrics", input=scraped)
    for name in ("requests_total", "shed_total", "faults_total", "concurrency_limit", "endpoint_healthy", "config_info"):
        assert f"\ntidegate_{name}{{" in scraped, name


def test_the_rules_are_well_formed(root):
    promtool("check", "rules", *rules(root, "groups"))


def test_the_rules_fire_as_their_tests_say(root):
    promtool("test", "rules", *rules(root, "rule_files"))


def test_rules_and_dashboard_ask_for_metrics_that_exist(root):
    reference = (root / "config/REFERENCE.md").read_text()
    overview = root / "deploy/grafana/overview.json"
    texts = [open(file).read() for file in rules(root, "groups")]
    texts += [target["expr"] for target in targets(json.loads(overview.read_text()))]
    asked = {re.sub(r"_(bucket|sum|count)$", "", name) for text in texts for name in re.findall(r"\btidegate_\w+", text)}
    assert asked
    assert [name for name in sorted(asked) if name not in reference] == []


def targets(panel):
    """Every query of a Grafana dashboard."""
    found = [target for target in panel.get("targets", ()) if "expr" in target]
    for below in panel.get("panels", ()):
        found += targets(below)
    return found
