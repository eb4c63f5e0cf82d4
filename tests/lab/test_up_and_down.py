"""A lab comes up, does its work and leaves nothing: for root and for an ordinary user."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from muslin.errors import Failed
from muslin.lab.world import way_in

_ROOT = Path(__file__).parents[2]
_NOBODY = 65534


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short folder that an ordinary user may use: pytest's own are the test runner's only."""
    with tempfile.TemporaryDirectory(prefix="lab") as name:
        path = Path(name)
        yield path


def _command(user: str, folder: Path, environment: dict[str, str]) -> list[str]:
    """The scenario's command line; for the ordinary user by an interpreter that it can start."""
    if user == "root" or os.geteuid() != 0:
        return [sys.executable, "-m", "tests.lab.scenario", str(folder)]
    os.chown(folder, _NOBODY, _NOBODY)
    become = ["setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"]
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, f"/usr/bin/python{version}"):
        # A shell in between: setpriv itself still may search root's folders.
        trial = [*become, "sh", "-c", f"exec {shlex.quote(python)} -c 'import muslin.lab.verbs'"]
        if subprocess.run(trial, cwd=_ROOT, env=environment, capture_output=True, check=False).returncode == 0:
            return [*become, python, "-m", "tests.lab.scenario", str(folder)]
    pytest.skip(f"an ordinary user can start neither {sys.executable} nor /usr/bin/python{version}")


@pytest.mark.netns
@pytest.mark.slow
@pytest.mark.parametrize("user", ["root", "ordinary"])
def test_a_lab_lives_and_leaves_nothing(user: str, folder: Path) -> None:
    """Up in under 2 s, pods by CNI, probes that lose nothing, restarts; after down the machine is as before."""
    if user == "root" and os.geteuid() != 0:
        pytest.skip("the test runner is not root; the other case runs as this user")
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv is missing: apt-get install util-linux")
    try:
        way_in()
    except Failed as refusal:
        pytest.skip(str(refusal))
    packages = os.pathsep.join([str(_ROOT), sysconfig.get_path("purelib")])
    environment = {**os.environ, "XDG_STATE_HOME": str(folder), "HOME": str(folder), "PYTHONPATH": packages}
    done = subprocess.run(
        _command(user, folder, environment),
        cwd=_ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)

    assert found["uid"] == (0 if user == "root" else os.geteuid() or _NOBODY)
    assert found["up_s"] < 2
    assert found["mode"] == "0o700"
    assert (found["nodes"], found["outside"], found["no_way_back"]) == (True, True, True)
    assert found["restarts"] == {
        "born": [True, True],
        "starts": 2,
        "last_status": -9,
        "stopped_pid": None,
        "parent_status": 3,
        "zombies": "",
    }
    assert found["pods"] == {
        "full_mtu": True,
        "over_mtu": False,
        "heard": ["hello"],
        "lost": 0,
        "sent": True,
        "dns": True,
        "twice": "the pod is there already",
        "profile": {"pcns.projectcalico.org/name": "fresh"},
        "links": "0",
        "namespaces": ["node1", "node2", "node3", "outside", "router", "switch"],
    }
    assert found["up_twice"] == "the lab scenario is up already"
    assert (found["down"], found["down_again"]) == (True, False)
    assert found["killed"] == {"ended": True, "down": True}
    assert found["after"] == found["before"]
