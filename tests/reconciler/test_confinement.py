"""What the kernel lets the fetcher, the reader and the webhook do, whatever makes them try."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.remotes import Transport

_BEGIN = "import os, sys, socket, subprocess; from pathlib import Path; from reconciler import confinement as c\n"
_TRY = """
def tried(deed):
    try:
        deed()
    except OSError as error:
        return type(error).__name__
    return "done"
"""


def _said(program: str) -> list[str]:
    """What a fresh process prints."""
    done = subprocess.run(
        [sys.executable, "-c", _BEGIN + _TRY + program], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.fixture(autouse=True)
def landlock() -> None:
    """Skips where the kernel has none."""
    if _said("print(c.confine(programs=[], writes=None) is None)") != ["True"]:
        pytest.skip("this kernel has no Landlock")


@pytest.mark.slow
def test_the_fetcher_starts_git_and_its_transport_and_writes_its_folder(tmp_path: Path) -> None:
    """Other programs, shells and scripts are not started, nothing outside is made, changed, linked or removed."""
    mine, other = tmp_path / "mine", tmp_path / "other"
    for folder in (mine, other):
        folder.mkdir()
        (folder / "file").write_text("x")
    (mine / "script").write_text("#!/bin/sh\n")
    (mine / "script").chmod(0o755)
    said = _said(f"""
c.limit(largest_file=1000)
programs = c.fetching([{Transport.HTTPS.value!r}], signatures=False, path=os.environ["PATH"])
assert c.confine(programs=programs, writes=[Path({str(mine)!r})]) is None
mine, other = Path({str(mine)!r}), Path({str(other)!r})
run = lambda *a: subprocess.run(a, check=True, capture_output=True)
for deed in (
    lambda: run("git", "version"),
    lambda: run("git", "init", "--quiet", "--bare", "--template=", str(mine / "r")),
    lambda: (mine / "new").write_text("x"),
    lambda: run("sh", "-c", "true"),
    lambda: run("/bin/true"),
    lambda: run(sys.executable, "-c", ""),
    lambda: run(str(mine / "script")),
    lambda: run("git", "-c", "alias.x=!true", "x"),
    lambda: (other / "new").write_text("x"),
    lambda: (other / "file").write_text("y"),
    lambda: (other / "file").unlink(),
    lambda: (mine / "file").rename(other / "moved"),
    lambda: os.link(mine / "file", other / "linked"),
    lambda: (other / "link").symlink_to("file"),
    lambda: os.truncate(other / "file", 0),
):
    try:
        print(tried(deed))
    except subprocess.CalledProcessError:
        print("failed")
""")

    assert said[:3] == ["done"] * 3
    assert set(said[3:]) <= {"PermissionError", "failed", "OSError"}
    assert "done" not in said[3:]
    assert sorted(path.name for path in other.iterdir()) == ["file"]
    assert (other / "file").read_text() == "x"


@pytest.mark.slow
def test_what_signs_and_takes_pushes_is_allowed_only_where_reverts_are(tmp_path: Path) -> None:
    """ssh-keygen with a signing key, the repository's folder where it lies on this machine: neither of them else."""
    for signs in (False, True):
        said = _said(f"""
programs = c.fetching(["file"], signatures=False, signs={signs}, path=os.environ["PATH"])
assert c.confine(programs=programs, writes=[]) is None
for name in ("git", "ssh-keygen", "gpgv", "ssh"):
    print(tried(lambda: subprocess.run([name, "--version"], check=False, capture_output=True)))
""")

        assert said == ["done", "done" if signs else "PermissionError", "PermissionError", "PermissionError"]


@pytest.mark.slow
def test_the_reader_starts_git_and_nothing_else() -> None:
    """The reconciler may write, as its datastore needs, and of programs start git alone: no transport, no shell."""
    said = _said("""
assert c.confine(programs=c.reading(os.environ["PATH"]), writes=None) is None
for name in ("git", "ssh", "sh", "ssh-keygen", "gpgv", "/usr/lib/git-core/git-remote-https"):
    print(tried(lambda: subprocess.run([name, "--version"], check=True, capture_output=True)))
print(tried(lambda: Path(os.devnull).write_text("x")))
""")

    assert said[0] == "done"
    assert set(said[1:6]) <= {"PermissionError", "FileNotFoundError"}
    assert said[6] == "done"


@pytest.fixture
def listener() -> Iterator[int]:
    """A port of this machine on which somebody listens."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        door.listen()
        yield door.getsockname()[1]


@pytest.mark.slow
def test_the_webhook_starts_nothing_and_connects_to_nobody(tmp_path: Path, listener: int) -> None:
    """It may write to the FIFO that is there, and make nothing, start nothing and open no connection."""
    os.mkfifo(tmp_path / "fifo")
    said = _said(f"""
assert c.confine(programs=(), writes=(), fills=[Path({str(tmp_path)!r})], connects=False) is None
for deed in (
    lambda: os.close(os.open({str(tmp_path / "fifo")!r}, os.O_RDWR | os.O_NONBLOCK)),
    lambda: Path({str(tmp_path / "new")!r}).write_text("x"),
    lambda: Path({str(tmp_path / "fifo")!r}).unlink(),
    lambda: subprocess.run(["git", "version"]),
    lambda: socket.create_connection(("127.0.0.1", {listener})),
):
    print(tried(deed))
""")

    assert said[0] == "done"
    assert set(said[1:4]) == {"PermissionError"}
    assert said[4] in ("PermissionError", "done")  # Landlock on the network came with Linux 6.7
