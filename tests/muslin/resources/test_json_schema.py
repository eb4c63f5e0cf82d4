"""An editor with our JSON Schema marks what is mistaken, and nothing that our models take."""

from __future__ import annotations

from typing import Any

import pytest

from muslin.resources.crd_kinds import CUSTOM_KINDS
from muslin.resources.json_schema import json_schema
from muslin.resources.registry import KINDS
from tests.engines.verdicts import CASES, RULES
from tests.muslin.resources.json_schema_reader import complaints

_ALL = json_schema()


_OVER_FIELDS = {
    "a prefix with host bits",
    "global() in quotes",
    "a version of IP that not ICMP is of",
    "an IPv4 prefix inside of IPv6",
    "a length with a zero before it",
}
"""What the API server refuses by a rule of CEL."""


@pytest.mark.parametrize("kind", CUSTOM_KINDS)
def test_the_editors_verdict(kind: str) -> None:
    """What models take is unmarked; a field that both models and API server refuse is marked."""
    marked = {case.what: complaints(_ALL, case.obj) for case in CASES if case.kind == kind}
    taken = [case.what for case in CASES if case.kind == kind and case.models_accept]
    refused = [
        case.what
        for case in CASES
        if case.kind == kind and not case.server_accepts and case.what not in {*RULES, *_OVER_FIELDS}
    ]

    assert [marked[what] for what in taken] == [[]] * len(taken)
    assert [what for what in refused if not marked[what]] == []


def test_an_unknown_kind_and_version_are_marked() -> None:
    """A mistyped kind is marked at once."""
    metadata: dict[str, Any] = {"name": "a"}

    assert complaints(_ALL, {"apiVersion": "projectcalico.org/v3", "kind": "IPPol", "metadata": metadata}) != []
    assert complaints(_ALL, {"apiVersion": "crd.projectcalico.org/v1", "kind": "Tier", "metadata": metadata}) != []


@pytest.mark.parametrize("kind", KINDS)
def test_a_schema_of_one_kind_is_whole(kind: str) -> None:
    """Each kind, also one without a definition for Kubernetes, has a schema of its own, with explanations."""
    schema = json_schema([kind])

    assert schema["properties"]["kind"] == {"enum": [kind]}
    assert set(schema["definitions"]) == {kind}
    assert schema["definitions"][kind]["description"]
