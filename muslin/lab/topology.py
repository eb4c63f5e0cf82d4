"""What a lab consists of, as values: nodes on bridges, one for each subnet, a router, and a host outside. No I/O."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any, Final

from muslin.errors import BadInput, Problem

__all__ = [
    "LARGEST_MTU", "MAX_NODES", "OUTSIDE", "POD_NAMESPACES", "ROUTER", "SMALLEST_MTU", "SWITCH", "NodePlace", "Segment",
    "Topology", "is_name",
]  # fmt: skip

MAX_NODES: Final = 10
SMALLEST_MTU, LARGEST_MTU = 576, 9216
"""Of the links: what every IPv4 host must receive (RFC 791 section 3.1), and what switches usually carry at most."""
ROUTER, OUTSIDE, SWITCH = "router", "outside", "switch"
"""Names of the network namespaces that are not nodes; the switch holds the bridges and nothing else."""
POD_NAMESPACES = ("default", "demo", "kube-system", "shop")
"""Namespaces for which the lab writes Profiles, as there is no Kubernetes that would."""
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")


def is_name(text: str) -> bool:
    """Whether a lab or a node of one can have this name: it becomes that of files and namespaces."""
    return _NAME.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class NodePlace:
    """A node, its address with the length of its subnet, and on which segment it stands (an index)."""

    name: str
    address: IPv4Interface
    segment: int = 0


@dataclass(frozen=True, slots=True)
class Segment:
    """A subnet: a bridge whose links have this MTU, and the router's address on it."""

    router: IPv4Interface
    mtu: int = 1500

    @property
    def prefix(self) -> IPv4Network:
        """Where its nodes stand."""
        return self.router.network


@dataclass(frozen=True, slots=True)
class Topology:
    """A lab. The outside host knows routes to segments, and none to pods, so that NAT is proven.

    A `bare` lab has the network only and none of our processes.
    """

    name: str
    nodes: tuple[NodePlace, ...]
    segments: tuple[Segment, ...] = (Segment(IPv4Interface("192.0.2.254/24")),)
    bare: bool = False
    outside_router: IPv4Interface = field(default=IPv4Interface("203.0.113.1/24"))
    outside: IPv4Interface = field(default=IPv4Interface("203.0.113.10/24"))
    pods: IPv4Network = field(default=IPv4Network("10.48.0.0/16"))

    @classmethod
    def of(cls, nodes: int = 3, *, name: str = "lab", mtu: int = 1500, bare: bool = False) -> Topology:
        """A lab of this many nodes in one subnet, named node1, node2 ...

        Raises:
            BadInput: nodes are not 1..10, the MTU is not possible, or the name is no short lower-case name.
        """
        problems = []
        if not 1 <= nodes <= MAX_NODES:
            problems.append(Problem(f"{nodes} nodes are not possible", "--nodes", f"1 to {MAX_NODES}"))
        if not SMALLEST_MTU <= mtu <= LARGEST_MTU:
            what = f"MTU {mtu} is not possible"
            problems.append(Problem(what, "--mtu", f"{SMALLEST_MTU} to {LARGEST_MTU}"))
        if not is_name(name):
            fix = "lower-case letters, digits and '-', 32 at most"
            problems.append(Problem(f"{name!r} is not a name for a lab", "--name", fix))
        if problems:
            raise BadInput(problems)
        first = IPv4Address("192.0.2.0")
        places = tuple(NodePlace(f"node{n}", IPv4Interface(f"{first + n}/24")) for n in range(1, nodes + 1))
        return cls(name, places, (Segment(IPv4Interface("192.0.2.254/24"), mtu),), bare)

    @property
    def mtu(self) -> int:
        """Of the narrowest link."""
        return min(each.mtu for each in self.segments)

    @property
    def router(self) -> IPv4Interface:
        """The router's address on the first segment."""
        return self.segments[0].router

    @property
    def nodes_prefix(self) -> IPv4Network:
        """Where the nodes of the first segment stand."""
        return self.segments[0].prefix

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Every network namespace of the lab without pods."""
        return (SWITCH, ROUTER, OUTSIDE, *(node.name for node in self.nodes))

    def to_json(self) -> str:
        """What `from_json` reads: the free choices; the rest follows."""
        return json.dumps(
            {
                "name": self.name,
                "bare": self.bare,
                "pods": str(self.pods),
                "segments": [{"router": str(each.router), "mtu": each.mtu} for each in self.segments],
                "nodes": [{"name": n.name, "address": str(n.address), "segment": n.segment} for n in self.nodes],
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Topology:
        """A lab from what `to_json` wrote. Raises BadInput."""
        try:
            value: dict[str, Any] = json.loads(text)
            nodes = tuple(
                NodePlace(str(each["name"]), IPv4Interface(each["address"]), int(each["segment"]))
                for each in value["nodes"]
            )
            segments = tuple(Segment(IPv4Interface(each["router"]), int(each["mtu"])) for each in value["segments"])
            topology = cls(str(value["name"]), nodes, segments, bool(value["bare"]), pods=IPv4Network(value["pods"]))
        except (ValueError, KeyError, TypeError) as error:
            raise _unreadable(repr(error)) from error
        if wrong := next(_impossible(topology), None):
            raise _unreadable(wrong)
        return topology


def _unreadable(why: str) -> BadInput:
    fix = "take the lab down, and up again"
    return BadInput(Problem(f"the lab's topology can't be read: {why}", "topology.json", fix))


def _impossible(topology: Topology) -> Iterator[str]:
    """What no lab is like; files are checked for it, as their values become names and commands."""
    yield from (f"{name!r} is no name" for name in _names(topology) if not is_name(name))
    if not 1 <= len(topology.nodes) <= MAX_NODES or not topology.segments:
        yield "nodes or segments are missing, or are too many"
    yield from (f"{each.name} stands on no segment" for each in topology.nodes if not _stands(each, topology.segments))


def _names(topology: Topology) -> tuple[str, ...]:
    return (topology.name, *(each.name for each in topology.nodes))


def _stands(node: NodePlace, segments: Sequence[Segment]) -> bool:
    return 0 <= node.segment < len(segments) and node.address.network == segments[node.segment].prefix
