"""Nothing is left of a lab, in whatever way it ends, and the machine's own network is never touched."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from tests.lab.leftovers import environment, left, machine, processes

_MUSLIN = (sys.executable, "-m", "muslin.cli.main", "lab")
_NOTHING: dict[str, list[str]] = {"processes": [], "files": [], "mounts": []}

pytestmark = [pytest.mark.netns, pytest.mark.slow]


def _start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """A muslin whose output can be read while it runs."""
    unbuffered = {**environment(folder), "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [*_MUSLIN, *arguments], env=unbuffered, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*_MUSLIN, *arguments], env=environment(folder), capture_output=True, text=True, check=False, timeout=60
    )


def _until(stream: IO[str] | None, text: str) -> None:
    assert stream is not None
    for line in stream:
        if line.startswith(text):
            return
    raise AssertionError(f"the demo ended before {text!r}")


def _until_running(folder: Path, program: str, process: subprocess.Popen[str]) -> None:
    """Wait until a process of the lab runs this: a look every 5 ms, as the machine tells nobody of new processes."""
    watch = os.pidfd_open(process.pid)
    try:
        while not any(program in each for each in processes(folder)):
            assert not select.select([watch], [], [], 0.005)[0], f"it ended before {program} ran"
    finally:
        os.close(watch)


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("unshare", signal.SIGINT),
        ("muslin.lab.supervisor", signal.SIGTERM),
        ("muslin.cli.main agent", signal.SIGINT),
        ("1. A cluster", signal.SIGHUP),
        ("3. Pods", signal.SIGINT),
        ("5. Default deny", signal.SIGTERM),
        ("8. Agent", signal.SIGINT),
    ],
)
def test_a_signal_takes_everything_down(moment: str, number: signal.Signals, folder: Path) -> None:
    """Ctrl-C, SIGTERM and a closed terminal end the demo at any moment, in order, and nothing is left."""
    before = machine()
    demo = _start(folder, "demo")
    _until(demo.stdout, moment) if moment[0].isdigit() else _until_running(folder, moment, demo)
    demo.send_signal(number)
    _, errors = demo.communicate(timeout=30)

    assert (demo.returncode, errors.strip()) == (130, "stopped")
    assert left(folder) == _NOTHING
    assert machine() == before


def test_an_impatient_ctrl_c_does_not_stop_the_taking_down(folder: Path) -> None:
    """Whoever presses Ctrl-C again and again gets a machine that is as clean."""
    demo = _start(folder, "demo")
    _until(demo.stdout, "3. Pods")
    watch = os.pidfd_open(demo.pid)
    while not select.select([watch], [], [], 0.02)[0]:
        demo.send_signal(signal.SIGINT)
    os.close(watch)
    demo.communicate()

    assert left(folder) == _NOTHING


@pytest.mark.parametrize("moment", ["muslin.lab.supervisor", "muslin.cli.main agent", "5. Default deny"])
def test_after_a_sigkill_down_cleans_and_up_works(moment: str, folder: Path) -> None:
    """Killed without a chance to tidy up, at any moment: `down` removes what is there, and the next `up` works."""
    before = machine()
    demo = _start(folder, "demo")
    _until(demo.stdout, moment) if moment[0].isdigit() else _until_running(folder, moment, demo)
    demo.kill()
    demo.communicate()
    down = _run(folder, "down")
    after_down = left(folder)
    up = _run(folder, "up", "--nodes", "1")
    again = _run(folder, "down")

    assert (down.returncode, after_down) == (0, _NOTHING)
    assert (up.returncode, up.stderr, again.stdout) == (0, "", "lab lab is down\n")
    assert left(folder) == _NOTHING
    assert machine() == before


def test_up_after_a_sigkill_says_what_is_there(folder: Path) -> None:
    """A demo that was killed leaves a lab that is up; the next demo does not touch it, and says so."""
    demo = _start(folder, "demo")
    _until(demo.stdout, "2. The network")
    demo.kill()
    demo.communicate()
    again = _run(folder, "demo")
    status = _run(folder, "status")
    _run(folder, "down")

    assert (again.returncode, again.stderr.splitlines()[0]) == (2, "error: the lab lab is up already")
    assert status.returncode == 0
    assert left(folder) == _NOTHING


def test_a_step_that_cannot_go_on_leaves_nothing(folder: Path) -> None:
    """The step says what failed, the table is printed, the exit status is 1, and everything is taken down."""
    demo = _start(folder, "demo")
    _until(demo.stdout, "1. A cluster")
    repository = folder / "state" / "muslin" / "lab" / "repository.git"
    repository.rename(repository.with_suffix(".gone"))
    output, errors = demo.communicate(timeout=40)

    assert (demo.returncode, errors) == (1, "")
    assert "git push failed" in output
    assert "FAIL" in output
    assert "muslin lab demo --keep" in output
    assert left(folder) == _NOTHING


def test_a_start_that_fails_leaves_only_its_logs(folder: Path) -> None:
    """Where the lab can't be made the error names the log, which stays; nothing runs."""
    broken = folder / "bin"
    broken.mkdir()
    (broken / "ip").write_text("#!/bin/sh\necho this machine has no bridges >&2\nexit 1\n")
    (broken / "ip").chmod(0o755)
    path = f"{broken}:{os.environ['PATH']}"
    done = subprocess.run(
        [*_MUSLIN, "up"],
        env={**environment(folder), "PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 1
    assert "this machine has no bridges" in done.stderr
    assert processes(folder) == []
    assert _run(folder, "down").returncode == 0
    assert left(folder) == _NOTHING
