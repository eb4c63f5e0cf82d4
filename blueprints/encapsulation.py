"""How packets travel between nodes: as they are, or wrapped; for each family of addresses by itself."""

from __future__ import annotations

import enum
from dataclasses import replace
from typing import TYPE_CHECKING

from blueprints.addressing import pool_key
from blueprints.asking import Asked, Option, Premise
from blueprints.decision import Outcome, section
from blueprints.fact_parts import OverrideFacts
from blueprints.facts import Facts
from blueprints.musts import Must, refuse
from blueprints.network_traits import NetworkTrait, lets, trait
from muslin.semantics.encapsulations import Encapsulation

if TYPE_CHECKING:
    from muslin.resources.ip_pool import EncapsulationMode

__all__ = ["Mode", "encapsulation", "encapsulation_name", "mode_named", "switches_know_pods"]


class Mode(enum.Enum):
    """An encapsulation and when it is used; the value is what people call it."""

    NATIVE = "no encapsulation"
    IPIP_CROSS_SUBNET = "IP-in-IP CrossSubnet"
    IPIP = "IP-in-IP Always"
    VXLAN_CROSS_SUBNET = "VXLAN CrossSubnet"
    VXLAN = "VXLAN Always"

    @property
    def encapsulation(self) -> Encapsulation:
        """What wraps a packet that is wrapped."""
        if self is Mode.NATIVE:
            return Encapsulation.NONE
        return Encapsulation.IPIP if self in (Mode.IPIP, Mode.IPIP_CROSS_SUBNET) else Encapsulation.VXLAN

    @property
    def when(self) -> EncapsulationMode:
        """Which packets are wrapped."""
        from muslin.resources.ip_pool import EncapsulationMode  # noqa: PLC0415 - only who writes a pool needs it

        if self is Mode.NATIVE:
            return EncapsulationMode.NEVER
        return EncapsulationMode.ALWAYS if self in (Mode.IPIP, Mode.VXLAN) else EncapsulationMode.CROSS_SUBNET


def mode_named(text: str) -> Mode | None:
    """An encapsulation as `muslin explain` calls it, in any case."""
    return {mode.value.casefold(): mode for mode in Mode}.get(text.casefold())


_NO_BGP = "routes are distributed over BGP, which is blocked"
_CHECKED = "the network checks that source and destination are machines"
_NO_POD_ADDRESSES = "the network does not carry packets with pods' addresses"
_NO_IPIP = "the network drops IP-in-IP (IP protocol 4)"
_NO_VXLAN = "VXLAN is blocked"
_ROUTERS = "the routers between the subnets do not know pods"
_ONLY_V4 = "there is no IP-in-IP for IPv6"
_ONE = "there is one subnet, so nothing crosses subnets"


def encapsulation_name(version: int) -> str:
    """The question, for a family."""
    return "encapsulation" if version == 4 else "encapsulation IPv6"


def switches_know_pods(facts: Facts, version: int) -> bool:
    """Whether every node tells a switch of its rack where pods are, so that routers between subnets know them."""
    served = {rack for each in facts.top_of_rack if each.address.version == version for rack in each.racks}
    return bool(served) and all(node.rack in served for node in facts.nodes)


def encapsulation(asked: Asked, version: int = 4) -> Outcome:
    """None in one subnet; where packets as they are do not pass, IP-in-IP, and VXLAN where that or BGP does not."""
    facts = asked.facts
    several = len(facts.subnets_of(version)) > 1
    options = _options(asked, version, several=several)
    if all(option.broken for option in options):
        stopped = dict.fromkeys(
            reason for option in options for reason in option.broken if reason not in (_ONE, _ROUTERS, _ONLY_V4)
        )
        return refuse(
            Must.A_WAY_BETWEEN_NODES,
            "no way for packets between nodes is left: " + "; ".join(stopped),
            asked.place("network"),
            "allow UDP port 4789 (VXLAN) between the nodes, or TCP port 179 and IP protocol 4, or turn the checks off",
        )
    if asked.premise is not None:
        best = _asked_for(options, asked.premise, version)
        if best.broken:
            what = f"the blueprint {asked.premise.blueprint} can't have {best.name}: {'; '.join(best.broken)}"
            fix = "name another blueprint, or correct the facts"
            return refuse(Must.A_WAY_BETWEEN_NODES, what, asked.place("network"), fix, asked.premise.source)
        options = [best, *(option for option in options if option.name != best.name)]
    inputs = dict(trait(facts, each) for each in NetworkTrait)
    inputs["subnets"] = ", ".join(str(each) for each in facts.subnets_of(version))
    pool = pool_key(facts, version)
    fields = ((pool, ("spec", "ipipMode")), (pool, ("spec", "vxlanMode")))
    shown = [option for option in options if _ONE not in option.broken and _ONLY_V4 not in option.broken]
    name = encapsulation_name(version)
    if asked.facts.overrides:
        shown = _with_wish(options, asked.override(name))
    return asked.choose(name, shown, inputs, fields)


