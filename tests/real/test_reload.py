"""The ways in which a config file changes on disk, outside an editor's hands."""

import os
import re
import shutil
import signal
import time
import urllib.request

import pytest
from gateway import HEAD, WEB, Gateway, until

# A change is in force within a second; the poll that is the safety net comes each five.
IN_FORCE = 2.0


def config(body):
    return f"""{HEAD}{WEB}
[[routes]]
respond = {{ status = 200, body = "{body}" }}
"""


def says(gateway):
    with urllib.request.urlopen(f"http://{gateway.address()}/", timeout=10) as answer:
        return answer.read().decode()


class ConfigMap:
    """A folder as the kubelet lays it out: each version a folder, `..data` a link that is swapped."""

    def __init__(self, folder):
        self.folder = folder
        self.version = 0
        self.file = folder / "tidegate.toml"

    def put(self, text):
        old = self.folder / f"..2026_{self.version}"
        self.version += 1
        new = self.folder / f"..2026_{self.version}"
        new.mkdir()
        (new / "tidegate.toml").write_text(text)
        swap = self.folder / "..data_tmp"
        swap.symlink_to(new.name)
        swap.rename(self.folder / "..data")
        if not self.file.is_symlink():
            self.file.symlink_to("..data/tidegate.toml")
        shutil.rmtree(old, ignore_errors=True)


@pytest.fixture
def watched(tmp_path):
    """A gateway on a ConfigMap."""
    made = ConfigMap(tmp_path)
    made.put(config("version 0"))
    gateway = Gateway(made.file)
    yield made, gateway
    gateway.kill()


def test_a_swapped_configmap_is_in_force_soon_each_time(watched):
    config_map, gateway = watched
    for version in range(1, 7):
        text = config(f"version {version}")
        began = time.monotonic()
        config_map.put(text)
        until(f"version {version} runs", lambda t=text: gateway.runs(t), IN_FORCE)
        assert says(gateway) == f"version {version}", f"after {time.monotonic() - began:.2f} s"


def test_a_broken_version_changes_nothing_and_is_named_with_its_line(watched):
    config_map, gateway = watched
    broken = config("broken").replace("status = 200", 'status = "fine"')
    line = next(n for n, text in enumerate(broken.splitlines(), 1) if "fine" in text)
    config_map.put(broken)
    until("the line is shown", lambda: gateway.metric("tidegate_config_error_line") == line, 5)
    assert gateway.metric("tidegate_config_last_reload_successful") == 0
    assert gateway.metric("tidegate_config_reloads_total", result="rejected") >= 1
    assert says(gateway) == "version 0"
    assert re.search(rf"tidegate\.toml:{line}:\d+", gateway.log())
    config_map.put(config("mended"))
    until("the mended version runs", lambda: says(gateway) == "mended", 5)
    assert gateway.metric("tidegate_config_last_reload_successful") == 1


def test_a_file_renamed_over_the_old_one_is_seen(start):
    gateway = start(config("before"))
    new = gateway.file.with_suffix(".new")
    new.write_text(config("after"))
    os.replace(new, gateway.file)
    until("the new file runs", lambda: says(gateway) == "after", IN_FORCE)


def test_a_signal_reads_the_same_file_again_and_changes_nothing(start):
    text = config("same")
    gateway = start(text)
    gateway.signal(signal.SIGHUP)
    until("it was read", lambda: gateway.metric("tidegate_config_reloads_total", result="unchanged") == 1, 5)
    assert gateway.runs(text)
