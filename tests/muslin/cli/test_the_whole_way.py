"""From facts to objects, for each realistic cluster: explain, render, check, push; as a person types it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from blueprints.catalogue import decide
from blueprints.facts import load
from blueprints.staged import stages_of
from muslin.resources.base import Resource
from muslin.yaml import load as read_yaml
from tests.muslin.cli.running import Cluster, Run

pytestmark = pytest.mark.slow

_GOLDEN = Path(__file__).parents[2] / "blueprints" / "golden"
_CLUSTERS = sorted(path.name for path in _GOLDEN.iterdir())


def _pushed(folder: Path) -> dict[str, str]:
    """What git would take of a folder that a person made."""
    listed = subprocess.run(
        ["git", "ls-files", "--others"], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    return {path: (folder / path).read_text("utf-8") for path in listed}


def _shown(run: Run, resource: Resource) -> list[dict[str, Any]]:
    """Every object of a kind, as `get` shows it."""
    everywhere = ["-A"] if resource.NAMESPACED else []
    ran = run("get", resource.kind.lower(), *everywhere, "-o", "json")
    assert ran.status == 0, ran.err
    found: dict[str, Any] = json.loads(ran.out)
    return list(found["items"])


@pytest.mark.parametrize("name", _CLUSTERS)
def test_facts_become_objects(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Every verb says yes, and after the push everything that is decided is in the datastore, a stage at a time."""
    work, cluster = tmp_path / "work", Cluster(tmp_path)
    work.mkdir()
    monkeypatch.chdir(work)
    subprocess.run(["git", "init", "--quiet"], check=True)
    text = (_GOLDEN / name / "cluster.yaml").read_text("utf-8")
    Path("cluster.yaml").write_text(text, "utf-8")
    decided = decide(load(read_yaml(text, "cluster.yaml")[0].value))
    stages = [["--stage", str(number)] for number in range(1, len(stages_of(decided)) + 1)] or [[]]
    statuses = [run("explain", "cluster.yaml").status]
    for stage in stages:
        statuses.append(run("render", "cluster.yaml", *stage, "--out", ".").status)
        statuses.append(run("check", "--strict").status)
        cluster.push(_pushed(work))
    monkeypatch.setenv("MUSLIN_DATASTORE", str(cluster.file))
    got = {
        (each["kind"], each["metadata"]["name"])
        for resource in {each.kind: each for each in decided.resources}.values()
        for each in _shown(run, resource)
    }

    declared = {(each.kind, each.metadata.name) for each in decided.resources}
    told = run("status").out
    assert set(statuses) == {0}
    assert declared <= got
    assert all(f"blocked {kind} {pool} (NotConfirmed)" in told for kind, pool in got - declared if kind == "IPPool")
