"""Where the architecture says *must*: no override, a refusal with the rule, the place and the fix."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from blueprints.decision import section
from muslin.errors import Problem

__all__ = ["Must", "Refusal", "refuse"]


class Must(enum.Enum):
    """Why a blueprint says no; the value is the rule in a sentence."""

    ONE_SUBNET = "a cluster in one subnet has its nodes in one subnet"
    SEVERAL_SUBNETS = "a cluster in several subnets has its nodes in these"
    SEPARATE_ETCD = "nothing else uses the etcd of Kubernetes itself"
    EMBEDDED_ON_ONE_MACHINE = "the embedded datastore is a file of one machine"
    RANGE_OF_ITS_OWN = "the range of pods is routable, and nobody else's"
    ROOM_FOR_ALL = "there is a block for every node that is planned, and an address for every pod"
    A_WAY_BETWEEN_NODES = "the network lets through what the encapsulation needs"
    ROOM_IN_A_PACKET = "what is wrapped fits into the network's packets"
    MESH_IS_SMALL = "from 50 nodes on routes are reflected"
    FAN_OUT_AT_SCALE = "from 50 nodes on agents do not all watch the datastore themselves"
    ROUTES_OVER_BGP = "reflectors distribute routes over BGP"
    TWO_REFLECTORS = "at least two reflectors, so that one may fail"
    REFLECTOR_IN_EACH_SUBNET = "at least one reflector in each subnet"
    REFLECTORS_APART = "reflectors do not fail together"
    ONE_KIND_OF_REFLECTOR = "nodes reflect, or machines outside do: routes have one way"
    ONE_AS_INSIDE = "a mesh and reflectors are within one AS"
    SWITCH_IN_EACH_RACK = "every node peers with a switch of its rack"
    SOMEBODY_LISTENS = "what is announced to the outside needs a peer there"
    AS_NUMBER_MAY_BE_USED = "some AS numbers are nobody's"
    OPERATOR_STAYS = "whoever runs the machines can always reach them"
    NOT_LIVE = "some things are not changed in a running cluster"
    ONE_ANSWER = "parts of a blueprint speak of different things"
    PART_HAS_FACTS = "a part of a blueprint has facts that it is about"
    OVERRIDE_KNOWN = "an override names a decision and one of its answers"


_SOURCE: Final = {
    Must.ONE_SUBNET: section("Single Subnet Configuration"),
    Must.SEVERAL_SUBNETS: section("Multi-Subnet Configuration"),
    Must.SEPARATE_ETCD: section("etcd Datastore Mode"),
    Must.EMBEDDED_ON_ONE_MACHINE: section("Kubernetes Datastore Mode (Recommended)"),
    Must.RANGE_OF_ITS_OWN: section("Single Subnet Configuration"),
    Must.ROOM_FOR_ALL: section("Single Subnet Configuration"),
    Must.A_WAY_BETWEEN_NODES: section("Routing Methods"),
    Must.ROOM_IN_A_PACKET: section("MTU Configuration"),
    Must.MESH_IS_SMALL: section("Route Distribution"),
    Must.FAN_OUT_AT_SCALE: section("Typha"),
    Must.ROUTES_OVER_BGP: section("VXLAN Configuration"),
    Must.TWO_REFLECTORS: section("Global Route Reflection"),
    Must.REFLECTOR_IN_EACH_SUBNET: section("Global Route Reflection"),
    Must.REFLECTORS_APART: section("Global Route Reflection"),
    Must.ONE_KIND_OF_REFLECTOR: "Configuring Route Reflectors in Calico",
    Must.ONE_AS_INSIDE: section("Node-Specific Route Reflection"),
    Must.SWITCH_IN_EACH_RACK: section("Node-Specific Route Reflection"),
    Must.SOMEBODY_LISTENS: section("Routable Pod and Service Networks"),
    Must.AS_NUMBER_MAY_BE_USED: "RFC 6996",
    Must.OPERATOR_STAYS: "Calico, Protect hosts: failsafe rules",
    Must.NOT_LIVE: section("VXLAN Configuration"),
    Must.ONE_ANSWER: "Facts blueprint",
    Must.PART_HAS_FACTS: section("Routable Pod and Service Networks"),
    Must.OVERRIDE_KNOWN: "Facts overrides",
}


@dataclass(frozen=True, slots=True)
class Refusal(Problem):
    """A problem that follows from a must."""

    must: Must | None = None


def refuse(must: Must, what: str, where: str, fix: str, source: str | None = None) -> tuple[Refusal]:
    """The answer of a rule that says no. `source` where the section is another than the must's own."""
    return (Refusal(what, where, fix, source or _SOURCE[must], must),)
