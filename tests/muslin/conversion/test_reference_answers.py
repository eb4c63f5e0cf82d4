"""UIDs, keys and JSON in etcd are the reference's, where the conformance folder is at hand."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from muslin.conversion import etcd_keys
from muslin.conversion.etcd import from_etcd, to_etcd
from muslin.conversion.uids import convert_uid
from muslin.resources.keys import Key

pytestmark = pytest.mark.conformance


def _rows(name: str) -> Iterator[dict[str, Any]]:
    folder = os.environ.get("MUSLIN_CONFORMANCE")
    if not folder:
        pytest.skip("MUSLIN_CONFORMANCE names no folder")
    for line in (Path(folder) / f"{name}.jsonl").read_text("utf-8").splitlines():
        yield json.loads(line)


ETCD_KEYS: dict[str, Callable[[dict[str, Any]], str]] = {
    "ipam-block": lambda a: etcd_keys.block_path(ip_network(a["cidr"])),
    "ipam-block-affinity": lambda a: etcd_keys.affinity_path(a["type"], a["host"], ip_network(a["cidr"])),
    "ipam-handle": lambda a: etcd_keys.handle_path(a["handle_id"]),
    "ipam-host": lambda a: etcd_keys.ipam_host_path(a["host"]),
    "ipam-config": lambda _: etcd_keys.etcd_key(Key("IPAMConfiguration", "default"), {}),
    "felix-host-endpoint": lambda a: etcd_keys.host_endpoint_path(a["host"], a["endpoint"]),
    "felix-workload-endpoint": lambda a: etcd_keys.workload_endpoint_path(
        a["host"], a["orchestrator"], a["workload"], a["endpoint"]
    ),
}


def _etcd_key(args: dict[str, Any]) -> str:
    if args["kind"] in ETCD_KEYS:
        return ETCD_KEYS[args["kind"]](args)
    return etcd_keys.etcd_key(Key(args["kind"], args["name"], args.get("namespace") or None), {})


ANSWERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "convert_uid": lambda args: convert_uid(args["uid"]),
    "etcd_key": _etcd_key,
}


@pytest.mark.parametrize("function", ANSWERS)
def test_names_are_the_reference_s(function: str) -> None:
    """Every row gives the reference's result, or is refused where the reference refuses it."""
    asked, wrong = 0, []
    for row in _rows("names"):
        if row["fn"] != function:
            continue
        asked += 1
        try:
            found = ANSWERS[function](row["args"])
        except ValueError as error:
            found = None if "error" in row else error
        if found != row.get("result"):
            wrong.append((row["id"], row["args"], row.get("result"), found))
    print(f"{function}: {asked} rows")

    assert asked
    assert not wrong, wrong[:5]


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