def _with_wish(options: list[Option], wanted: tuple[int, OverrideFacts] | None) -> list[Option]:
    """What crosses subnets may be wished for in one subnet too, where another may come: last, never the rule's."""
    wish = "" if wanted is None else wanted[1].chosen.casefold()
    for option in options:
        if option.name.casefold() == wish and option.broken == (_ONE,):
            return [*(each for each in options if each is not option), replace(option, broken=())]
    return options


def _asked_for(options: list[Option], premise: Premise, version: int) -> Option:
    """The best answer that the blueprint takes, as its rule; one that is not possible, if none is."""
    by_name = {option.name: option for option in options}
    taken = [by_name[name] for name in premise.modes[version]]
    chosen = next((option for option in taken if not option.broken), taken[-1])
    by_rule = next((option.name for option in options if not option.broken), None)
    if chosen.broken or chosen.name == by_rule:
        return chosen
    rule = f"the blueprint {premise.blueprint} asks for it ({premise.note}); by itself the rule chooses {by_rule}"
    return replace(chosen, rule=rule, source=premise.source)


def _options(asked: Asked, version: int, *, several: bool) -> list[Option]:
    """Best first."""
    facts = asked.facts
    bgp = () if lets(facts, NetworkTrait.BGP) else (_NO_BGP,)
    plain = tuple(
        reason
        for stops, reason in (
            (lets(facts, NetworkTrait.CHECKS), _CHECKED),
            (not lets(facts, NetworkTrait.POD_ADDRESSES), _NO_POD_ADDRESSES),
        )
        if stops
    )
    ipip = (*bgp, *(() if lets(facts, NetworkTrait.IPIP) else (_NO_IPIP,)))
    ipip = (_ONLY_V4, *ipip) if version == 6 else ipip
    vxlan = () if lets(facts, NetworkTrait.VXLAN) else (_NO_VXLAN,)
    crossing = () if several else (_ONE,)
    strangers = several and not switches_know_pods(facts, version)
    extra = 50 if version == 4 else 70
    where = "in one subnet" if several else "here"
    return [
        Option(
            Mode.NATIVE.value,
            "the switches of all racks learn routes to pods from the nodes, so packets travel as they are"
            if several
            else "within one subnet every node is the next hop of its pods' addresses, so packets travel as they are",
            "there are several subnets",
            "packets between nodes carry the addresses of pods; whoever filters between nodes must let them pass",
            section("Single Subnet Configuration"),
            (*bgp, *plain, *((_ROUTERS,) if strangers else ())),
        ),
        Option(
            Mode.IPIP_CROSS_SUBNET.value,
            "within a subnet packets travel as they are; those that cross routers are wrapped in packets between nodes",
            "costs 20 bytes for every packet that crosses subnets",
            "packets between subnets cost 20 bytes more; routers see nodes, and switches within a subnet see pods",
            section("Multi-Subnet Configuration"),
            (*ipip, *plain, *crossing),
        ),
        Option(
            Mode.IPIP.value,
            "where packets with pods' addresses do not travel, all of them are wrapped in packets between machines",
            f"costs 20 bytes and work for every packet, for nothing {where}",
            "every packet between nodes costs 20 bytes more; turn the checks off to be rid of it",
            section("Full IP-in-IP Configuration"),
            ipip,
        ),
        Option(
            Mode.VXLAN_CROSS_SUBNET.value,
            "packets that cross routers are wrapped in VXLAN, which needs neither BGP nor IP-in-IP; others are not",
            f"costs {extra} bytes for every packet that crosses subnets, 30 more than IP-in-IP"
            if version == 4
            else f"costs {extra} bytes for every packet that crosses subnets",
            f"packets between subnets cost {extra} bytes more; do not change this in a running cluster",
            section("VXLAN Configuration"),
            (*vxlan, *plain, *crossing),
        ),
        Option(
            Mode.VXLAN.value,
            "where neither plain packets nor IP-in-IP can be used, VXLAN is, which needs no BGP",
            f"costs {extra} bytes and work for every packet, for nothing {where}",
            f"every packet between nodes costs {extra} bytes more; do not change this in a running cluster",
            section("VXLAN Configuration"),
            vxlan,
        ),
    ]
