"""Calico's spelling of field names, from Python's: `route_reflector_cluster_id` is `routeReflectorClusterID`."""

from __future__ import annotations

from functools import cache
from typing import Final

__all__ = ["calico_name"]

_WORDS: Final = (
    "AS BGP CIDR CIDRs CA CTLB DNAT DSCP DSR GRO GUID HTTP ICMP ID IP IPIP IPs IPv4 IPv6 IPSets JIT L2 L3 MAC MB MTU "
    "NAT NATs PSNAT CPU RPF TTL UID URI URL VM VNI VXLAN XDP UDP GC"
)
_UPPER: Final = {word.casefold(): word for word in _WORDS.split()}
"""Words written so anywhere but at the beginning of a name, where they are in lower case."""


@cache
def calico_name(python_name: str) -> str:
    """The name in manifests of a field with this Python name."""
    first, *rest = python_name.split("_")
    return first + "".join(_UPPER.get(word, word.capitalize()) for word in rest)
