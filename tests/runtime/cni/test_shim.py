"""The executables: both speak one protocol, and say what is wrong in the form of CNI."""

from __future__ import annotations

import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.runtime.cni.frames import ENVIRONMENT, NETWORK

_ROOT = Path(__file__).parents[3]
_PYTHON = [sys.executable, "-IS", str(_ROOT / "runtime/cni/shim.py")]


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Shim.c compiled as set-up does it, and by the letter of C11."""
    if shutil.which("gcc") is None:
        pytest.skip("no C compiler: apt-get install gcc")
    path = tmp_path_factory.mktemp("shim") / "muslin-cni"
    warnings = ["-O2", "-Wall", "-Wextra", "-Werror"]
    subprocess.run(["gcc", "-std=c11", *warnings, "-o", path, _ROOT / "runtime/cni/shim.c"], check=True)
    return [str(path)]


@pytest.fixture(params=["c", "python"])
def shim(request: pytest.FixtureRequest) -> list[str]:
    """Each of the two executables."""
    return _PYTHON if request.param == "python" else list(request.getfixturevalue("compiled"))


def _run(shim: Sequence[str], stdin: bytes, environment: dict[str, str]) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(shim, input=stdin, env=environment, capture_output=True, timeout=20, check=False)
    return done.returncode, json.loads(done.stdout)


def test_version_needs_no_agent(shim: list[str]) -> None:
    """A runtime may ask for versions before there is an agent."""
    status, body = _run(shim, b'{"cniVersion":"1.0.0"}', {"CNI_COMMAND": "VERSION"})

    assert (status, "1.0.0" in body["supportedVersions"]) == (0, True)


@pytest.mark.parametrize("command", ["ADD", "DEL", "CHECK"])
def test_no_agent_means_try_again_later(shim: list[str], command: str, tmp_path: Path) -> None:
    """Without an agent the runtime is told to try again, and where the socket was looked for."""
    path = str(tmp_path / 'no "agent"\\here.sock')
    environment = {**ENVIRONMENT, "CNI_COMMAND": command, "CNI_NETNS": "/proc/self/ns/net", "MUSLIN_CNI_SOCKET": path}
    if os.geteuid() != 0 and command != "DEL":
        pytest.skip("entering a network namespace needs root; the round trip does it in one of its own")
    status, body = _run(shim, json.dumps(NETWORK).encode(), environment)

    assert (status, body["code"], body["cniVersion"]) == (1, 11, "1.0.0")
    assert "here.sock" in body["details"]
    assert "fix: start muslin agent" in body["details"]


def test_unknown_command_is_refused(shim: list[str]) -> None:
    """What is no command of CNI 1.0 gets the code for a bad environment."""
    status, body = _run(shim, b"{}", {"CNI_COMMAND": "DANCE\n"})

    assert (status, body["code"]) == (1, 4)


def test_hostile_sizes_are_refused(shim: list[str]) -> None:
    """Variables and configurations beyond the limits are refused, not cut."""
    assert _run(shim, b"{}", {**ENVIRONMENT, "CNI_ARGS": "a" * 9000})[1]["code"] == 4
    assert _run(shim, b" " * 1_200_000, {**ENVIRONMENT, "CNI_COMMAND": "DEL"})[1]["code"] == 6


class _Agent(threading.Thread):
    """An agent that answers the first request with the given bytes, then goes away."""

    def __init__(self, path: Path, answer: bytes | None) -> None:
        super().__init__()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(1)
        self._answer = answer
        self.silent = threading.Event()

    def run(self) -> None:
        """Serve one client."""
        with self._listener, self._listener.accept()[0] as client:
            if self._answer is None:
                self.silent.wait(20)
            else:
                client.recv(1 << 16)
                client.sendall(self._answer)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (None, 11),
        (b"", 11),
        (struct.pack("!I", 100) + b"\0half", 11),
        (struct.pack("!I", 0xFFFFFFFF) + b"\0", 5),
        (struct.pack("!I", 0) + b"\0", 5),
    ],
    ids=["silent", "closes", "half", "huge", "nothing"],
)
def test_an_agent_that_misbehaves_gives_a_cni_error(
    shim: list[str], tmp_path: Path, answer: bytes | None, code: int
) -> None:
    """Whatever answers at the socket, or does not, the runtime gets one JSON error before the deadline."""
    path = tmp_path / "s"
    agent = _Agent(path, answer)
    agent.start()
    environment = {
        **ENVIRONMENT,
        "CNI_COMMAND": "DEL",
        "CNI_NETNS": "",
        "MUSLIN_CNI_SOCKET": str(path),
        "MUSLIN_CNI_DEADLINE_MS": "300",
    }
    try:
        status, body = _run(shim, json.dumps(NETWORK).encode(), environment)
    finally:
        agent.silent.set()
        agent.join()

    assert (status, body["code"]) == (1, code)


@pytest.mark.netns
def test_round_trip_hands_over_the_namespace(shim: list[str]) -> None:
    """The agent gets the pod's namespace and a socket that sees its links; DEL works without; nothing leaks."""
    unshare = ["unshare", "--user", "--map-root-user", "--mount", "--net", "--pid", "--fork", "--kill-child"]
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("user namespaces are not allowed here")
    command = [*unshare, sys.executable, "-m", "tests.runtime.cni.inside", *shim]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)

    assert [answer["status"] for answer in found["answers"]] == [0, 0, 0, 0, 1, 1]
    assert [answer["body"]["code"] for answer in found["answers"][4:]] == [4, 4]
    assert [each["command"] for each in found["seen"]] == ["ADD", "CHECK", "DEL", "DEL"]
    assert all(each["namespace"] and "marker0" in each["links"] for each in found["seen"][:3])
    assert found["seen"][3]["links"] is None
    assert (found["leaked"], found["removed"]) == (0, True)


@pytest.mark.netns
def test_a_pod_is_attached_checked_and_detached(compiled: list[str]) -> None:
    """With the real IPAM, links and datastore, `ip` and `ping` see what ADD answered, and nothing after DEL."""
    unshare = ["unshare", "--user", "--map-root-user", "--mount", "--net", "--pid", "--fork", "--kill-child"]
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("user namespaces are not allowed here")
    command = [*unshare, "--mount-proc", sys.executable, "-m", "tests.runtime.cni.inside_whole", *compiled]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)

    assert found["add"] == found["again"]
    status, result = found["add"]
    assert status == 0, result
    address = result["ips"][0]["address"].removesuffix("/32")
    assert found["check"] == [0, None]
    assert found["there"] == {
        "links": [result["interfaces"][0]["name"]],
        "routes": [address],
        "addresses": ["127.0.0.1", address],
        "pod_routes": [["default", "169.254.1.1"], ["169.254.1.1", None]],
    }
    assert found["held"] == ["k8s-pod-network.c1", "node1-k8s-web--0-eth0"]
    assert found["ping"]
    assert (found["check_broken"][0], found["check_broken"][1]["code"]) == (1, 100)
    assert found["del"] == [[0, None], [0, None]]
    assert (found["gone"]["links"], found["gone"]["routes"], found["held_after"]) == ([], [], [])
