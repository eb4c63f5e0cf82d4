"""How nodes learn which of them answers for which addresses: a mesh, reflectors, or nothing where VXLAN needs none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from blueprints.asking import Asked, Option, overridden
from blueprints.decision import Alternative, Decision, Outcome, section
from blueprints.encapsulation import Mode
from blueprints.fact_parts import Distribution, OverrideFacts
from blueprints.musts import Must, refuse
from blueprints.network_traits import NetworkTrait, lets
from muslin.errors import Problem
from muslin.net import AsNumber
from muslin.resources.keys import Key
from muslin.resources.places import FieldPath
from muslin.semantics.encapsulations import Encapsulation

__all__ = [
    "BGP", "DEFAULT_AS", "MESH_LIMIT", "MOST_IN_A_MESH", "as_number", "backend", "only", "reflected",
    "route_distribution",
]  # fmt: skip

MESH_LIMIT: Final = 50
"""Nodes from which on a full mesh becomes a bottleneck."""
MOST_IN_A_MESH: Final = 100
"""Nodes above which nobody may wish for a full mesh: what Calico's documents call its limit."""
BGP: Final = Key("BGPConfiguration", "default")

DEFAULT_AS: Final = 64512
"""Calico's default, the first of the 16-bit private numbers (RFC 6996)."""
_FIELDS: Final[tuple[tuple[Key, FieldPath], ...]] = ((BGP, ("spec", "nodeToNodeMeshEnabled")),)
_SOURCE: Final = section("Route Distribution")


def _all_vxlan(modes: Iterable[Mode]) -> bool:
    return all(mode.encapsulation is Encapsulation.VXLAN for mode in modes)


def _inputs(asked: Asked, modes: Iterable[Mode]) -> dict[str, str]:
    facts = asked.facts
    return {
        "nodes": str(len(facts.nodes)),
        "plannedNodes": str(facts.size),
        "encapsulation": ", ".join(dict.fromkeys(mode.value for mode in modes)),
    }


def _size_place(asked: Asked) -> str:
    return asked.place("nodes" if asked.facts.planned_nodes is None else "plannedNodes")


def route_distribution(asked: Asked, modes: Iterable[Mode]) -> Outcome:
    """A full mesh below 50 nodes; nothing where VXLAN needs none; reflectors are another blueprint's."""
    modes = tuple(modes)
    wanted = asked.override("route distribution")
    by_rule = _by_rule(asked, modes)
    if wanted is None:
        return by_rule
    index, override = wanted
    where = asked.place("overrides", index, "chosen")
    known = {each.value.casefold(): each for each in Distribution}
    chosen = known.get(override.chosen.casefold())
    if chosen is None:
        listed = ", ".join(each.value for each in Distribution)
        what = f"{override.chosen!r} is no answer to 'route distribution'"
        return refuse(Must.OVERRIDE_KNOWN, what, where, f"one of {listed}")
    if chosen in _ELSEWHERE:
        what = f"this blueprint has no {chosen.value}"
        return refuse(Must.OVERRIDE_KNOWN, what, where, f"use the blueprint {_ELSEWHERE[chosen]}")
    rule = by_rule.chosen if isinstance(by_rule, Decision) else Distribution.REFLECTORS.value
    if chosen.value == rule:
        return by_rule
    return _wished(asked, modes, chosen, rule, (where, override))


_ELSEWHERE: Final = {Distribution.REFLECTORS: "route_reflectors", Distribution.TOP_OF_RACK: "top_of_rack"}


