"""What a lab consists of, as values: nodes on one bridge, a router, and a host outside. No I/O."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

from muslin.errors import BadInput, Problem

__all__ = ["MAX_NODES", "OUTSIDE", "POD_NAMESPACES", "ROUTER", "SWITCH", "NodePlace", "Topology"]

MAX_NODES = 10
ROUTER, OUTSIDE, SWITCH = "router", "outside", "switch"
"""Names of the network namespaces that are not nodes; the switch holds the bridge and nothing else."""
POD_NAMESPACES = ("default", "demo", "kube-system", "shop")
"""Namespaces for which the lab writes Profiles, as there is no Kubernetes that would."""
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class NodePlace:
    """A node and its place on the bridge."""

    name: str
    address: IPv4Interface


@dataclass(frozen=True, slots=True)
class Topology:
    """A lab. Nodes stand in `nodes_prefix`; the outside host knows no route to pods, so that NAT is proven.

    `mtu` is that of every link of the underlay. A `bare` lab has the network only and none of our processes.
    """

    name: str
    nodes: tuple[NodePlace, ...]
    mtu: int = 1500
    bare: bool = False
    nodes_prefix: IPv4Network = field(default=IPv4Network("192.0.2.0/24"))
    router: IPv4Interface = field(default=IPv4Interface("192.0.2.254/24"))
    outside_router: IPv4Interface = field(default=IPv4Interface("203.0.113.1/24"))
    outside: IPv4Interface = field(default=IPv4Interface("203.0.113.10/24"))
    pods: IPv4Network = field(default=IPv4Network("10.48.0.0/16"))

    @classmethod
    def of(cls, nodes: int = 3, *, name: str = "lab", mtu: int = 1500, bare: bool = False) -> Topology:
        """A lab of this many nodes, named node1, node2 ...

        Raises:
            BadInput: nodes are not 1..10, the MTU not 576..9000, or the name no short lower-case name.
        """
        problems = []
        if not 1 <= nodes <= MAX_NODES:
            problems.append(Problem(f"{nodes} nodes are not possible", "--nodes", f"1 to {MAX_NODES}"))
        if not 576 <= mtu <= 9000:
            problems.append(Problem(f"MTU {mtu} is not possible", "--mtu", "576 to 9000"))
        if not _NAME.fullmatch(name):
            fix = "lower-case letters, digits and '-', 32 at most"
            problems.append(Problem(f"{name!r} is not a name for a lab", "--name", fix))
        if problems:
            raise BadInput(problems)
        first = IPv4Address("192.0.2.0")
        places = tuple(NodePlace(f"node{n}", IPv4Interface(f"{first + n}/24")) for n in range(1, nodes + 1))
        return cls(name, places, mtu, bare)

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Every network namespace of the lab without pods."""
        return (SWITCH, ROUTER, OUTSIDE, *(node.name for node in self.nodes))

    def to_json(self) -> str:
        """What `from_json` reads: the free choices; the rest follows."""
        return json.dumps({"name": self.name, "nodes": len(self.nodes), "mtu": self.mtu, "bare": self.bare})

    @classmethod
    def from_json(cls, text: str) -> Topology:
        """A lab from what `to_json` wrote. Raises BadInput."""
        try:
            value: dict[str, Any] = json.loads(text)
            return cls.of(int(value["nodes"]), name=str(value["name"]), mtu=int(value["mtu"]), bare=bool(value["bare"]))
        except (ValueError, KeyError, TypeError) as error:
            fix = "take the lab down, and up again"
            raise BadInput(Problem(f"the lab's topology can't be read: {error!r}", "topology.json", fix)) from error
