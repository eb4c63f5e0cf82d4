"""What the blueprints without reflectors share: a mesh, or VXLAN that needs no routes from anybody."""

from __future__ import annotations

from blueprints.asking import Asked
from blueprints.decision import Blueprint, Later
from blueprints.distribution import route_distribution
from blueprints.fact_parts import Distribution
from blueprints.network import decide_network, finished, network_files
from blueprints.standing import Standing

__all__ = ["meshed"]


def meshed(name: str, asked: Asked, standing: Standing) -> Blueprint:
    """A blueprint whose nodes learn routes from each other, if they need to.

    Args:
        name: of the blueprint.
        asked: about which cluster.
        standing: what must be true of its subnets.

    Raises:
        BadInput: with every reason against it.
    """
    modes = decide_network(asked, standing, route_distribution)
    asked.refuse_if_any()
    chosen = next(each.chosen for each in asked.decisions if each.name == "route distribution")
    return finished(name, asked, Later(lambda: network_files(asked, modes, mesh=chosen == Distribution.MESH.value)))
