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
