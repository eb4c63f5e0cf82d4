"""Run a test in user, network, mount and process namespaces of its own; all that it started ends with it."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

_INSIDE = "MUSLIN_TEST_INSIDE_NAMESPACE"
_ROOT = Path(__file__).parents[3]


def in_own_namespace(test: Callable[[Path], None]) -> Callable[[pytest.FixtureRequest, Path], None]:
    """Run the test again under unshare; there it gets a network of two namespaces.

    This one has 192.0.2.1/24, the one called `peer` has 192.0.2.2/24.
    """

    def wrapped(request: pytest.FixtureRequest, tmp_path: Path) -> None:
        if os.environ.get(_INSIDE) == "1":
            _build()
            test(Path("/run"))  # short enough for the path of a unix socket, and gone with the namespace
            return
        if shutil.which("unshare") is None or subprocess.run(["unshare", "-Urnm", "true"], check=False).returncode:
            pytest.skip("no user namespaces here")
        command = [
            "unshare", "--user", "--map-root-user", "--net", "--mount", "--pid", "--fork", "--mount-proc",
            "--kill-child", sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
            f"--basetemp={tmp_path / 'inside'}", f"{request.node.path}::{request.node.name}",
        ]  # fmt: skip
        done = subprocess.run(
            command,
            cwd=_ROOT,
            env={**os.environ, _INSIDE: "1"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode:
            pytest.fail(done.stdout[-6000:] + done.stderr[-2000:], pytrace=False)
        if " skipped" in done.stdout:
            pytest.skip(done.stdout.splitlines()[-1])

    functools.update_wrapper(wrapped, test)
    del wrapped.__wrapped__  # type: ignore[attr-defined] # pytest would read the inner signature
    return wrapped


def run(*command: str) -> str:
    """Run a command that must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def in_peer(*command: str) -> tuple[str, ...]:
    """The command as run in the other network namespace."""
    return ("ip", "netns", "exec", "peer", *command)


def _build() -> None:
    run("mount", "--make-rprivate", "/")
    run("mount", "-t", "tmpfs", "tmpfs", "/run")
    run("ip", "netns", "add", "peer")
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", "peer")
    for prefix, address in ((), "192.0.2.1/24"), (("-n", "peer"), "192.0.2.2/24"):
        run("ip", *prefix, "address", "add", address, "dev", "eth0")
        run("ip", *prefix, "link", "set", "eth0", "up")
    run("ip", "-n", "peer", "link", "set", "lo", "up")
