"""Load by h2load and wrk, against nginx behind the gateway."""

import re
import subprocess

import pytest
from gateway import HEAD, WEB
from nginx import Nginx

REQUESTS = 100_000


@pytest.fixture(scope="module")
def nginx(tmp_path_factory, free_port):
    server = Nginx(tmp_path_factory.mktemp("nginx"), free_port())
    yield server
    server.close()


@pytest.fixture(scope="module")
def gateway(start, nginx, tls):
    return start(
        f"""{HEAD}{WEB}
[[listeners]]
name = "tls"
bind = "127.0.0.1:0"
tls = {{ certificates = [{{ cert = "{tls}/cert.pem", key = "{tls}/key.pem" }}] }}

[upstreams.nginx]
endpoints = [{{ address = "{nginx.address}" }}]
concurrency = {{ mode = "off" }}  # five hundred at once are to go through, not to be judged

[[routes]]
upstream = "nginx"
""",
        ("web", "tls"),
    )


@pytest.mark.parametrize(
    ("scheme", "flags"),
    [("http", ["-m", "10"]), ("https", ["-m", "10"]), ("http", ["--h1", "-m", "1"])],
    ids=["h2c", "tls-h2", "http1"],
)
def test_a_hundred_thousand_requests_of_h2load_see_no_error(gateway, scheme, flags):
    url = f"{scheme}://{gateway.address('tls' if scheme == 'https' else 'web')}/"
    done = subprocess.run(
        ["h2load", "-n", str(REQUESTS), "-c", "50", "-t", "1", *flags, url], capture_output=True, text=True, timeout=240
    )
    assert f"{REQUESTS} succeeded, 0 failed, 0 errored, 0 timeout" in done.stdout, done.stdout + done.stderr
    assert f"status codes: {REQUESTS} 2xx" in done.stdout, done.stdout


def test_a_reload_of_the_service_under_load_shows_no_error(gateway, nginx):
    before = gateway.metric("tidegate_requests_total", status="200")
    load = subprocess.Popen(
        ["wrk", "-t", "1", "-c", "32", "-d", "8", "--timeout", "10s", f"http://{gateway.address()}/"],
        stdout=subprocess.PIPE,
        text=True,
    )
    reloads = 0
    while load.poll() is None and reloads < 20:
        nginx.reload()
        reloads += 1
    said, _ = load.communicate(timeout=60)
    assert reloads >= 5, f"only {reloads} reloads"
    assert int(re.search(r"(\d+) requests in", said)[1]) > 1000, said
    assert "Non-2xx" not in said and "Socket errors" not in said, said
    assert gateway.metric("tidegate_requests_total", status="502") == 0
    assert gateway.metric("tidegate_requests_total", status="200") > before
