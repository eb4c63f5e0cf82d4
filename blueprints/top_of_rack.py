"""Blueprint for clusters whose nodes peer with the network's own switches, in one subnet or several."""

from __future__ import annotations

from blueprints.asking import Asked
from blueprints.decision import Blueprint, Later
from blueprints.facts import Facts
from blueprints.network import decide_network, finished, network_files
from blueprints.standing import Standing, some_subnets
from blueprints.switches import switch_distribution
from muslin.resources.places import Places

__all__ = ["NAME", "switched_network", "top_of_rack"]

NAME = "top_of_rack"


def top_of_rack(facts: Facts, places: Places | None = None, file: str | None = None) -> Blueprint:
    """All decisions about a cluster whose nodes peer with switches, and its resources.

    Args:
        facts: of the cluster.
        places: where the facts stand in their text, if known.
        file: name of that text.

    Raises:
        BadInput: the architecture says no; with every reason that there is.
    """
    return switched_network(NAME, Asked(facts, places, file), some_subnets)


def switched_network(name: str, asked: Asked, standing: Standing) -> Blueprint:
    """A blueprint whose nodes learn routes from switches.

    Args:
        name: of the blueprint.
        asked: about which cluster.
        standing: what must be true of its subnets.

    Raises:
        BadInput: with every reason against it.
    """
    modes = decide_network(asked, standing, switch_distribution, switches_alone=True)
    asked.refuse_if_any()
    return finished(name, asked, Later(lambda: network_files(asked, modes, mesh=False, switches_alone=True)))
