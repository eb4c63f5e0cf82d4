"""What files declare of nodes: labels, AS, cluster ID. The rest of a Node is its agent's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from blueprints import rack_reflectors, reflectors, routable, switches
from blueprints.fact_parts import NodeFacts
from blueprints.facts import Facts
from muslin import resources

if TYPE_CHECKING:
    from muslin.resources.node import Node

__all__ = ["declared_nodes"]


def declared_nodes(facts: Facts, reflecting: Sequence[NodeFacts] = (), *, numbered: bool = False) -> tuple[Node, ...]:
    """One Node for each of which there is something to declare, in the order of the facts.

    Args:
        facts: of the cluster.
        reflecting: nodes that reflect.
        numbered: whether nodes have the AS of their rack, also between themselves.
    """
    numbers = {rack: each.node_as_number for each in facts.top_of_rack for rack in each.racks}
    chosen = {node.name for node in reflecting}
    ids = rack_reflectors.rack_cluster_ids(facts) if reflecting and facts.reflectors_per_rack else {}
    found = []
    for node in facts.nodes:
        labels: dict[str, str] = {}
        bgp: dict[str, Any] = {}
        if node.rack is not None and (node.rack in numbers or ids):
            labels[switches.LABEL] = node.rack
            if numbered and (number := numbers.get(node.rack)) is not None:
                bgp["asNumber"] = int(number)
        if facts.routable.pods is not None and node.labels.get(routable.LABEL) == routable.VALUE:
            labels[routable.LABEL] = routable.VALUE
        if node.name in chosen:
            labels[reflectors.LABEL] = "true"
            own = ids.get(node.rack or "", str(facts.cluster_id or reflectors.CLUSTER_ID))
            bgp["routeReflectorClusterID"] = own
        if labels:
            spec = {"bgp": bgp} if bgp else {}
            found.append(
                resources.Node.model_validate({"metadata": {"name": node.name, "labels": labels}, "spec": spec})
            )
    return tuple(found)
