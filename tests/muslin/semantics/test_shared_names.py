"""Names that Calico's node agent computes are computed alike, where the conformance folder is at hand by every row."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from muslin.selectors import parse
from muslin.semantics import shared_names as names

ANSWERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "unique_id": lambda a: names.unique_id(a["prefix"], a["content"]),
    "length_limited_id": lambda a: names.length_limited(a["prefix"], a["suffix"], a["max"]),
    "policy_id": lambda a: names.policy_id(a["kind"], a["namespace"], a["name"]),
    "policy_chain": lambda a: names.policy_chain(
        a["kind"], a["namespace"], a["name"], inbound=a["direction"] == "inbound", nft=a["nft"]
    ),
    "profile_chain": lambda a: names.profile_chain(a["profile"], inbound=a["direction"] == "inbound", nft=a["nft"]),
    "endpoint_chain": lambda a: names.endpoint_chain(a["prefix"], a["interface"], nft=a["nft"]),
    "ipset_name": lambda a: {
        "id": parse(a["selector"]).uid,
        "name": names.ip_set_name(parse(a["selector"]).uid, a["ip_version"]),
    },
    "endpoint_status_filename": lambda a: names.endpoint_status_file(a["orchestrator"], a["workload"], a["endpoint"]),
    "vxlan_mac": lambda a: names.vxlan_mac(a["node"], a["ip_version"]),
}
"""The functions of `names.jsonl` that are asked here."""

PANIC = "panic:"
"""Where the reference itself fails, the answer is free."""


def _rows() -> list[dict[str, Any]]:
    folder = os.environ.get("MUSLIN_CONFORMANCE")
    if not folder:
        pytest.skip("MUSLIN_CONFORMANCE names no folder")
    return [json.loads(line) for line in (Path(folder) / "names.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.conformance
def test_every_function_is_asked_somewhere() -> None:
    """No row of the file is left out: what is not asked here, another test names."""
    tests = Path(__file__).parents[2]
    others = [test.read_text(encoding="utf-8") for test in tests.rglob("test_*.py") if test != Path(__file__)]

    missing = {row["fn"] for row in _rows()} - set(ANSWERS)
    assert {function for function in missing if not any(f'"{function}"' in text for text in others)} == set()


@pytest.mark.conformance
@pytest.mark.parametrize("function", ANSWERS)
def test_names_are_the_references(function: str) -> None:
    """Every row gives the reference's result."""
    rows = [row for row in _rows() if row["fn"] == function and not row.get("error", "").startswith(PANIC)]

    wrong = [row["id"] for row in rows if ANSWERS[function](row["args"]) != row["result"]]
    print(f"names.jsonl, {function}: {len(rows) - len(wrong)} of {len(rows)}")

    assert rows
    assert wrong == []


@pytest.mark.parametrize(
    ("suffix", "hashed"),
    [("abc", False), ("abcd", False), ("abcde", True), ("_bc", False), ("_bcd", True), ("üü", False)],
)
def test_long_names_are_hashed(suffix: str, hashed: bool) -> None:
    """A name of twelve octets is kept, unless it could be taken for a shortened one."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(suffix.encode()).digest()).decode()

    assert names.length_limited("cali-fw-", suffix, 12) == f"cali-fw-{f'_{digest[:3]}' if hashed else suffix}"


def test_names_with_no_room_are_refused() -> None:
    """A prefix that fills the room leaves none for a hash."""
    with pytest.raises(ValueError, match="no room"):
        names.length_limited("cali-fw-", "eth0", 9)


def test_files_of_endpoints_are_single_path_segments() -> None:
    """Whatever an endpoint is called, its file is in one folder, and blanks only separate."""
    name = names.endpoint_status_file("k8s", "my-ns/a b?;,ü", "eth0")

    assert name == "k8s my-ns%2Fa%20b%3F%3B%2C%C3%BC eth0"
