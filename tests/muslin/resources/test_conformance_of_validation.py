"""Our verdict on the reference's own example objects. The counts may only grow."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from muslin.errors import BadInput
from muslin.resources import KINDS, dump, load

pytestmark = pytest.mark.conformance

AGREED = {
    "BGPConfiguration": 23,
    "BGPPeer": 35,
    "FelixConfiguration": 71,
    "GlobalNetworkPolicy": 72,
    "GlobalNetworkSet": 2,
    "HostEndpoint": 9,
    "IPPool": 37,
    "NetworkPolicy": 37,
    "NetworkSet": 2,
    "Node": 4,
    "Profile": 2,
    "Tier": 20,
    "WorkloadEndpoint": 23,
}
"""How many verdicts agreed when this was last raised, by kind."""

STORED_ALIKE = 142
"""How many stored objects we gave back exactly as the reference stores them."""


def _rows(*names: str) -> list[dict[str, Any]]:
    folder = os.environ.get("MUSLIN_CONFORMANCE")
    if not folder:
        pytest.skip("MUSLIN_CONFORMANCE names no folder")
    return [
        row
        for name in names
        for line in (Path(folder) / name).read_text(encoding="utf-8").splitlines()
        for row in [json.loads(line)]
        if row["kind"] in KINDS
    ]


def _accepted(obj: Any) -> bool:
    try:
        load(obj)
    except BadInput:
        return False
    return True


def test_verdicts_agree_with_the_reference() -> None:
    """For every kind, at least as many verdicts agree as ever did."""
    rows = [row for row in _rows("validator.jsonl", "crd.jsonl") if row["calicoctl_valid"] is not None]

    asked = Counter(row["kind"] for row in rows)
    agreed = Counter(row["kind"] for row in rows if _accepted(row["resource"]) == row["calicoctl_valid"])
    for kind in sorted(asked):
        print(f"{kind}: {agreed[kind]} of {asked[kind]}")

    assert {kind: agreed[kind] for kind in AGREED if agreed[kind] < AGREED[kind]} == {}


def test_stored_objects_come_back_as_they_were() -> None:
    """Objects as the reference stores them are read, and most are printed exactly alike."""
    values = [row["value"] for row in _rows("stored.jsonl") if row["created"]]

    alike = sum(dump(load(value)) == value for value in values)
    print(f"{alike} of {len(values)} stored objects alike")

    assert alike >= STORED_ALIKE
