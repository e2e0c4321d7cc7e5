"""What only a system of its own can show: bind mounts, no file events, no ports. Skipped, with the reason, where namespaces
are not allowed."""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from gateway import HEAD, WEB, Gateway, until
from namespaces import within

# The look at the file where no event comes is each five seconds.
LOOK = 8.0
EVENT = 2.0


def config(body):
    return f"""{HEAD}{WEB}
[[routes]]
respond = {{ status = 200, body = "{body}" }}
"""


def says(gateway):
    with urllib.request.urlopen(f"http://{gateway.address()}/", timeout=10) as answer:
        return answer.read().decode()


@pytest.fixture
def ran():
    """Gateways that are ended after the test."""
    gateways = []
    yield gateways
    for gateway in gateways:
        gateway.kill()


@pytest.fixture
def folders(tmp_path):
    """Where files are, and where they are mounted."""
    real, mounted = tmp_path / "real", tmp_path / "mounted"
    real.mkdir()
    mounted.mkdir()
    return real, mounted


def test_a_file_that_is_bind_mounted_is_in_force_soon_after_it_was_written(folders, ran):
    real, mounted = (folder / "tidegate.toml" for folder in folders)
    real.write_text(config("one"))
    mounted.touch()
    ran.append(Gateway(mounted, within=within("m", f"mount --bind {real} {mounted}")))
    [gateway] = ran
    assert says(gateway) == "one"
    for body in ["two", "three"]:
        real.write_text(config(body))
        until(f"{body} is in force", lambda b=body: says(gateway) == b, LOOK)
    # Nothing can be put in its place, so the API changes nothing and says why.
    request = urllib.request.Request(
        f"http://{gateway.address('admin')}/api/v1/config", data=config("four").encode(), method="POST"
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    assert refused.value.code == 409
    assert "cannot be written" in refused.value.read().decode()
    assert says(gateway) == "three"
    assert real.read_text() == config("three")
    assert [file.name for file in mounted.parent.iterdir()] == ["tidegate.toml"], "nothing is left beside it"


def test_a_folder_that_is_bind_mounted_gives_events_as_any_other(folders, ran):
    real, mounted = folders
    (real / "tidegate.toml").write_text(config("one"))
    ran.append(Gateway(mounted / "tidegate.toml", within=within("m", f"mount --bind {real} {mounted}")))
    [gateway] = ran
    new = real / "new"
    new.write_text(config("two"))
    new.rename(real / "tidegate.toml")
    until("it is in force", lambda: says(gateway) == "two", EVENT)


@pytest.mark.parametrize("limit", ["max_inotify_watches", "max_inotify_instances"])
def test_where_file_events_are_used_up_the_file_is_looked_at_and_that_is_said_once(tmp_path, ran, limit):
    file = tmp_path / "tidegate.toml"
    file.write_text(config("one"))
    ran.append(Gateway(file, within=within("", f"echo 0 > /proc/sys/user/{limit}")))
    [gateway] = ran
    for body in ["two", "three"]:
        file.write_text(config(body))
        until(f"{body} is in force", lambda b=body: says(gateway) == b, LOOK)
    told = [line for line in gateway.lines if "every few seconds" in line]
    assert len(told) == 1, gateway.log()


def test_without_ports_requests_are_refused_and_nobody_is_blamed(tmp_path):
    script = Path(__file__).with_name("ports.py")
    words = [*within("n"), sys.executable, script, tmp_path]
    ran = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    refused = told["refused"]
    assert 1 <= told["held"] <= 8 and len(refused) == 12 - told["held"], told
    for status, why in refused:
        assert status == 503, told
        assert why == "tidegate; error=connection_limit_reached; cause=overload", told
    assert told["counted"] == len(refused), told
    assert told["reasons"] == ["ports"] * len(refused), told
    assert sorted(told["statuses"]) == [200] * told["held"] + [503] * len(refused), told
    assert told["again"] == [200] * 12, "connections that rest are used again"
    assert (told["ejections"], told["ejected"], told["healthy"]) == (0, 0, 1), told
