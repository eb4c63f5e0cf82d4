"""UIDs, keys and JSON in etcd are the reference's, where the conformance folder is at hand."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from muslin.conversion import etcd_keys
from muslin.conversion.etcd import from_etcd, to_etcd

pytestmark = pytest.mark.conformance


def _rows(name: str) -> Iterator[dict[str, Any]]:
    folder = os.environ.get("MUSLIN_CONFORMANCE")
    if not folder:
        pytest.skip("MUSLIN_CONFORMANCE names no folder")
    for line in (Path(folder) / f"{name}.jsonl").read_text("utf-8").splitlines():
        yield json.loads(line)


def test_what_etcd_keeps_is_read_and_written_as_the_reference_does() -> None:
    """Key and value of every stored object follow from what a client sees, and the other way round."""
    asked, wrong = 0, []
    for row in _rows("stored"):
        if not row["created"]:
            continue
        asked += 1
        shown = {**row["get"], "metadata": {k: v for k, v in row["get"]["metadata"].items() if k != "resourceVersion"}}
        found = from_etcd(row["key"], row["value"])
        assert found is not None
        key, value = found
        if value != shown or etcd_keys.etcd_key(key, value) != row["key"] or to_etcd(key, row["get"]) != row["value"]:
            wrong.append((row["id"], value, to_etcd(key, row["get"])))
    print(f"stored: {asked} rows")

    assert asked
    assert not wrong, wrong[:3]
