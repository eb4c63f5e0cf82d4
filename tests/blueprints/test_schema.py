"""The schema for editors says of the facts what the model says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from blueprints.facts import load
from blueprints.schema import facts_schema
from muslin.errors import BadInput
from muslin.yaml import load as read_yaml
from tests.muslin.resources.json_schema_reader import complaints

_ROOT = Path(__file__).parents[2]
_EXAMPLE = _ROOT / "docs" / "cluster.yaml"


def _example() -> dict[str, Any]:
    (document,) = read_yaml(_EXAMPLE.read_bytes(), "cluster.yaml")
    value: dict[str, Any] = json.loads(json.dumps(document.value))
    return value


@pytest.mark.parametrize(
    ("changed", "right"),
    [
        ({}, True),
        ({"subnets": [{"cidr": "192.0.2.0/24", "mtu": 9000}]}, True),
        ({"provider": "bare-metall"}, False),
        ({"networkMTU": "1500"}, False),
        ({"networkMTU": 100}, False),
        ({"network": {"bpg": True}}, False),
        ({"podsPerNode": 0}, False),
        ({"overrides": [{"decision": "MTU", "chosen": "1400"}]}, False),
        ({"subnets": [{"mtu": 9000}]}, False),
    ],
)
def test_an_editor_marks_what_the_model_refuses(changed: dict[str, Any], *, right: bool) -> None:
    """And nothing that it takes."""
    document = {**_example(), **changed}
    try:
        load(document)
        taken = True
    except BadInput:
        taken = False

    assert taken is right
    assert (complaints(facts_schema(), document) == []) is right


def test_every_fact_is_explained() -> None:
    """An editor can tell what each field means."""
    silent = [name for name, field in facts_schema()["properties"].items() if not field.get("description")]

    assert silent == []
