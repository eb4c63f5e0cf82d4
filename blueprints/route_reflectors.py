"""Blueprint for clusters that have, or may grow to, 50 nodes and more: a few of them reflect everybody's routes."""

from __future__ import annotations

from blueprints.asking import Asked
from blueprints.decision import Blueprint, Later
from blueprints.distribution import reflected
from blueprints.facts import Facts
from blueprints.network import decide_network, finished, network_files
from blueprints.outside_reflectors import outside_peers, outside_placement
from blueprints.rack_reflectors import rack_decisions, rack_sets
from blueprints.reflectors import cluster_id, placement, reflectors
from blueprints.standing import Standing, some_subnets
from muslin.resources.places import Places
from muslin.semantics.encapsulations import Encapsulation

__all__ = ["NAME", "reflected_network", "route_reflectors"]

NAME = "route_reflectors"


def route_reflectors(facts: Facts, places: Places | None = None, file: str | None = None) -> Blueprint:
    """All decisions about a cluster with route reflectors, in one subnet or several, and its resources.

    Args:
        facts: of the cluster.
        places: where the facts stand in their text, if known.
        file: name of that text.

    Raises:
        BadInput: the architecture says no; with every reason that there is.
    """
    return reflected_network(NAME, Asked(facts, places, file), some_subnets)


def reflected_network(name: str, asked: Asked, standing: Standing) -> Blueprint:
    """A blueprint whose nodes learn routes from reflectors.

    Args:
        name: of the blueprint.
        asked: about which cluster.
        standing: what must be true of its subnets.

    Raises:
        BadInput: with every reason against it.
    """
    facts = asked.facts
    modes = decide_network(asked, standing, reflected)
    outside = facts.external_reflectors
    families = tuple(version for version, mode in modes.items() if mode.encapsulation is not Encapsulation.VXLAN)
    per_rack = facts.reflectors_per_rack and not outside
    sets = rack_sets(asked) if per_rack else {}
    chosen = tuple(node for each in sets.values() for node in each) if outside or per_rack else reflectors(asked)
    if outside:
        asked.add(outside_placement(asked, families))
    elif sets:
        for decision in rack_decisions(asked, sets):
            asked.add(decision)
    elif chosen:
        asked.add(placement(asked, chosen))
        asked.add(cluster_id(asked, chosen))
    asked.refuse_if_any()
    return finished(
        name,
        asked,
        Later(lambda: network_files(asked, modes, mesh=False, reflecting=chosen, peers=outside_peers(facts, families))),
    )
