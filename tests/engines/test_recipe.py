"""`scripts/engines/build.sh` builds what is missing, once, and says why where it can't."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

_SOURCE = Path(__file__).parents[2] / "scripts" / "engines"
_TOOLS = ("sh", "dirname", "sed", "head", "cat", "cksum", "sort", "mv", "mkdir", "nice", "chmod")
_GO = """#!/bin/sh
echo "$@" >>"$CALLS"
case $1 in
    env) echo go@VERSION@ ;;
    build) while [ "$1" != -o ]; do shift; done; echo '#!/bin/sh' >"$2"; chmod +x "$2" ;;
esac
"""

Recipe: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    """Runs the script in a checkout of its own, with a Go of this version or none."""
    checkout, tools = tmp_path / "checkout" / "scripts" / "engines", tmp_path / "tools"
    checkout.mkdir(parents=True)
    tools.mkdir()
    for name in ("build.sh", "go.mod", "go.sum"):
        shutil.copy(_SOURCE / name, checkout)
    for tool in _TOOLS:
        found = shutil.which(tool)
        assert found is not None
        (tools / tool).symlink_to(found)

    def run(*arguments: str, go: str | None, engines: Path | None = None) -> subprocess.CompletedProcess[str]:
        fake = tools / "go"
        fake.unlink(missing_ok=True)
        if go is not None:
            fake.write_text(_GO.replace("@VERSION@", go))
            fake.chmod(0o755)
        environment = {"PATH": str(tools), "CALLS": str(tmp_path / "calls")}
        if engines is not None:
            environment["MUSLIN_ENGINES"] = str(engines)
        script = str(checkout / "build.sh")
        return subprocess.run([script, *arguments], env=environment, capture_output=True, text=True, check=False)

    return run


def _calls(tmp_path: Path) -> list[str]:
    calls = tmp_path / "calls"
    return [line.split()[0] for line in calls.read_text().splitlines()] if calls.exists() else []


@pytest.mark.parametrize(("go", "reason"), [(None, "there is no Go on PATH"), ("1.25.9", "Go 1.25.9 is too old")])
def test_without_a_fitting_go_nothing_is_built_and_the_reason_told(
    recipe: Recipe, tmp_path: Path, go: str | None, reason: str
) -> None:
    """The reason is told by the build, which fails, and by the status, which doesn't."""
    built, status = recipe(go=go), recipe("--status", go=go)

    assert (built.returncode, status.returncode) == (1, 0)
    assert reason in built.stderr
    assert status.stdout.count("missing") == 3
    assert "build" not in _calls(tmp_path)


@pytest.mark.parametrize("go", ["1.26", "1.26.8", "1.30rc1"])
def test_each_program_is_built_once(recipe: Recipe, tmp_path: Path, go: str) -> None:
    """The second run asks Go for nothing; both are executable, and nothing else is left in the folder."""
    first = recipe(go=go)
    calls = _calls(tmp_path)
    second = recipe(go=None)
    folder = tmp_path / "checkout" / "build" / "engines"

    assert (first.returncode, second.returncode) == (0, 0), first.stderr
    assert calls.count("build") == 2
    assert _calls(tmp_path) == calls
    assert sorted(path.name for path in folder.iterdir()) == [
        "etcd",
        "etcd.pins",
        "kube-apiserver",
        "kube-apiserver.pins",
    ]
    assert os.access(folder / "etcd", os.X_OK)


def test_other_pins_are_built_anew(recipe: Recipe, tmp_path: Path) -> None:
    """A changed go.sum makes both again; until then the status says that they are of other pins."""
    recipe(go="1.26.8")
    with (tmp_path / "checkout" / "scripts" / "engines" / "go.sum").open("a") as sums:
        sums.write("example.org/another v1.0.0 h1:AAAA=\n")
    status = recipe("--status", go="1.26.8").stdout
    recipe(go="1.26.8")

    assert status.count("other pins") == 2
    assert _calls(tmp_path).count("build") == 4


def test_given_programs_are_told(recipe: Recipe, tmp_path: Path) -> None:
    """Those of MUSLIN_ENGINES count, packed or not."""
    given = tmp_path / "given"
    given.mkdir()
    (given / "kube-apiserver.xz").touch()
    told = recipe("--status", go=None, engines=given).stdout

    assert f"kube-apiserver: in MUSLIN_ENGINES, {given}" in told
    assert "etcd: missing" in told


def test_kubectl_is_built_only_where_it_is_asked_for(recipe: Recipe, tmp_path: Path) -> None:
    """Nobody needs it but benches; asked for, it is built once, beside the others."""
    recipe(go="1.26")
    folder = tmp_path / "checkout" / "build" / "engines"
    assert not (folder / "kubectl").exists()

    first = recipe("kubectl", go="1.26")
    calls = _calls(tmp_path)
    second = recipe("kubectl", go=None)

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert (folder / "kubectl").exists()
    assert _calls(tmp_path) == calls
