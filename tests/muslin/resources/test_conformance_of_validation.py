"""Every verdict and every stored object of the reference's own examples is ours."""

from __future__ import annotations

import copy
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from muslin.errors import BadInput
from muslin.resources import KINDS, Key, as_stored, dump, load, refused_write, required_keys
from muslin.resources.guards import BUILT_IN_TIERS

pytestmark = pytest.mark.conformance

OTHERWISE: dict[str, str] = {}
"""Rows that we judge otherwise on purpose: id, and why."""

IN_STORE = {Key("ClusterInformation", "default"), *(Key("Tier", name) for name in BUILT_IN_TIERS)}
"""What the reference's store held before each row: a create must not meet it, and may refer to it."""

_BY_STORE = ("uid", "creationTimestamp", "resourceVersion")


def _rows(name: str) -> list[dict[str, Any]]:
    folder = os.environ.get("MUSLIN_CONFORMANCE")
    if not folder:
        pytest.skip("MUSLIN_CONFORMANCE names no folder")
    lines = (Path(folder) / name).read_text(encoding="utf-8").splitlines()
    return [row for row in map(json.loads, lines) if row["id"] not in OTHERWISE]


def _accepted(obj: Any) -> bool:
    try:
        resource = load(obj)
    except BadInput:
        return False
    return not refused_write(resource)


@pytest.mark.parametrize("name", ["validator.jsonl", "crd.jsonl"])
def test_verdicts_are_the_references(name: str) -> None:
    """What calicoctl accepts we accept, what it refuses we refuse; where it has no verdict, the table's counts."""
    rows = _rows(name)
    wanted = {row["id"]: row["valid"] if row["calicoctl_valid"] is None else row["calicoctl_valid"] for row in rows}

    asked = Counter(row["kind"] for row in rows)
    differing = [row["id"] for row in rows if _accepted(row["resource"]) != wanted[row["id"]]]
    print(f"{name}: {len(rows) - len(differing)} of {len(rows)}: {dict(sorted(asked.items()))}")

    assert rows
    assert differing == []


def _as_created(row: dict[str, Any]) -> dict[str, Any] | None:
    """What we would store for a row's object, None if that is refused; the namespace is `default` as with calicoctl."""
    obj = copy.deepcopy(row["resource"])
    if KINDS[row["kind"]].namespaced:
        obj["metadata"].setdefault("namespace", "default")
    try:
        resource = load(obj)
        stored = as_stored(resource)
    except BadInput:
        return None
    return stored if resource.key not in IN_STORE and IN_STORE.issuperset(required_keys(resource)) else None


def _without_bookkeeping(obj: dict[str, Any]) -> dict[str, Any]:
    metadata = {name: value for name, value in obj["metadata"].items() if name not in _BY_STORE}
    return obj | {"metadata": metadata}


def test_objects_are_stored_as_the_reference_stores_them() -> None:
    """A create is refused where the reference refuses it, and stores the same content with the same defaults."""
    rows = _rows("stored.jsonl")
    differing = []
    for row in rows:
        made = _as_created(row)
        wanted = _without_bookkeeping(row["get"]) if row["created"] else None
        if made != wanted:
            differing.append(row["id"])
    print(f"stored.jsonl: {len(rows) - len(differing)} of {len(rows)}")

    assert rows
    assert differing == []


def test_stored_objects_come_back_as_they_were() -> None:
    """Objects as the reference stores them are read, and printed exactly alike."""
    values = [row["value"] for row in _rows("stored.jsonl") if row["created"]]

    alike = [dump(load(value)) == value for value in values]
    print(f"stored.jsonl: {sum(alike)} of {len(values)} values come back alike")

    assert all(alike)
