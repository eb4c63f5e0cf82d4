"""What a user can get wrong with `muslin lab` gives a problem with its place and a fix, and an exit status."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.leftovers import environment, left

pytestmark = [pytest.mark.netns, pytest.mark.slow]


def _muslin(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "muslin.cli.main", "lab", *arguments],
        env={**environment(folder), **more},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture(scope="module")
def one_node(possible: None) -> Iterator[Path]:
    """Folder of a lab of one node that is up."""
    folder = Path(tempfile.mkdtemp(prefix="lab"))
    up = _muslin(folder, "up", "--nodes", "1")
    assert (up.returncode, up.stdout.splitlines()[0].split(",")[0]) == (0, "lab lab is up: 1 node"), up.stderr
    yield folder
    _muslin(folder, "down")
    for part in ("state", "tmp"):
        (folder / part).rmdir()
    folder.rmdir()


@pytest.mark.parametrize(
    ("arguments", "status", "what"),
    [
        ("up", 2, "the lab lab is up already"),
        ("up --nodes 0 --name x", 2, "0 nodes are not possible"),
        ("up --nodes 11 --name x", 2, "11 nodes are not possible"),
        ("up --nodes many", 2, "'many' is not a valid integer"),
        ("up --name ../x", 2, "'../x' is not a name for a lab"),
        ("demo --name ../x", 2, "'../x' is not a name for a lab"),
        ("down --name ../..", 2, "'../..' is not a name for a lab"),
        ("status --name a/b", 2, "'a/b' is not a name for a lab"),
        ("status --name other", 1, "the lab is not up"),
        ("exec --name other node1 -- true", 1, "the lab is not up"),
        ("shell --name other node1", 1, "the lab is not up"),
        ("pod add --name other a.b --node node1", 1, "the lab is not up"),
        ("exec node2 -- true", 2, "there is no such namespace"),
        ("exec ../../etc -- true", 2, "there is no such namespace"),
        ("exec node1 -- no-such-program", 2, "there is no such program"),
        ("exec node1", 2, "missing argument 'COMMAND...'"),
        ("shell node2", 2, "there is no such namespace"),
        ("pod add nodot --node node1", 2, "'nodot' is not NAMESPACE.NAME"),
        ("pod add demo. --node node1", 2, "'demo.' is not NAMESPACE.NAME"),
        ("pod add demo.B_/.. --node node1", 2, "'B_/..' is not the name of a pod"),
        ("pod add demo.b --node node2", 2, "there is no such node"),
        ("pod add demo.b --node router", 2, "there is no such node"),
        ("pod add demo.b --node node1 --label x", 2, "'x' is not KEY=VALUE"),
        ("pod add demo.b --node node1", 1, "CNI ADD failed: no configured Calico pools"),
        ("pod remove demo.b", 2, "there is no such pod"),
        ("pod remove nodot", 2, "'nodot' is not NAMESPACE.NAME"),
    ],
)
def test_a_mistake_is_told(arguments: str, status: int, what: str, one_node: Path) -> None:
    """What, where and fix; no traceback; the lab that is up is not disturbed."""
    done = _muslin(one_node, *arguments.split())
    lines = done.stderr.splitlines()

    assert what in lines[0]
    assert [line.split(":")[0].strip() for line in lines[1:3]] == ["where", "fix"]
    assert (done.returncode, "Traceback" in done.stderr, done.stdout) == (status, False, "")
    assert _muslin(one_node, "status").returncode == 0


def test_the_status_of_a_command_is_its_own(one_node: Path) -> None:
    """`exec` hands on output and exit status, also for a user whose PATH lacks the folders of ip and nft."""
    done = _muslin(one_node, "exec", "node1", "--", "sh", "-c", "echo told; exit 7")
    link = _muslin(one_node, "exec", "node1", "--", "ip", "-brief", "link", PATH="/usr/bin:/bin")

    assert (done.stdout, done.returncode) == ("told\n", 7)
    assert (link.returncode, "eth0" in link.stdout) == (0, True)


def test_down_twice_says_so(possible: None, tmp_path: Path) -> None:
    """Taking down what is not there is no error, and touches nothing."""
    done = _muslin(tmp_path, "down")

    assert (done.returncode, done.stdout, done.stderr) == (0, "there was no lab lab\n", "")
    assert left(tmp_path)["files"] == []


def test_ten_nodes_make_a_mesh_of_45_sessions(folder: Path) -> None:
    """The largest lab comes up, every pair of nodes has a session, and goes down without a trace."""
    up = _muslin(folder, "up", "--nodes", "10", "--name", "ten")
    script = (
        "import asyncio, sys\n"
        "from muslin.datastore.embedded import EmbeddedDatastore\n"
        "from muslin.lab.demo.cluster import Cluster\n"
        "async def wait():\n"
        "    store = EmbeddedDatastore.open(sys.argv[1])\n"
        "    print(await Cluster(store, [f'node{n}' for n in range(1, 11)]).sessions_up(40))\n"
        "    await store.close()\n"
        "asyncio.run(wait())\n"
    )
    datastore = folder / "state" / "muslin" / "ten" / "datastore" / "muslin.db"
    ends = subprocess.run(
        [sys.executable, "-c", script, str(datastore)], capture_output=True, text=True, check=False, timeout=60
    )
    down = _muslin(folder, "down", "--name", "ten")

    assert (up.returncode, ends.stdout, ends.stderr) == (0, "90\n", "")
    assert down.returncode == 0
    assert left(folder) == {"processes": [], "files": [], "mounts": []}


@pytest.fixture
def nested() -> None:
    """Skips where even root can make no user namespace, so in a chroot: nothing is left to forbid there."""
    done = subprocess.run(["unshare", "--user", "--map-root-user", "true"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"user namespaces can't be made here: {done.stderr.strip()}")


@pytest.mark.usefixtures("nested")
@pytest.mark.parametrize(
    ("refuse", "what", "fix"),
    [
        ("--user", "user namespaces are forbidden", "--privileged"),
        ("--mount-proc", "a new /proc can't be mounted in a user namespace", "systempaths=unconfined"),
        ("ip_forward", "network settings can't be written in a user namespace", "systempaths=unconfined"),
    ],
)
def test_a_machine_that_forbids_it_is_told(refuse: str, what: str, fix: str, folder: Path) -> None:
    """Where unshare is refused, or /proc/sys can't be written, the demo says what, where and what to do."""
    programs = folder / "bin"
    programs.mkdir()
    real = next(path for path in ("/usr/bin/unshare", "/bin/unshare") if os.access(path, os.X_OK))
    # As a kernel without the right answers; root's own way, without --user, is refused too.
    script = f'#!/bin/sh\ncase "$*" in *{refuse}*) echo Operation not permitted >&2; exit 1;; esac\n'
    script += f'case "$*" in *--user*) exec {real} "$@";; esac\necho Operation not permitted >&2\nexit 1\n'
    (programs / "unshare").write_text(script)
    (programs / "unshare").chmod(0o755)
    done = _muslin(folder, "demo", PATH=f"{programs}:{os.environ['PATH']}")

    assert (done.returncode, done.stderr.splitlines()[0]) == (1, f"error: the lab can't live here: {what}")
    assert fix in done.stderr
    assert left(folder) == {"processes": [], "files": [], "mounts": []}


@pytest.mark.usefixtures("nested")
@pytest.mark.parametrize(
    ("forbid", "what", "fix"),
    [
        ("echo 0 >/proc/sys/user/max_user_namespaces", "user namespaces are forbidden", "max_user_namespaces=10000"),
        (
            "mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys",
            "a new /proc can't be mounted in a user namespace",
            "systempaths=unconfined",
        ),
    ],
)
def test_a_kernel_that_forbids_it_is_told(forbid: str, what: str, fix: str, folder: Path) -> None:
    """The kernel's own refusals, made in a user namespace: none may be nested, and /proc as containers have it."""
    # Without rights, as an ordinary user has none; with setfcap a process may map its own id of 0 (user_namespaces(7)).
    demo = f"{shlex.quote(sys.executable)} -m muslin.cli.main lab demo"
    script = f"{forbid} && exec setpriv --bounding-set=-all,+setfcap {demo}"
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--mount-proc", "sh", "-c", script],
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (done.returncode, done.stderr.splitlines()[:1]) == (1, [f"error: the lab can't live here: {what}"])
    assert fix in done.stderr
    assert left(folder) == {"processes": [], "files": [], "mounts": []}
