"""The demo: every step of it is a test here, and so is the command as a user runs it."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from muslin.datastore.embedded import EmbeddedDatastore
from muslin.lab import verbs
from muslin.lab.demo.check import Check
from muslin.lab.demo.cluster import Cluster
from muslin.lab.demo.repository import Clone
from muslin.lab.demo.stage import Demo, Step
from muslin.lab.demo.steps import STEPS
from muslin.lab.topology import Topology
from tests.lab.leftovers import environment, left, machine
from tests.lab.probe_gates import a_push_that_cuts_a_probe

pytestmark = [pytest.mark.netns, pytest.mark.slow]

_T = TypeVar("_T")
_ROOT = Path(__file__).parents[2]
_NOBODY = 65534
_NOTHING: dict[str, list[str]] = {"processes": [], "files": [], "mounts": []}


class _Stage:
    """One lab for all steps; a step that did not hold stops those after it."""

    def __init__(self, runner: asyncio.Runner, demo: Demo) -> None:
        self._runner, self._demo = runner, demo
        self.failed: str | None = None

    def run(self, step: Step) -> Sequence[Check]:
        """What the step checked."""
        return self.told(step.run)

    def told(self, scenario: Callable[[Demo], Awaitable[_T]]) -> _T:
        """What a scenario in this lab gives."""

        async def given() -> _T:
            return await scenario(self._demo)

        return self._runner.run(given())


@pytest.fixture(scope="module")
def stage(possible: None) -> Iterator[_Stage]:
    """A lab that is up, and taken down after the last step."""
    folder = Path(tempfile.mkdtemp(prefix="lab"))
    with pytest.MonkeyPatch.context() as patch, asyncio.Runner() as runner:
        patch.setenv("XDG_STATE_HOME", str(folder))
        topology = Topology.of(3, name="steps")
        state = verbs.up(topology)
        store = EmbeddedDatastore.open(state.datastore)
        try:
            cluster = Cluster(store, [node.name for node in topology.nodes])
            clone = Clone(state.path / "work", state.repository)
            yield _Stage(runner, Demo(topology, state, cluster, clone, print, print))
        finally:
            runner.run(store.close())
            verbs.down("steps")
            shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("step", STEPS, ids=[f"{n}-{step.run.__name__}" for n, step in enumerate(STEPS, start=1)])
def test_step(step: Step, stage: _Stage) -> None:
    """Everything that the step checks holds."""
    if stage.failed is not None:
        pytest.skip(f"a step before did not hold: {stage.failed}")
    stage.failed = step.title
    checks = stage.run(step)

    assert [check for check in checks if not check.held] == []
    assert checks
    stage.failed = None


def test_a_push_that_cuts_what_a_probe_needs_is_taken_back(stage: _Stage) -> None:
    """Real agents ask from inside real pods: good is believed, bad goes back, and status says which probe and why."""
    if stage.failed is not None:
        pytest.skip(f"a step before did not hold: {stage.failed}")
    found = stage.told(a_push_that_cuts_a_probe)

    assert (found["good"], found["reason"], found["served"]) == (101, "RolledBack", 0)
    why = re.compile(r"probe clients-are-served: demo/client to \S+ over TCP 7: no answer; it must answer")
    for verb in ("status", "status --why", "history"):
        assert why.search(" ".join(found[verb].split())), found[verb]


def _demo(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "muslin.cli.main", "lab", "demo", *arguments],
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )


def _failed(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What did not hold, with its figures."""
    return [line for line in done.stdout.splitlines() if "FAIL" in line or "wanted:" in line]


def test_the_command_holds_all_and_leaves_nothing(folder: Path) -> None:
    """Exit status 0, eight steps and the table in under a minute, no control codes in a pipe; then nothing is left."""
    before, began = machine(), time.monotonic()
    done = _demo(folder)
    took = time.monotonic() - began

    assert _failed(done) == [], done.stdout
    assert (done.returncode, done.stderr) == (0, "")
    assert took < 60
    assert "\x1b" not in done.stdout
    assert "[bold]" not in done.stdout
    titles = re.findall(r"^(\d)\. (.*)$", done.stdout, re.MULTILINE)
    assert titles == [*((str(n), step.title) for n, step in enumerate(STEPS, start=1)), ("9", "What was checked")]
    told = re.findall(r"^  ok   ", done.stdout, re.MULTILINE)
    rows = re.findall(r"^ \d .* ok$", done.stdout, re.MULTILINE)
    assert len(told) == len(rows) > 15
    assert f"{len(rows)} of {len(rows)} held" in done.stdout.splitlines()[-1]
    assert left(folder) == _NOTHING
    assert machine() == before


