"""Clusters as files: the state of every node follows from the resources, as expected/<node>.json says."""

from __future__ import annotations

from pathlib import Path

import pytest

from muslin.resources import load as load_resource
from muslin.resources.node import Node
from muslin.semantics.snapshot import Snapshot
from muslin.yaml import load as read_yaml
from runtime.calc.compute import compute
from tests.support.plain import as_json

_SCENARIOS = sorted(path.parent for path in Path(__file__).parent.glob("*/input"))


@pytest.mark.parametrize("scenario", _SCENARIOS, ids=lambda path: path.name)
def test_states_are_as_expected(scenario: Path, request: pytest.FixtureRequest) -> None:
    """Each node's state, as JSON, equals the expected file; topology.txt says what the cluster is about."""
    snapshot = Snapshot.of(
        load_resource(document.value, document.places, file.name)
        for file in sorted((scenario / "input").glob("*.yaml"))
        for document in read_yaml(file.read_bytes(), file.name)
    )

    for node in snapshot.all(Node):
        actual = as_json(compute(snapshot, node.metadata.name))
        expected = scenario / "expected" / f"{node.metadata.name}.json"
        if request.config.getoption("--update-expected"):
            expected.write_text(actual)
        assert expected.read_text() == actual
