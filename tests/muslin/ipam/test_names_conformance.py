"""Names and handles as the reference computes them, where the conformance folder is at hand."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from muslin.ipam import names

ANSWERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "ipam_block_name": lambda a: {"cidr": a["cidr"], "name": names.block_name(ip_network(a["cidr"]))},
    "ipam_handle_name": lambda a: names.handle_name(a["handle_id"]),
    "block_affinity_name": lambda a: names.affinity_name(a["host"], ip_network(a["cidr"])),
    "block_affinity_labels": lambda a: names.affinity_labels(a["host"], ip_network(a["cidr"]), a["type"]),
    "cni_handle": lambda a: names.cni_handle(a["network"], a["container_id"]),
    "vm_handle": lambda a: names.vm_handle(a["namespace"], a["vm"], a["network"]),
    "tunnel_handle": lambda a: {
        "handle": names.tunnel_handle(a["type"], a["node"]),
        "attributes": names.tunnel_attributes(a["type"], a["node"]),
    },
}


@pytest.mark.conformance
def test_names_are_the_references() -> None:
    """Every row about IPAM's names gives the reference's result."""
    folder = os.environ.get("MUSLIN_CONFORMANCE")
    if not folder:
        pytest.skip("MUSLIN_CONFORMANCE names no folder")
    asked: Counter[str] = Counter()
    wrong = []
    for line in (Path(folder) / "names.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row["fn"] not in ANSWERS or "error" in row:
            continue
        asked[row["fn"]] += 1
        expected = row["result"]
        if row["fn"] == "block_affinity_name":
            expected = expected["name"]
        found = ANSWERS[row["fn"]](row["args"])
        if found != expected:
            wrong.append((row["id"], row["args"], expected, found))
    print(dict(asked))

    assert not wrong, wrong[:5]
    assert set(asked) == set(ANSWERS)
