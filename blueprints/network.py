"""What every blueprint decides about the network, and the pools and settings that follow from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from blueprints import default_policy
from blueprints.addressing import BLOCK_LENGTHS, POOLS, addressing
from blueprints.asking import Asked
from blueprints.decision import Decision, FileGroup, Outcome
from blueprints.distribution import as_number, backend
from blueprints.encapsulation import Mode, encapsulation
from blueprints.live_changes import live_changes
from blueprints.mtu import FELIX, felix_mtus, mtu
from blueprints.storage import storage
from muslin.errors import Problem
from muslin.resources.base import Resource
from muslin.resources.bgp_configuration import BGPConfiguration
from muslin.resources.felix_configuration import FelixConfiguration
from muslin.resources.ip_pool import IPPool
from muslin.semantics.routes import Encapsulation

__all__ = ["DistributionRule", "bgp_resource", "decide_network", "network_files", "policy_group"]

DistributionRule = Callable[[Asked, tuple[Mode, ...]], Outcome]
"""How routes get about: what the blueprints differ in."""


def decide_network(
    asked: Asked, standing: Callable[[Asked], tuple[Problem, ...]], distributed: DistributionRule
) -> Mapping[int, Mode]:
    """Ask everything that all blueprints ask; gives Mapping[IP version, encapsulation], empty where there is none.

    Args:
        asked: about which cluster.
        standing: what must be true of its subnets.
        distributed: how its routes are distributed.
    """
    stands = standing(asked)
    asked.add(stands)
    storage(asked)
    addressing(asked)
    modes: dict[int, Mode] = {}
    for version in asked.facts.families:
        chosen = asked.add(encapsulation(asked, version))
        if chosen is not None:
            modes[version] = Mode(chosen.chosen)
    asked.add(as_number(asked))
    if len(modes) == len(asked.facts.families):
        asked.add(mtu(asked, modes))
        asked.add(distributed(asked, tuple(modes.values())))
        asked.add(backend(asked, tuple(modes.values())))
    asked.add(default_policy.decision(asked.facts))
    asked.add(live_changes(asked, modes))
    return modes


def network_files(asked: Asked, modes: Mapping[int, Mode], *, mesh: bool) -> dict[str, tuple[Resource, ...]]:
    """Mapping[path, resources]: pools, BGP, and what agents must not guess."""
    by_name = {decision.name: decision for decision in asked.decisions}
    files: dict[str, tuple[Resource, ...]] = {
        "network/ip-pools.yaml": tuple(_pool(asked, by_name, version, mode) for version, mode in modes.items()),
        "network/bgp.yaml": (bgp_resource(asked, mesh=mesh),),
    }
    spec = felix_mtus(int(by_name["MTU"].chosen), modes)
    if spec:
        felix = FelixConfiguration.model_validate({"metadata": {"name": FELIX.name}, "spec": spec})
        files["network/felix.yaml"] = (felix,)
    return files


def _pool(asked: Asked, by_name: Mapping[str, Decision], version: int, mode: Mode) -> IPPool:
    facts = asked.facts
    wrapped = mode.encapsulation
    length = int(by_name["block size"].chosen.removeprefix("/")) if version == 4 else BLOCK_LENGTHS[version]
    spec = {
        "cidr": str(facts.pod_range if version == 4 else facts.pod_range_v6),
        "blockSize": length,
        "ipipMode": mode.when.value if wrapped is Encapsulation.IPIP else "Never",
        "vxlanMode": mode.when.value if wrapped is Encapsulation.VXLAN else "Never",
        "natOutgoing": facts.nat_outgoing,
        "nodeSelector": "all()",
    }
    return IPPool.model_validate({"metadata": {"name": POOLS[version].name}, "spec": spec})


def bgp_resource(asked: Asked, *, mesh: bool) -> BGPConfiguration:
    """BGP's settings, with the mesh on or off."""
    number = next(each.chosen for each in asked.decisions if each.name == "AS number")
    spec = {"nodeToNodeMeshEnabled": mesh, "asNumber": int(number)}
    return BGPConfiguration.model_validate({"metadata": {"name": "default"}, "spec": spec})


def policy_group(asked: Asked) -> FileGroup:
    """The policy that is pushed last."""
    return FileGroup(
        "default-policy",
        "deny what nobody allowed: push it when namespaces have the policies they need",
        MappingProxyType({"default-policy/default-deny.yaml": (default_policy.default_deny(asked.facts),)}),
    )
