"""Failures explained, seen by curl and by the verbs, with nginx and OpenSSL as the services."""

import json
import re
import subprocess

import pytest
from gateway import BINARY, HEAD, WEB, until
from nginx import Nginx


def verb(gateway, *words):
    """What a verb prints that asks this gateway."""
    command = [BINARY, *words, "--admin", f"http://{gateway.address('admin')}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def curl(*words):
    done = subprocess.run(["curl", "-s", *words], capture_output=True, text=True, timeout=30)
    return done.stdout


def config(address, more="", of_upstream=""):
    return f"""{HEAD}{WEB}{more}
[upstreams.shop]
endpoints = [{{ address = "{address}" }}]
{of_upstream}
[[routes]]
name = "shop"
upstream = "shop"
"""


def test_a_service_that_stops_and_returns_is_explained_and_is_one_incident(start, tmp_path, free_port):
    nginx = Nginx(tmp_path, free_port())
    gateway = start(config(nginx.address, '[incidents]\nend_after = "2s"\n'))
    url = f"http://{gateway.address()}/"
    assert curl(url) == "nginx\n"
    nginx.close()
    for _ in range(8):
        answer = curl("-i", url)
    assert answer.startswith("HTTP/1.1 502"), answer
    assert "proxy-status: tidegate; error=connection_refused; cause=network" in answer
    (request,) = re.findall(r"x-request-id: (\S+)", answer)

    explained = verb(gateway, "explain", request)
    assert explained.returncode == 0, explained.stderr
    assert request in explained.stdout
    assert "Cause: network, certain: refused: process not listening" in explained.stdout, explained.stdout
    assert "tidegate doctor shop" in explained.stdout, explained.stdout
    until("the incident is open", lambda: "connection_refused" in verb(gateway, "incidents", "--open").stdout)
    events = curl("-N", "--max-time", "2", f"http://{gateway.address('admin')}/api/v1/events?since=0")
    assert "event: incident_began" in events, events

    nginx = Nginx(tmp_path, int(nginx.address.rpartition(":")[2]))
    try:
        until("it is answered again", lambda: curl(url) == "nginx\n")
        until("the incident is over", lambda: curl(url) and "open" not in verb(gateway, "incidents").stdout)
    finally:
        nginx.close()
    over = verb(gateway, "incidents").stdout
    assert over.count("incident  ") == 1 and ", over, " in over, over


def test_the_doctor_sees_that_nginx_closes_sooner_than_we_do(start, tmp_path, free_port):
    nginx = Nginx(tmp_path, free_port(), "keepalive_timeout 1s;")
    try:
        gateway = start(config(nginx.address))
        well = verb(gateway, "doctor", "shop", "--idle", "3s")
        assert well.returncode == 0, well.stdout
        assert re.search(r"ok +connect +connected", well.stdout), well.stdout
        assert re.search(r"warn keep_alive +the service closed a resting connection after 1 s", well.stdout), well.stdout
    finally:
        nginx.close()
    bad = verb(gateway, "doctor", "shop", "--idle", "0s")
    assert bad.returncode == 1, bad.stdout
    assert re.search(r"bad +connect +refused", bad.stdout), bad.stdout


@pytest.fixture
def secure(tls, free_port):
    """OpenSSL's own server, with a certificate of nobody's authority."""
    port = free_port()
    server = subprocess.Popen(
        ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-www", "-quiet"]
        + ["-cert", tls / "cert.pem", "-key", tls / "key.pem"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until("it listens", lambda: curl("-k", "-o", "/dev/null", "-w", "%{http_code}", f"https://127.0.0.1:{port}/") == "200")
    yield f"127.0.0.1:{port}"
    server.kill()
    server.wait()


@pytest.mark.parametrize(
    ("trust", "reason"),
    [("", "unknown_issuer"), (', ca = "{tls}/cert.pem"', None)],
    ids=["a stranger", "trusted"],
)
def test_an_unknown_issuer_is_told_by_the_answer_and_by_the_doctor(start, secure, tls, trust, reason):
    of_upstream = f'tls = {{ server_name = "localhost"{trust.format(tls=tls)} }}'
    gateway = start(config(secure, of_upstream=of_upstream))
    told = curl("-H", "accept: application/problem+json", f"http://{gateway.address()}/")
    if reason is None:
        assert "s_server" in told, told
    else:
        assert json.loads(told)["reason"] == reason, told
    report = json.loads(verb(gateway, "doctor", "shop", "--idle", "0s", "--json").stdout)
    findings = [found for section in report["sections"] for found in section["findings"]]
    (found,) = [found for found in findings if found["stage"] == "tls"]
    assert (found["mark"] == "bad") == (reason is not None), report
    assert reason is None or "trust" in found["says"] or "issuer" in found["says"], report
