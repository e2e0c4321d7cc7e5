"""The comparison of changes (`benches/change`) runs, for Tidegate alone and for some seconds."""

import json
import os
import subprocess
import sys

from gateway import BINARY


def test_the_front_page_shows_rows_that_there_are(root):
    say = (
        "from report import SHORT; from events import EVENTS\n"
        "print(*(row for event, row, _ in SHORT if row not in EVENTS[event].ROWS))"
    )
    folders = f"{root / 'benches/change'}{os.pathsep}{root / 'benches'}"
    done = subprocess.run(
        [sys.executable, "-B", "-c", say], env={**os.environ, "PYTHONPATH": folders}, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def test_the_comparison_of_changes_measures_the_gateway(root, tmp_path):
    file = tmp_path / "figures.json"
    done = subprocess.run(
        [sys.executable, root / "benches/change/run", "--gateways", "tidegate", "--events", "reload,buckets,places"]
        + ["--scale", "0.2", "--json", file],
        env={**os.environ, "TIDEGATE_BIN": str(root / BINARY)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    measured = json.loads(file.read_text())
    assert measured["missing"] == {}
    (reload,) = measured["runs"]["reload"]["tidegate"]
    assert reload["failed1"][0] == 0 and reload["failed1"][1] > 100, reload
    assert reload["failed2"][0] == 0 and reload["failed2"][1] > 50, reload
    assert (reload["cut"], reload["closed1"], reload["closed2"]) == ([0, 10], 0, 0), reload
    assert reload["missed"] == [0, 6], reload
    (buckets,) = measured["runs"]["buckets"]["tidegate"]
    assert (buckets["elsewhere"], buckets["limit"]) == (0, 0), buckets
    (places,) = measured["runs"]["places"]["tidegate"]
    assert places == {"refused": [2, 2], "elsewhere": 0, "place": 0}, places
    assert f"| tidegate {measured['versions']['tidegate']} |" in done.stdout
    assert "| tunnels cut | 0 of 10 |" in done.stdout
