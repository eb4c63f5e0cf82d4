"""Blueprint for a cluster whose nodes share one subnet: no encapsulation where the network allows it, a mesh."""

from __future__ import annotations

from types import MappingProxyType

from blueprints import addressing, default_policy, storage, transport
from blueprints.decision import Blueprint, Decision, FileGroup, Outcome
from blueprints.facts import DatastoreWish, Facts
from muslin.errors import BadInput, Problem
from muslin.resources.base import Resource
from muslin.resources.bgp_configuration import BGPConfiguration
from muslin.resources.felix_configuration import FelixConfiguration
from muslin.resources.ip_pool import IPPool
from muslin.resources.places import FieldPath, Places, place_of
from muslin.semantics.routes import Encapsulation

__all__ = ["NAME", "single_subnet"]

NAME = "single_subnet"


def single_subnet(facts: Facts, places: Places | None = None, file: str | None = None) -> Blueprint:
    """All decisions about a cluster in one subnet, and its resources.

    Args:
        facts: of the cluster.
        places: where the facts stand in their text, if known.
        file: name of that text.

    Raises:
        BadInput: the architecture says no; with every reason that there is.
    """
    collected = _Collected(places, file)
    collected.add(addressing.subnet(facts, collected.place("subnets")))
    datastore = collected.add(storage.datastore(facts, collected.place("datastore")))
    if datastore is not None:
        collected.add(storage.fan_out(facts, DatastoreWish(datastore.chosen)))
    if collected.add(addressing.pod_range(facts, collected.place("podRange"))) is not None:
        collected.add(addressing.block_size(facts, collected.place("podRange")))
    collected.add(addressing.nat_outgoing(facts, collected.place("natOutgoing")))
    transported = collected.add(transport.encapsulation(facts, collected.place("network")))
    collected.add(transport.as_number(facts, collected.place("asNumber")))
    if transported is not None:
        chosen = Encapsulation(transported.chosen)
        collected.add(transport.mtu(facts, chosen, collected.place("networkMTU")))
        size = "nodes" if facts.planned_nodes is None else "plannedNodes"
        collected.add(transport.route_distribution(facts, chosen, collected.place(size)))
    collected.add(default_policy.decision())
    if collected.problems or transported is None:
        raise BadInput(collected.problems)
    return _blueprint(facts, Encapsulation(transported.chosen), tuple(collected.decisions))


class _Collected:
    """Answers and refusals so far."""

    def __init__(self, places: Places | None, file: str | None) -> None:
        self._places, self._file = places, file
        self.decisions: list[Decision] = []
        self.problems: list[Problem] = []

    def place(self, *path: str | int) -> str:
        """Where a fact stands, for people."""
        steps: FieldPath = path
        return str(place_of(steps, self._places, self._file))

    def add(self, outcome: Outcome) -> Decision | None:
        """Note an outcome; gives the decision, None for a refusal."""
        if isinstance(outcome, Decision):
            self.decisions.append(outcome)
            return outcome
        self.problems.extend(outcome)
        return None


def _blueprint(facts: Facts, chosen: Encapsulation, decisions: tuple[Decision, ...]) -> Blueprint:
    by_name = {decision.name: decision for decision in decisions}
    pool = {
        "cidr": str(facts.pod_range),
        "blockSize": addressing.BLOCK_LENGTH,
        "ipipMode": "Always" if chosen is Encapsulation.IPIP else "Never",
        "vxlanMode": "Always" if chosen is Encapsulation.VXLAN else "Never",
        "natOutgoing": facts.nat_outgoing,
        "nodeSelector": "all()",
    }
    mesh = by_name["route distribution"].chosen == "node-to-node mesh"
    bgp = {"nodeToNodeMeshEnabled": mesh, "asNumber": int(by_name["AS number"].chosen)}
    network: dict[str, tuple[Resource, ...]] = {
        "network/ip-pools.yaml": (IPPool.model_validate({"metadata": {"name": "default-ipv4-ippool"}, "spec": pool}),),
        "network/bgp.yaml": (BGPConfiguration.model_validate({"metadata": {"name": "default"}, "spec": bgp}),),
    }
    inside = int(by_name["MTU"].chosen)
    tunnel = {Encapsulation.IPIP: {"ipipMTU": inside}, Encapsulation.VXLAN: {"vxlanMTU": inside}}.get(chosen)
    if tunnel is not None:
        felix = FelixConfiguration.model_validate({"metadata": {"name": "default"}, "spec": tunnel})
        network["network/felix.yaml"] = (felix,)
    return Blueprint(
        NAME,
        facts.name,
        decisions,
        (
            FileGroup("network", "addresses, routes and encapsulation: push it first", MappingProxyType(network)),
            FileGroup(
                "default-policy",
                "deny what nobody allowed: push it when namespaces have the policies they need",
                MappingProxyType({"default-policy/default-deny.yaml": (default_policy.default_deny(),)}),
            ),
        ),
    )
