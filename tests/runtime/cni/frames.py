"""Builders of CNI requests as a shim sends them."""

from __future__ import annotations

import json
from typing import Any

NETWORK: dict[str, Any] = {
    "cniVersion": "1.0.0",
    "name": "k8s-pod-network",
    "type": "muslin",
    "ipam": {"type": "calico-ipam"},
    "pod": {"namespace": "demo", "name": "web-0", "labels": {"app": "web"}},
}
ENVIRONMENT = {
    "CNI_COMMAND": "ADD",
    "CNI_CONTAINERID": "c1",
    "CNI_NETNS": "/run/netns/web-0",
    "CNI_IFNAME": "eth0",
    "CNI_ARGS": "",
    "CNI_PATH": "/opt/cni/bin",
}


def payload(network: dict[str, Any] | None = None, **environment: str) -> bytes:
    """The payload of a frame; keyword arguments replace CNI variables, such as `command="DEL"`."""
    values = {**ENVIRONMENT, **{f"CNI_{key.upper()}": value for key, value in environment.items()}}
    return b"".join(value.encode() + b"\0" for value in values.values()) + json.dumps(network or NETWORK).encode()


def previous(address: str) -> dict[str, Any]:
    """A network configuration as CHECK has it."""
    result = {"interfaces": [{"name": "eth0", "sandbox": "/x"}], "ips": [{"address": address, "interface": 0}]}
    return {**NETWORK, "prevResult": result}
