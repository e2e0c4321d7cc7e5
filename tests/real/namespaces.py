"""Namespaces of the system: what a test changes in one, nobody else sees."""

import subprocess

import pytest


def within(kinds, script="true"):
    """The words that run a command in new namespaces (`m`: mounts, `n`: network) after this script, as their root.

    Skips the test, with the reason, where the system does not allow it.
    """
    words = ["unshare", f"-Ur{kinds}", "sh", "-ec", f'{script}; exec "$@"', "sh"]
    try:
        tried = subprocess.run([*words, "true"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("no namespaces here: there is no unshare")
    if tried.returncode != 0:
        pytest.skip(f"no namespaces here: {tried.stderr.strip()}")
    return words