def _wished(
    asked: Asked, modes: tuple[Mode, ...], chosen: Distribution, rule: str, wish: tuple[str, OverrideFacts]
) -> Outcome:
    """A mesh or none where the rule says otherwise, unless that breaks a must."""
    where, override = wish
    size = asked.facts.size
    if chosen is Distribution.NONE:
        what = "without BGP nobody would learn the routes that are not VXLAN's"
        return refuse(Must.ROUTES_OVER_BGP, what, where, f"remove the override: the rule chooses {rule}")
    if not lets(asked.facts, NetworkTrait.BGP):
        what = "the network blocks BGP, so there can be no mesh"
        return refuse(Must.ROUTES_OVER_BGP, what, where, f"remove the override: the rule chooses {rule}")
    if size > MOST_IN_A_MESH:
        return _too_many(asked, where)
    return overridden(
        Decision(
            "route distribution",
            chosen.value,
            "",
            _inputs(asked, modes),
            (Alternative(rule, "the rule's answer, overridden"),),
            f"every node holds {size - 1} sessions at full size; above {MOST_IN_A_MESH} nodes it is refused",
            _SOURCE,
            _FIELDS,
        ),
        rule,
        override,
    )


def _too_many(asked: Asked, where: str) -> tuple[Problem, ...]:
    what = (
        f"{asked.facts.size} nodes are too many for a full mesh, whatever the reason: above {MOST_IN_A_MESH} it fails"
    )
    return refuse(Must.MESH_IS_SMALL, what, where, "remove the override: the rule chooses route reflectors")


def _by_rule(asked: Asked, modes: tuple[Mode, ...]) -> Outcome:
    facts, inputs = asked.facts, _inputs(asked, modes)
    no_reflectors = Alternative(
        Distribution.REFLECTORS.value, "a central point that has to be kept alive; not needed below 50 nodes"
    )
    if _all_vxlan(modes):
        return Decision(
            "route distribution",
            Distribution.NONE.value,
            "VXLAN routes follow from the datastore; BGP without peers outside is only overhead",
            inputs,
            (Alternative(Distribution.MESH.value, "nobody would use its routes"), no_reflectors),
            "to announce pods to the network later, switch BGP on again and add peers",
            section("VXLAN Configuration"),
            _FIELDS,
        )
    if facts.size >= MESH_LIMIT:
        return refuse(
            Must.MESH_IS_SMALL,
            f"{facts.size} nodes are too many for a full mesh: every node would hold {facts.size - 1} sessions",
            _size_place(asked),
            "use the blueprint route_reflectors, or plan for fewer than 50 nodes"
            + (", or override the decision with a reason" if facts.size <= MOST_IN_A_MESH else ""),
        )
    return Decision(
        "route distribution",
        Distribution.MESH.value,
        "below 50 nodes every node peers with every other: adequate, and nothing to look after",
        inputs,
        (no_reflectors, Alternative("top-of-rack switches", "needs BGP in the network's own devices")),
        f"every node holds {facts.size - 1} sessions at full size; from 50 nodes on reflectors are needed",
        _SOURCE,
        _FIELDS,
    )


def only(asked: Asked, here: Distribution) -> tuple[Problem, ...]:
    """What speaks against an override, in a blueprint that has one way of distributing routes."""
    wanted = asked.override("route distribution")
    if wanted is None or wanted[1].chosen.casefold() == here.value.casefold():
        return ()
    index, override = wanted
    where = asked.place("overrides", index, "chosen")
    if override.chosen.casefold() == Distribution.MESH.value and asked.facts.size > MOST_IN_A_MESH:
        return _too_many(asked, where)
    what = f"this blueprint is about {here.value}, not {override.chosen}"
    return refuse(Must.OVERRIDE_KNOWN, what, where, "name another blueprint, or remove the override")


