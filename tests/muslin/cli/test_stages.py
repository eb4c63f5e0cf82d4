"""A running cluster that must not change at once, as a person sees it: told, shown, checked a stage at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from blueprints.catalogue import BLUEPRINTS
from blueprints.emit import render
from blueprints.facts import load
from blueprints.staged import staged
from muslin.cli.render import write_files
from muslin.yaml import load as read_yaml
from tests.muslin.cli.running import Run

_FACTS = """\
apiVersion: blueprints.muslin/v1alpha1
kind: Cluster
name: grows
nodes:
- {name: node-a, address: 192.0.2.1}
- {name: node-b, address: 192.0.2.2}
- {name: node-c, address: 192.0.2.3}
subnets: [192.0.2.0/24]
networkMTU: 1500
podRange: 10.49.0.0/16
plannedNodes: 60
running: {podRange: 10.48.0.0/16, routeDistribution: node-to-node mesh}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Facts of a cluster that moves to another range and to reflectors."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cluster.yaml").write_text(_FACTS)
    return tmp_path


def test_explain_tells_what_happens_in_stages(run: Run, folder: Path) -> None:
    """Below the decisions, and in full by name, numbered over all procedures."""
    told = run("explain", folder / "cluster.yaml")
    one = run("explain", folder / "cluster.yaml", "--why", "mesh to reflectors")

    assert told.status == one.status == 0
    assert "Not at once, but in 4 stages: pool 10.48.0.0/16 to 10.49.0.0/16" in told.out
    assert "Not at once, but in 4 stages: mesh to reflectors" in told.out
    assert "### 5. Set the reflectors aside" in one.out
    assert "- every node but node-a, node-b has an Established session with each of node-a, node-b" in one.out


def test_the_files_of_every_stage_pass_the_check(run: Run, folder: Path) -> None:
    """What is pushed in a stage is as decided; what no stage has is told."""
    document = read_yaml(_FACTS.encode(), "cluster.yaml")[0]
    blueprint = BLUEPRINTS["route_reflectors"](load(document.value), None, None)
    files: list[int] = []
    for number in range(1, 9):
        texts = dict(render(staged(blueprint, number)))
        files.append(len(write_files(folder, texts)))
        assert run("check", folder, "--strict").status == 0
    pools = folder / "network" / "ip-pools.yaml"
    pools.write_text(pools.read_text().replace("natOutgoing: true", "natOutgoing: false"))

    assert files == [4, 4, 4, 4, 4, 5, 6, 6]
    assert run("check", folder, "--strict").status == 2


def test_render_writes_a_stage_at_a_time(run: Run, folder: Path) -> None:
    """Nothing that may be pushed is written at once; shown it is, with a warning; each stage is what is meant."""
    at_once = run("render", folder / "cluster.yaml", "--out", folder)
    shown = run("render", folder / "cluster.yaml")
    third = run("render", folder / "cluster.yaml", "--stage", "2", "--out", folder)

    assert (at_once.status, "--stage 1, push, and so on to --stage 8" in at_once.err) == (2, True)
    assert (shown.status, "warning: do not push this at once (pool" in shown.err) == (0, True)
    assert (third.status, "disabled: true" in (folder / "network" / "ip-pools.yaml").read_text()) == (0, True)


@pytest.mark.parametrize(("stage", "what"), [("0", "there is no stage 0"), ("9", "1 to 8"), ("x", "not a valid int")])
def test_stages_that_are_not_there(run: Run, folder: Path, stage: str, what: str) -> None:
    """Are refused with those that are."""
    ran = run("render", folder / "cluster.yaml", "--stage", stage)

    assert (ran.status, what in ran.err) == (2, True)


def test_files_that_are_not_written_any_more_are_told(run: Run, folder: Path) -> None:
    """From reflectors back to a mesh: the files of peers and nodes would stay in force."""
    for name in ("bgp-peers", "nodes"):
        (folder / "network").mkdir(exist_ok=True)
        (folder / "network" / f"{name}.yaml").write_text("")
    plain = _FACTS[: _FACTS.index("plannedNodes")]
    (folder / "cluster.yaml").write_text(plain)
    ran = run("render", folder / "cluster.yaml", "--out", folder)
    none = run("render", folder / "cluster.yaml", "--stage", "1")

    assert (ran.status, ran.err.count("is not written any more; git rm it")) == (0, 2)
    assert (none.status, "nothing that runs has to change in stages" in none.err) == (2, True)
