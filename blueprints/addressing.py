"""Which addresses pods get, in blocks of which size, and what the outside sees of them."""

from __future__ import annotations

from blueprints.decision import Alternative, Decision, Outcome, section
from blueprints.facts import Facts
from muslin.errors import Problem
from muslin.net import Prefix
from muslin.resources.keys import Key

__all__ = ["BLOCK_LENGTH", "block_size", "nat_outgoing", "pod_range", "subnet"]

BLOCK_LENGTH = 26
"""64 addresses a block: what the architecture's pools have."""

_POOL = Key("IPPool", "default-ipv4-ippool")
_LINK_LOCAL = "169.254.0.0/16"


def subnet(facts: Facts, where: str) -> tuple[Problem, ...]:
    """What speaks against calling this a cluster in one IPv4 subnet."""
    if len(facts.subnets) > 1:
        return (
            Problem(
                f"the nodes stand in {len(facts.subnets)} subnets; the routers between them do not know pods",
                where,
                "use the blueprint multi_subnet",
                section("Multi-Subnet Configuration"),
            ),
        )
    only = facts.subnets[0]
    if only.version != 4:
        return (Problem(f"{only} is an IPv6 subnet", where, "give the nodes' IPv4 subnet", section("Routing Methods")),)
    return tuple(
        Problem(
            f"node {node.name} has the address {node.address}, which is not in {only}",
            where,
            "correct the address or the subnet; with nodes in several subnets use the blueprint multi_subnet",
            section("Single Subnet Configuration"),
        )
        for node in facts.nodes
        if node.address not in only
    )


def pod_range(facts: Facts, where: str) -> Outcome:
    """The range as given, if it is IPv4 and nobody else's."""
    given = facts.pod_range
    problem = _unusable(given, facts)
    if problem is not None:
        what, fix = problem
        return (Problem(what, where, fix, section("Single Subnet Configuration")),)
    return Decision(
        "pod range",
        str(given),
        "one pool for all pods of all nodes",
        {"podRange": str(given), "subnets": ", ".join(str(each) for each in facts.subnets)},
        (Alternative("several pools", "for pods that the network shall reach directly; adds routing models"),),
        "the range can't be changed later; it must not be used anywhere that pods want to reach",
        section("Routable Pod Network"),
        ((_POOL, ("spec", "cidr")), (_POOL, ("spec", "nodeSelector"))),
    )


def _unusable(given: Prefix, facts: Facts) -> tuple[str, str] | None:
    if given.version != 4:
        return f"the pod range {given} is not IPv4", "give an IPv4 range such as 10.48.0.0/16"
    if given.overlaps(type(given)(_LINK_LOCAL)) or given.is_multicast or given.is_loopback:
        return f"addresses of {given} can't be routed", "give a private range such as 10.48.0.0/16"
    for each in facts.subnets:
        if each.version == given.version and given.overlaps(each):
            return (
                f"the pod range {given} overlaps the nodes' subnet {each}",
                "give pods a range that nothing else uses, such as 10.48.0.0/16",
            )
    return None


def block_size(facts: Facts, where: str) -> Outcome:
    """/26, if the range has a block for every node that is planned."""
    given = facts.pod_range
    blocks = 0 if given.prefixlen > BLOCK_LENGTH else 2 ** (BLOCK_LENGTH - given.prefixlen)
    if blocks < facts.size:
        needed = BLOCK_LENGTH - (facts.size - 1).bit_length()
        return (
            Problem(
                f"the pod range {given} has {blocks} blocks of 64 addresses, too few for {facts.size} nodes",
                where,
                f"give a range of at least /{needed}",
                section("Single Subnet Configuration"),
            ),
        )
    return Decision(
        "block size",
        f"/{BLOCK_LENGTH}",
        "a node takes addresses in blocks of 64: one route announces all of them",
        {"podRange": str(given), "plannedNodes": str(facts.size)},
        (
            Alternative("larger blocks", "a node with few pods would keep many addresses to itself"),
            Alternative("smaller blocks", "more routes for the same pods"),
        ),
        f"the range holds {blocks} blocks; the size can't be changed while the pool exists",
        section("Single Subnet Configuration"),
        ((_POOL, ("spec", "blockSize")),),
    )


def nat_outgoing(facts: Facts, where: str) -> Outcome:  # noqa: ARG001 -- all rules have one shape
    """As wished; on where nobody says otherwise."""
    if facts.nat_outgoing:
        return Decision(
            "outgoing NAT",
            "on",
            "pods' addresses mean nothing outside the cluster, so what leaves it carries the node's address",
            {"natOutgoing": "true"},
            (Alternative("off", "the network would need routes to the pod range to answer"),),
            "the outside sees nodes, not pods; between pods addresses stay as they are",
            section("Single Subnet Configuration"),
            ((_POOL, ("spec", "natOutgoing")),),
        )
    return Decision(
        "outgoing NAT",
        "off",
        "wished so: the network is to see pods' addresses",
        {"natOutgoing": "false"},
        (Alternative("on", "not wished"),),
        "pods reach the outside only if the network routes the pod range back to the nodes",
        section("Routable Pod and Service Networks"),
        ((_POOL, ("spec", "natOutgoing")),),
    )
