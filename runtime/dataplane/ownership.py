"""Whose kernel objects are whose: how an agent without memory recognises its own after a restart.

One table for every kind of object that the dataplane writes. Nothing outside these marks is ever changed or deleted.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

__all__ = [
    "GOING_GROUP",
    "HOST_MAC",
    "INTERFACE_PREFIX",
    "LINK_LOCAL_GATEWAY",
    "MAIN_TABLE",
    "MARKS",
    "PASS_MARK",
    "ROUTE_PROTOCOL",
    "TABLE",
    "ChainPrefix",
    "FixedChain",
    "FixedSet",
    "SetPrefix",
    "is_workload_interface",
]

ROUTE_PROTOCOL: Final = 80
"""rtm_protocol of every route we write; Calico uses the same number for its tunnel and blackhole routes."""
MAIN_TABLE: Final = 254
"""The only routing table we write."""
TABLE: Final = "calico"
"""Name of our one nftables table, family inet."""
INTERFACE_PREFIX: Final = "cali"
"""First letters of every workload interface on the host, whether we know the workload yet or not."""
PASS_MARK: Final = 0x20000
"""Packet mark bit meaning: the tier passed the packet on. Felix's default bit for the same."""
GOING_GROUP: Final = 0x63616C69
"""Group of links ("cali" as octets) into which a workload's link is put on its way out, to be deleted with others."""
HOST_MAC: Final = "ee:ee:ee:ee:ee:ee"
"""MAC of the host's end of every veth: constant, so that a pod's static neighbour stays right."""
LINK_LOCAL_GATEWAY: Final = "169.254.1.1"
"""Next hop of every IPv4 pod; nobody has it, the host answers by proxy ARP."""


class FixedChain(enum.StrEnum):
    """Base chains: always there."""

    SOURCE_CHECK = "source-check"
    FROM_WORKLOAD = "from-workload"
    TO_WORKLOAD = "to-workload"
    TO_HOST = "to-host"
    FROM_HOST = "from-host"
    MASQUERADE = "masquerade"


class FixedSet(enum.StrEnum):
    """Sets and maps that are always there."""

    FROM_DISPATCH = "from-dispatch"
    TO_DISPATCH = "to-dispatch"
    SOURCES_4 = "workload-sources-4"
    SOURCES_6 = "workload-sources-6"
    NAT_POOLS_4 = "nat-pools-4"
    NAT_POOLS_6 = "nat-pools-6"
    ALL_POOLS_4 = "all-pools-4"
    ALL_POOLS_6 = "all-pools-6"


class ChainPrefix(enum.StrEnum):
    """First part of the names of chains that come and go."""

    FROM_ENDPOINT = "from/"
    TO_ENDPOINT = "to/"
    POLICY_INGRESS = "in/"
    POLICY_EGRESS = "out/"


class SetPrefix(enum.StrEnum):
    """First part of the names of sets that come and go; `nets-` and `ports-` are named by their content."""

    SELECTOR = "s-"
    NAMED_PORT = "n-"
    NETS = "nets-"
    PORTS = "ports-"
    PROTOCOLS = "protocols-"


MARKS: Final[Mapping[str, str]] = {
    "nftables": f"everything in table inet {TABLE}",
    "route": f"protocol {ROUTE_PROTOCOL} in table {MAIN_TABLE}",
    "neighbour": f"permanent, on an interface named {INTERFACE_PREFIX}*",
    "link": f"veth named {INTERFACE_PREFIX}*; whatever is in group {GOING_GROUP:#x}",
    "packet mark": f"bit {PASS_MARK:#x}, only between our own chains",
    "sysctl": f"net.ipv4.conf, net.ipv4.neigh and net.ipv6.conf of an interface named {INTERFACE_PREFIX}*",
    "conntrack": "nothing is written; entries of local workload addresses are deleted when policy denies them",
}
"""Mapping[kind of kernel object, mark that makes it ours]: the whole of what the dataplane writes."""


def is_workload_interface(name: str) -> bool:
    """Whether an interface of this name is taken for a workload's: it drops everything until we know it."""
    return name.startswith(INTERFACE_PREFIX)
