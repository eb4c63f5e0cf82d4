"""Names and keys that two implementations must compute alike: every row of `names.jsonl`, in one place."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from muslin.conversion import etcd_keys
from muslin.conversion.endpoint_name import EndpointName, interface_of
from muslin.conversion.uids import convert_uid
from muslin.ipam import names as ipam
from muslin.resources.keys import Key
from muslin.selectors import parse
from muslin.semantics import shared_names as names

_PANIC = "panic:"
"""Where the reference itself fails, the answer is free."""
_PARTS = ("node", "orchestrator", "pod", "endpoint", "container_id", "workload")

_PATHS: dict[str, Callable[[dict[str, Any]], str]] = {
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
    if args["kind"] in _PATHS:
        return _PATHS[args["kind"]](args)
    return etcd_keys.etcd_key(Key(args["kind"], args["name"], args.get("namespace") or None), {})


def _named(args: dict[str, Any], name: str) -> dict[str, Any]:
    return {**args, "cidr": str(ip_network(args["cidr"])), "name": name}


def _parsed(args: dict[str, Any]) -> dict[str, str]:
    found = EndpointName.parse(args["name"])
    return {part: getattr(found, part) for part in _PARTS}


_ANSWERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "block_affinity_labels": lambda a: ipam.affinity_labels(a["host"], ip_network(a["cidr"]), a["type"]),
    "block_affinity_name": lambda a: _named(a, ipam.affinity_name(a["host"], ip_network(a["cidr"]))),
    "cni_handle": lambda a: ipam.cni_handle(a["network"], a["container_id"]),
    "convert_uid": lambda a: convert_uid(a["uid"]),
    "endpoint_chain": lambda a: names.endpoint_chain(a["prefix"], a["interface"], nft=a["nft"]),
    "endpoint_status_filename": lambda a: names.endpoint_status_file(a["orchestrator"], a["workload"], a["endpoint"]),
    "etcd_key": _etcd_key,
    "ipam_block_name": lambda a: _named(a, ipam.block_name(ip_network(a["cidr"]))),
    "ipam_handle_name": lambda a: ipam.handle_name(a["handle_id"]),
    "ipset_name": lambda a: {
        "id": parse(a["selector"]).uid,
        "name": names.ip_set_name(parse(a["selector"]).uid, a["ip_version"]),
    },
    "length_limited_id": lambda a: names.length_limited(a["prefix"], a["suffix"], a["max"]),
    "policy_chain": lambda a: names.policy_chain(
        a["kind"], a["namespace"], a["name"], inbound=a["direction"] == "inbound", nft=a["nft"]
    ),
    "policy_id": lambda a: names.policy_id(a["kind"], a["namespace"], a["name"]),
    "profile_chain": lambda a: names.profile_chain(a["profile"], inbound=a["direction"] == "inbound", nft=a["nft"]),
    "tunnel_handle": lambda a: {
        "handle": ipam.tunnel_handle(a["type"], a["node"]),
        "attributes": ipam.tunnel_attributes(a["type"], a["node"]),
    },
    "unique_id": lambda a: names.unique_id(a["prefix"], a["content"]),
    "veth_name": lambda a: interface_of(a["namespace"], a["pod"], a["FELIX_INTERFACEPREFIX"]),
    "vm_handle": lambda a: ipam.vm_handle(a["namespace"], a["vm"], a["network"]),
    "vxlan_mac": lambda a: names.vxlan_mac(a["node"], a["ip_version"]),
    "wep_name": lambda a: EndpointName(**{part: a[part] for part in _PARTS}).text(prefix=a["allow_prefix"]),
    "wep_name_parse": _parsed,
}


def _holds(row: dict[str, Any]) -> bool:
    """Whether we give the result, or refuse what the reference refuses for the same part."""
    error = row.get("error")
    if error is not None and error.startswith(_PANIC):
        return True
    try:
        found = _ANSWERS[row["fn"]](row["args"])
    except ValueError as refused:
        return error is not None and (row["fn"] != "wep_name" or error.split()[3] in str(refused))
    return error is None and bool(found == row["result"])


@pytest.mark.conformance
def test_every_name_is_the_references() -> None:
    """Each row of each function gives the reference's result, or is refused as the reference refuses it."""
    folder = os.environ.get("MUSLIN_CONFORMANCE")
    if not folder:
        pytest.skip("MUSLIN_CONFORMANCE names no folder")
    rows = [json.loads(line) for line in (Path(folder) / "names.jsonl").read_text(encoding="utf-8").splitlines()]
    wrong = [row for row in rows if not _holds(row)]
    asked = Counter(row["fn"] for row in rows)
    print(f"names.jsonl: {len(rows) - len(wrong)} of {len(rows)} rows hold: {dict(sorted(asked.items()))}")

    assert wrong == []
    assert set(asked) == set(_ANSWERS)
