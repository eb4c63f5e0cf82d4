"""What is installed for realistic clusters, to be read as a diff when it changes; and that the reasons stand in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from blueprints.fact_parts import DatastoreWish
from blueprints.upstream import manifests, operator
from tests.blueprints.upstream.networks import NETWORKS, decided

_FOLDER = Path(__file__).parent / "golden"
_WITH_TYPHA = ("several-subnets-60-nodes", "separate-etcd-60-nodes")
"""Those whose Typha is shown whole: of the others only its number differs."""
_NAMES = (
    "single-subnet", "several-subnets-60-nodes", "vxlan-on-azure", "both-families", "ipv6-alone",
    "separate-etcd-60-nodes",
)  # fmt: skip


def _texts(name: str) -> dict[str, str]:
    network = decided(name)
    by_operator = operator.files(network) if network.datastore is DatastoreWish.KUBERNETES else {}
    return {**by_operator, **manifests.files(network)}


def _shown(name: str) -> str:
    shown = []
    for path, text in _texts(name).items():
        if path.endswith("typha.yaml") and name not in _WITH_TYPHA:
            continue
        if path.startswith("operator/") and "1-installation" not in path and name != "single-subnet":
            continue
        lines = [line for line in text.splitlines() if not line.strip().startswith("#")]
        shown.append("\n".join([f"---- {path}", *lines, ""]))
    return "\n".join(shown)


@pytest.mark.parametrize("name", _NAMES)
def test_what_is_installed_is_as_it_was_read(name: str, request: pytest.FixtureRequest) -> None:
    """Byte for byte, without comments, which follow the decisions' words."""
    expected = _FOLDER / f"{name}.txt"
    if request.config.getoption("--update-expected", default=False):
        expected.parent.mkdir(exist_ok=True)
        expected.write_text(_shown(name))

    assert expected.read_text() == _shown(name)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_decisions_stand_above_what_they_cause(name: str) -> None:
    """In both ways, with their answers: whoever reads the file reads why."""
    network, texts = decided(name), _texts(name)
    asked = ["backend", "MTU", "datastore", "fan-out"]
    asked += ["encapsulation"] if 4 in network.facts.families else ["encapsulation IPv6"]
    asked += ["fan-out replicas"] if network.typha_replicas else []
    for way in ("operator", "manifests") if network.datastore is DatastoreWish.KUBERNETES else ("manifests",):
        text = " ".join(
            line.strip().removeprefix("#").strip()
            for path, held in texts.items()
            if path.startswith(way)
            for line in held.splitlines()
        )
        for each in asked:
            decision = network.decision(each)
            assert decision is not None
            assert f"{each}: {decision.chosen}. {decision.rule[:1].upper()}{decision.rule[1:20]}" in text