def reflected(asked: Asked, modes: Iterable[Mode]) -> Outcome:
    """Route reflectors, which need BGP."""
    modes = tuple(modes)
    facts = asked.facts
    if against := only(asked, Distribution.REFLECTORS):
        return against
    if _all_vxlan(modes):
        return refuse(
            Must.ROUTES_OVER_BGP,
            "with VXLAN alone no routes are distributed over BGP, so there is nothing to reflect",
            asked.place("network"),
            "use the blueprint single_subnet, or multi_subnet with several subnets",
        )
    small = facts.size < MESH_LIMIT
    return Decision(
        "route distribution",
        Distribution.REFLECTORS.value,
        "asked for; below 50 nodes a mesh would be adequate as well"
        if small
        else f"from {MESH_LIMIT} nodes on every node peers with a few reflectors, not with every other node",
        _inputs(asked, modes),
        (
            Alternative(
                Distribution.MESH.value,
                "not asked for" if small else f"every node would hold {facts.size - 1} sessions at full size",
            ),
            Alternative("top-of-rack switches", "needs BGP in the network's own devices"),
        ),
        "the mesh is off: in a running cluster turn it off last, when every session with a reflector is up",
        section("Global Route Reflection"),
        _FIELDS,
    )


def backend(asked: Asked, modes: Iterable[Mode]) -> Outcome:
    """What upstream's agent runs beside Felix: BIRD, or nothing where no routes are distributed over BGP."""
    modes = tuple(modes)
    needed = () if _all_vxlan(modes) else ("routes that are not VXLAN's are distributed over BGP",)
    if any((each.name, each.chosen) == ("route distribution", Distribution.MESH.value) for each in asked.decisions):
        needed = needed or ("nodes are to peer with each other",)
    if asked.facts.top_of_rack:
        needed = (*needed, "the network's switches learn routes over BGP")
    bird = Option(
        "bird",
        "BGP distributes the routes",
        "BGP has nothing to distribute here: less to run without it",
        "of upstream's probes those for BIRD stay on"
        + ("" if 4 in asked.facts.families else "; without IPv4 addresses upstream needs CALICO_ROUTER_ID: hash"),
        _SOURCE,
    )
    vxlan = Option(
        "vxlan",
        "no routes are distributed over BGP, so BIRD does not run",
        "BGP distributes the routes",
        "upstream: `calico_backend: vxlan`, and without `-bird-live` and `-bird-ready` in the probes of calico-node",
        section("VXLAN Configuration"),
        needed,
    )
    options = [bird, vxlan] if needed else [vxlan, bird]
    told = {"encapsulation": ", ".join(dict.fromkeys(each.value for each in modes))}
    return asked.choose("backend", options, told, must=Must.ROUTES_OVER_BGP)


_NOBODYS: Final = ((64496, 64511), (64512, 65534), (65536, 65551), (4200000000, 4294967294))
"""First and last of the numbers that are nobody's: for documentation (RFC 5398), and private (RFC 6996)."""


def _whose(given: AsNumber | None) -> str:
    if given is None or any(first <= int(given) <= last for first, last in _NOBODYS):
        return ""
    return f"; {given} is not private (RFC 6996): use it only if it was given to you, else 64512..65534"


def as_number(asked: Asked) -> Outcome:
    """The number that was given, else Calico's default."""
    given = asked.facts.as_number
    reserved = {
        0: "RFC 7607 keeps it for nobody",
        23456: "RFC 6793 keeps it as a placeholder",
        65535: "RFC 7300 keeps it",
        4294967295: "RFC 7300 keeps it",
    }
    if given is not None and int(given) in reserved:
        return refuse(
            Must.AS_NUMBER_MAY_BE_USED,
            f"AS number {given} must not be used: {reserved[int(given)]}",
            asked.place("asNumber"),
            "use a private one, 64512..65534 or 4200000000..4294967294",
        )
    return Decision(
        "AS number",
        str(DEFAULT_AS if given is None else int(given)),
        "all nodes share one AS" + ("" if given is not None else "; without a wish, Calico's default"),
        {"asNumber": "unset" if given is None else str(given)},
        (Alternative("one AS for each rack", "for networks whose own switches are peers, in several subnets"),),
        "peers outside the cluster must expect this number" + _whose(given),
        section("Global Route Reflection"),
        ((BGP, ("spec", "asNumber")),),
    )
