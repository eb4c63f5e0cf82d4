"""Ways from one state of a running cluster to another, as ordered stages, each with the condition that ends it."""

from __future__ import annotations

from collections.abc import Sequence

from blueprints.asking import Asked
from blueprints.decision import Procedure, Stage, section
from blueprints.fact_parts import NodeFacts
from blueprints.network import bgp_resource
from blueprints.reflectors import taint_commands
from muslin.resources.base import Resource

__all__ = ["mesh_to_reflectors"]


def mesh_to_reflectors(
    asked: Asked, chosen: Sequence[NodeFacts], peers: tuple[Resource, ...], nodes: tuple[Resource, ...]
) -> Procedure:
    """From a full mesh to reflectors without a moment in which a node misses routes.

    A node that gets a cluster ID leaves the mesh in that moment, so its pods must be gone and its peers be declared.

    Args:
        asked: about which cluster.
        chosen: the nodes that shall reflect.
        peers: BGPPeers of the reflectors.
        nodes: what is declared of these nodes.
    """
    names = ", ".join(node.name for node in chosen)
    return Procedure(
        "mesh to reflectors",
        "routes stay while those who distribute them change",
        section("Global Route Reflection"),
        (
            Stage(
                "set the reflectors aside",
                f"no pods but those of DaemonSets run on {names}",
                f"take the taint off {names}",
                commands=taint_commands(chosen),
            ),
            Stage(
                "declare who will peer with whom",
                "the BGPPeers are in the datastore; no session has come or gone, since nobody has the label yet",
                "delete the BGPPeers",
                resources=peers,
            ),
            Stage(
                "make the reflectors",
                f"every other node has an Established session with each of {names}, at least two, and over it a route"
                " to the blocks of every node",
                "delete the Nodes' label and cluster ID: they return to the mesh",
                resources=nodes,
            ),
            Stage(
                "turn the mesh off",
                f"every node but {names} has exactly {len(chosen)} sessions, and every block is still reached",
                "turn the mesh on again",
                resources=(bgp_resource(asked, mesh=False),),
            ),
        ),
    )
