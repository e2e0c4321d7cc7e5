"""The dashboard, as Chromium shows it."""

import json
import subprocess
from pathlib import Path

import pytest
from gateway import HEAD, WEB, hash_of
from load import Load


@pytest.fixture(scope="module")
def seen(start, origin, root):
    """What the browser saw of a gateway under load, by theme."""
    text = f"""{HEAD}{WEB}
[upstreams.origin]
endpoints = [{{ address = "{origin.address}" }}]

[upstreams.origin.concurrency]
mode = "fixed"
limit = 16

[[routes]]
name = "shop"
upstream = "origin"

[[routes.rate_limits]]
name = "callers"
rate = "50/s"
"""
    gateway = start(text)
    pictures = root / "target/real"
    pictures.mkdir(parents=True, exist_ok=True)
    load = Load(gateway.address(), clients=4)
    try:
        done = subprocess.run(
            ["node", Path(__file__).with_name("dashboard.mjs"), f"http://{gateway.address('admin')}/", pictures],
            capture_output=True,
            text=True,
            timeout=120,
        )
    finally:
        load.stop()
    assert done.returncode == 0, done.stderr
    return {"hash": hash_of(text), "endpoint": origin.address, "pictures": pictures, **json.loads(done.stdout)}


@pytest.fixture(params=["light", "dark"])
def theme(request, seen):
    return seen[request.param]


def test_numbers_are_live(theme):
    for name in ("offered", "admitted", "goodput"):
        assert theme["live"][name] > 0, name
    assert any(character.isdigit() for character in theme["text"]["p50"])
    assert any(character.isdigit() for character in theme["text"]["p99"])


def test_upstreams_limits_and_the_running_config_are_shown(seen, theme):
    assert seen["hash"] in theme["text"]["config-hash"]
    assert "origin" in theme["text"]["upstreams"]
    assert seen["endpoint"] in theme["text"]["upstreams"]
    assert "callers" in theme["text"]["limits"]
    assert "16" in theme["text"]["upstreams"]


def test_pressure_and_what_it_comes_from_are_shown(theme):
    assert theme["text"]["pressure"].startswith("pressure ")
    assert theme["text"]["pressure"].split()[1].rstrip(",") in "01234"
    assert "Descriptors in use" in theme["text"]["signals"]


def test_each_limit_is_shown_with_what_is_proposed_for_it(theme):
    assert "route shop, callers" in theme["text"]["advice"]
    assert "50/s, burst 50" in theme["text"]["advice"]
    assert "upstream origin" in theme["text"]["advice"]


def test_nothing_is_asked_of_anybody_else(theme):
    assert theme["elsewhere"] == []


def test_the_console_is_quiet(theme):
    assert theme["complaints"] == []


def test_light_and_dark_differ_and_both_are_readable(seen):
    light, dark = seen["light"]["brightness"], seen["dark"]["brightness"]
    assert light["page"] > 0.7 > light["text"] + 0.3
    assert dark["page"] < 0.3 < dark["text"] - 0.3
    for theme in ("light", "dark"):
        assert (seen["pictures"] / f"dashboard-{theme}.png").stat().st_size > 5000


def test_it_fits_a_narrow_screen(theme):
    assert theme["overflow"] <= 1
