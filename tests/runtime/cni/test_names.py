"""The handle of a sandbox is the one that Calico computes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from runtime.cni.names import handle_of


@pytest.mark.conformance
def test_handle_is_the_reference_s() -> None:
    """A sandbox's IPAM handle has the name that Calico gives it."""
    folder = os.environ.get("MUSLIN_CONFORMANCE")
    if not folder:
        pytest.skip("MUSLIN_CONFORMANCE names no folder")
    lines = (Path(folder) / "names.jsonl").read_text("utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if row["fn"] == "cni_handle"]

    assert rows
    for row in rows:
        assert handle_of(row["args"]["network"], row["args"]["container_id"]) == row["result"], row["id"]
