"""Where the nodes stand: all in one subnet, or in several with routers between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

from blueprints.asking import Asked
from blueprints.decision import section
from blueprints.facts import Facts
from blueprints.musts import Must, refuse
from muslin.errors import Problem

__all__ = ["Standing", "one_subnet", "several_subnets", "some_subnets"]

Standing: TypeAlias = Callable[[Asked], tuple[Problem, ...]]
"""What speaks against the subnets of a cluster, for a blueprint."""


def _most(facts: Facts) -> int:
    """Subnets of the family that has most of them."""
    return max(len(facts.subnets_of(version)) for version in facts.families)


def one_subnet(asked: Asked) -> tuple[Problem, ...]:
    """What speaks against calling this a cluster in one subnet of each of its families."""
    where, most = asked.place("subnets"), _most(asked.facts)
    if most > 1:
        return refuse(
            Must.ONE_SUBNET,
            f"the nodes stand in {most} subnets; the routers between them do not know pods",
            where,
            "use the blueprint multi_subnet",
            section("Multi-Subnet Configuration"),
        )
    return _families(asked) or tuple(
        _strangers(
            asked, "correct the address or the subnet; with nodes in several subnets use the blueprint multi_subnet"
        )
    )


def several_subnets(asked: Asked) -> tuple[Problem, ...]:
    """What speaks against calling this a cluster in several subnets."""
    if _most(asked.facts) < 2:
        return refuse(
            Must.SEVERAL_SUBNETS,
            "all nodes stand in one subnet",
            asked.place("subnets"),
            "use the blueprint single_subnet, or name the other subnets",
        )
    return some_subnets(asked)


def some_subnets(asked: Asked) -> tuple[Problem, ...]:
    """What speaks against the subnets, however many they are."""
    return _families(asked) or tuple(_strangers(asked, "correct the address, or add its subnet"))


def _families(asked: Asked) -> tuple[Problem, ...]:
    facts = asked.facts
    if 4 in facts.families and not facts.subnets_of(4):
        what = f"{facts.subnets[0]} is an IPv6 subnet"
        fix = "give the nodes' IPv4 subnet, or podRangeV6 instead of podRange"
        return refuse(Must.ONE_SUBNET, what, asked.place("subnets"), fix, section("Routing Methods"))
    if 6 in facts.families and not facts.subnets_of(6):
        what = "pods are to have IPv6 addresses, and no IPv6 subnet of the nodes is given"
        fix = "add the IPv6 subnet that the nodes' addressV6 lie in"
        return refuse(Must.ONE_SUBNET, what, asked.place("subnets"), fix, section("Routing Methods"))
    return ()


def _strangers(asked: Asked, fix: str) -> Iterator[Problem]:
    """Nodes that stand in none of the subnets."""
    facts = asked.facts
    for version in facts.families:
        subnets = facts.subnets_of(version)
        told = str(subnets[0]) if len(subnets) == 1 else f"any of {', '.join(map(str, subnets))}"
        for node in facts.nodes:
            if facts.subnet_of(node, version) is None:
                address = node.address_of(version)
                what = f"node {node.name} has the address {address}, which is not in {told}"
                must = Must.ONE_SUBNET if len(subnets) == 1 else Must.SEVERAL_SUBNETS
                yield from refuse(must, what, asked.place("subnets"), fix)