def test_keep_leaves_it_up_and_says_what_to_try(folder: Path) -> None:
    """With --keep each command that is printed works; `down` then takes everything down."""
    done = _demo(folder, "--keep", "--name", "kept")
    tries = [
        part.strip()
        for line in done.stdout.partition("Try next:")[2].splitlines()
        for part in re.split(r"\s{3,}", line.strip().partition("  #")[0])
        if part.strip()
    ]
    script = "\n".join(
        f"echo '$ {each}'; {each.replace('shell --name kept', 'status --name kept #')} || exit 1" for each in tries
    )
    wrapper = folder / "bin"
    wrapper.mkdir()
    (wrapper / "muslin").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m muslin.cli.main "$@"\n')
    (wrapper / "muslin").chmod(0o755)
    tried = subprocess.run(
        ["sh", "-c", script],
        env={**environment(folder), "PATH": f"{wrapper}:{os.environ['PATH']}"},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert _failed(done) == [], done.stdout
    assert done.returncode == 0
    assert (tried.returncode, tried.stdout.splitlines()[-1]) == (0, "lab kept is down"), tried.stdout + tried.stderr
    assert len(tries) >= 8
    assert left(folder) == _NOTHING


def test_a_terminal_shows_everything(folder: Path) -> None:
    """On a real terminal of 80 columns progress moves, no line is wider, and nothing is cut off."""
    if shutil.which("script") is None:
        pytest.skip("script is missing: apt-get install bsdutils")
    command = f"stty cols 80 rows 40; exec {shlex.quote(sys.executable)} -m muslin.cli.main lab demo"
    done = subprocess.run(
        ["script", "--quiet", "--return", "--echo", "never", "--command", command, str(folder / "typescript")],
        env={**environment(folder), "TERM": "xterm-256color", "COLUMNS": "", "LINES": ""},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )
    lines = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line) for line in re.split(r"[\r\n]+", done.stdout)]
    shown = [line.rstrip() for line in lines if not re.match(r"^[\u2800-\u28ff] ", line)]

    assert _failed(done) == [], done.stdout
    assert done.returncode == 0
    assert len(lines) - len(shown) > 10
    assert [line for line in shown if len(line) > 80] == []
    assert [line for line in shown if "\u2026" in line] == []
    held = sum(line.startswith("  ok   ") for line in shown)
    assert f"{held} of {held} held" in done.stdout


def test_an_ordinary_user_sees_the_same(folder: Path) -> None:
    """The whole demo needs no root."""
    if os.geteuid() != 0:
        pytest.skip("the test runner is an ordinary user itself: the other tests are this one")
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv is missing: apt-get install util-linux")
    packages = os.pathsep.join([str(_ROOT), sysconfig.get_path("purelib")])
    become = ["setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"]
    variables = {**environment(folder), "PYTHONPATH": packages, "PYTHONDONTWRITEBYTECODE": "1"}
    for path in (folder, *folder.iterdir()):
        os.chown(path, _NOBODY, _NOBODY)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, f"/usr/bin/python{version}"):
        trial = [*become, "sh", "-c", f"exec {shlex.quote(python)} -c 'import muslin.lab.verbs'"]
        if subprocess.run(trial, cwd="/", env=variables, capture_output=True, check=False).returncode == 0:
            break
    else:
        pytest.skip(f"an ordinary user can start neither {sys.executable} nor /usr/bin/python{version}")
    done = subprocess.run(
        [*become, "sh", "-c", f"exec {shlex.quote(python)} -m muslin.cli.main lab demo"],
        cwd="/",
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )

    assert _failed(done) == [], done.stdout
    assert (done.returncode, done.stderr) == (0, "")
    assert left(folder) == _NOTHING
