"""curl, over HTTP/1.1 and HTTP/2, with and without TLS: bodies of every size and framing."""

import json
import re
import subprocess

import pytest
from gateway import HEAD, WEB

GIB = 1 << 30
FLAT_MIB = 150

WAYS = {
    "http1": ("http", "1.1", ["--http1.1"]),
    "h2c": ("http", "2", ["--http2-prior-knowledge"]),
    "tls-http1": ("https", "1.1", ["--http1.1"]),
    "tls-h2": ("https", "2", ["--http2"]),
}


class Curl:
    """curl by one of the ways; `run` gives what it wrote to stdout and to stderr."""

    def __init__(self, way, gateway, tls):
        scheme, self.version, self.flags = WAYS[way]
        self.gateway = gateway
        self.base = f"{scheme}://localhost:{gateway.port('tls' if scheme == 'https' else 'web')}"
        self.flags = [*self.flags, "--cacert", str(tls / "cert.pem")]

    def run(self, path, *arguments, **options):
        command = ["curl", "-sS", "-4", "--noproxy", "*", "--max-time", "240", *self.flags]
        done = subprocess.run([*command, *arguments, self.base + path], capture_output=True, **options)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode(), done.stderr.decode()

    def wrote(self, path, form, *arguments, **options):
        """What `--write-out` said, the body thrown away."""
        return self.run(path, "-o", "/dev/null", "-w", form, *arguments, **options)[0].split()


@pytest.fixture(scope="module")
def gateway(start, origin, tls):
    config = f"""{HEAD}{WEB}
[[listeners]]
name = "tls"
bind = "127.0.0.1:0"
tls = {{ certificates = [{{ cert = "{tls}/cert.pem", key = "{tls}/key.pem" }}] }}

[upstreams.origin]
endpoints = [{{ address = "{origin.address}" }}]

[[routes]]
name = "all"
upstream = "origin"
timeout = "off"

[[routes]]
name = "small"
path_prefix = "/small"
upstream = "origin"
max_body = "1KiB"
"""
    return start(config, ("web", "tls"))


@pytest.fixture(params=WAYS)
def curl(request, gateway, tls):
    return Curl(request.param, gateway, tls)


def test_one_byte_comes_down(curl):
    seen = curl.wrote("/bytes/1", "%{http_code} %{http_version} %{size_download}")
    assert seen == ["200", curl.version, "1"]


def test_one_byte_goes_up(curl):
    assert curl.run("/count", "-X", "PUT", "--data-binary", "x")[0] == "1"


def test_a_gibibyte_comes_down_with_flat_memory(curl):
    assert curl.wrote(f"/bytes/{GIB}", "%{http_code} %{size_download}") == ["200", str(GIB)]
    assert curl.gateway.memory() < FLAT_MIB


def test_a_gibibyte_goes_up_with_flat_memory(curl, tmp_path):
    zeros = tmp_path / "zeros"
    with zeros.open("wb") as file:
        file.truncate(GIB)
    assert curl.run("/count", "-T", str(zeros))[0] == str(GIB)
    assert curl.gateway.memory() < FLAT_MIB


def test_a_body_of_unknown_length_goes_up(curl):
    body = b"0123456789" * 100_000
    assert curl.run("/count", "-T", "-", input=body)[0] == str(len(body))


def test_chunks_come_down_with_their_trailer(curl, tmp_path):
    heads = tmp_path / "heads"
    body, _ = curl.run("/chunked", "-H", "TE: trailers", "-D", str(heads))
    assert body == "one two three\n"
    assert "x-sum: 14" in heads.read_text().lower()


def test_head_says_the_length_and_sends_nothing(curl):
    head, _ = curl.run("/bytes/12345", "-I")
    assert "content-length: 12345" in head.lower()


@pytest.mark.parametrize("status", ["204", "304"])
def test_an_answer_without_a_body_leaves_the_connection_usable(curl, status):
    urls = [f"{curl.base}/status/{status}", f"{curl.base}/bytes/1"]
    if curl.version == "2" and curl.base.startswith("http:"):
        # curl 7.88 cannot use a connection again that it opened with prior knowledge, whoever answers.
        talk = subprocess.run(["nghttp", "-nv", *urls], capture_output=True, text=True, timeout=60).stdout
        assert sorted(re.findall(r":status: (\d+)", talk)) == sorted([status, "200"])
        assert talk.count("Connected") == 1
        return
    form = "%{http_code}/%{num_connects} "
    seen = curl.wrote("/bytes/1", form, "-o", "/dev/null", urls[0])
    assert seen == [f"{status}/1", "200/0"]


def test_a_body_is_asked_for_before_it_is_sent(curl, tmp_path):
    body = tmp_path / "body"
    body.write_bytes(b"x" * 100_000)
    answer, talk = curl.run("/count", "-v", "-H", "Expect: 100-continue", "-T", str(body))
    assert answer == "100000"
    if curl.version == "1.1":
        assert "HTTP/1.1 100 Continue" in talk


def test_a_body_that_is_too_large_is_not_asked_for(curl, tmp_path):
    body = tmp_path / "body"
    body.write_bytes(b"x" * 100_000)
    form = "%{http_code} %{size_upload}"
    status, sent = curl.wrote("/small", form, "-H", "Expect: 100-continue", "-T", str(body))
    assert status == "413"
    if curl.version == "1.1":
        assert sent == "0"


def test_the_service_sees_who_asked_and_every_answer_has_an_id(curl, tmp_path):
    heads = tmp_path / "heads"
    body, _ = curl.run("/head", "-H", "X-Forwarded-For: 203.0.113.9", "-D", str(heads))
    seen = {name.lower(): value for name, value in json.loads(body).items()}
    assert seen["x-forwarded-for"] == "127.0.0.1"
    assert seen["x-forwarded-proto"] == curl.base.split(":")[0]
    assert seen["host"] == curl.base.split("/")[2]
    assert "x-request-id: " in heads.read_text().lower()
