"""What the tests share: a folder with certificates, an origin, gateways that are stopped afterwards."""

import socket
import subprocess
from pathlib import Path

import pytest
from gateway import Gateway
from origin import Origin


@pytest.fixture(scope="session")
def tls(tmp_path_factory):
    """A folder with `cert.pem` and `key.pem` for localhost and 127.0.0.1: a server's, not an authority's."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        + ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        + ["-addext", "basicConstraints=critical,CA:FALSE"]
        + ["-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True,
        capture_output=True,
    )
    return folder


@pytest.fixture(scope="module")
def origin():
    """A service behind the gateway."""
    server = Origin()
    yield server
    server.close()


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Starts gateways from the text of a config; those still running at the end are killed."""
    running = []

    def run(config, names=("web",)):
        file = tmp_path_factory.mktemp("gateway") / "tidegate.toml"
        file.write_text(config)
        running.append(Gateway(file, names))
        return running[-1]

    yield run
    for gateway in running:
        gateway.kill()


@pytest.fixture(scope="session")
def free_port():
    """A port that nobody has now, for foreign servers that cannot bind to port 0 and say what they got."""

    def find(kind=socket.SOCK_STREAM, host="127.0.0.1"):
        with socket.socket(socket.AF_INET, kind) as probe:
            probe.bind((host, 0))
            return probe.getsockname()[1]

    return find


@pytest.fixture(scope="session")
def root():
    """The root of the clone."""
    return Path(__file__).resolve().parents[2]
