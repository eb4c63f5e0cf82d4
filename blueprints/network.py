"""What every blueprint decides about the network, and the pools and settings that follow from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from blueprints import default_policy
from blueprints.addressing import BLOCK_LENGTHS, addressing, pool_key
from blueprints.asking import Asked
from blueprints.decision import Blueprint, Decision, FileGroup, Later, Outcome
from blueprints.declared_nodes import declared_nodes
from blueprints.distribution import as_number, backend
from blueprints.encapsulation import Mode, encapsulation
from blueprints.encryption import encryption, encryption_fields
from blueprints.fact_parts import Distribution, NodeFacts
from blueprints.host_endpoints import failsafe_fields, host_endpoints, host_files
from blueprints.mtu import FELIX, felix_mtus, mtu
from blueprints.rack_reflectors import rack_peers
from blueprints.reflectors import peer_resources
from blueprints.routable import OTHERS, ROUTABLE_POOL, routable, routable_pool, service_fields
from blueprints.staged import in_files
from blueprints.stages import Procedure
from blueprints.starting_policies import starting_policies, starting_policies_decision
from blueprints.storage import storage
from blueprints.switch_sessions import next_hop, session_protection
from blueprints.switches import switch_peering, switch_peers
from muslin import resources
from muslin.errors import Problem
from muslin.semantics.encapsulations import Encapsulation

if TYPE_CHECKING:
    from muslin.resources.base import Resource
    from muslin.resources.bgp_configuration import BGPConfiguration
    from muslin.resources.bgp_peer import BGPPeer
    from muslin.resources.ip_pool import IPPool

__all__ = ["DistributionRule", "bgp_resource", "decide_network", "finished", "network_files", "policy_groups"]

_RANGE = {4: "block size", 6: "pod range IPv6"}
"""Mapping[IP version, the decision without which there is no pool]."""

DistributionRule = Callable[[Asked, tuple[Mode, ...]], Outcome]
"""How routes get about: what the blueprints differ in."""


def decide_network(
    asked: Asked,
    standing: Callable[[Asked], tuple[Problem, ...]],
    distributed: DistributionRule,
    *,
    switches_alone: bool = False,
) -> Mapping[int, Mode]:
    """Ask everything that all blueprints ask; gives Mapping[IP version, encapsulation], empty where there is none.

    Args:
        asked: about which cluster.
        standing: what must be true of its subnets.
        distributed: how its routes are distributed.
        switches_alone: whether nodes learn each other's routes from switches only.
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
    if asked.facts.wireguard:
        asked.add(encryption(asked))
    complete = len(modes) == len(asked.facts.families)
    told: Decision | None = None
    if complete:
        asked.add(mtu(asked, modes))
        told = asked.add(distributed(asked, tuple(modes.values())))
    if told is None or told.chosen != Distribution.NONE.value or asked.facts.top_of_rack or asked.facts.as_number:
        asked.add(as_number(asked))
    if complete:
        asked.add(backend(asked, tuple(modes.values())))
        if asked.facts.top_of_rack:
            asked.add(switch_peering(asked, alone=switches_alone))
            asked.add(next_hop(asked, alone=switches_alone))
            asked.add(session_protection(asked))
    routable(asked)
    asked.add(default_policy.decision(asked.facts))
    if asked.facts.starting_policies:
        asked.add(starting_policies_decision(asked.facts))
    if asked.facts.host_endpoints is not None:
        asked.add(host_endpoints(asked, asked.facts.host_endpoints))
    if asked.facts.running is not None:
        from blueprints.live_changes import live_changes  # noqa: PLC0415 - a new cluster needs none of it

        asked.add(live_changes(asked, _pools(asked, modes)))
    return modes


def network_files(
    asked: Asked,
    modes: Mapping[int, Mode],
    *,
    mesh: bool,
    reflecting: Sequence[NodeFacts] = (),
    peers: tuple[BGPPeer, ...] = (),
    switches_alone: bool = False,
) -> dict[str, tuple[Resource, ...]]:
    """Mapping[path, resources]: pools, BGP, what is declared of nodes, and what agents must not guess."""
    by_name = {decision.name: decision for decision in asked.decisions}
    files: dict[str, tuple[Resource, ...]] = {
        "network/ip-pools.yaml": tuple(_pools(asked, modes)),
        "network/bgp.yaml": (bgp_resource(asked, mesh=mesh),),
    }
    if asked.facts.top_of_rack:
        mode = by_name["next hop"].chosen
        peers = (*peers, *switch_peers(asked.facts, alone=switches_alone, mode=mode))
    if reflecting:
        peers = (*(rack_peers(asked.facts) if asked.facts.reflectors_per_rack else peer_resources()), *peers)
    if peers:
        files["network/bgp-peers.yaml"] = peers
    if nodes := declared_nodes(asked.facts, reflecting, numbered=switches_alone):
        files |= in_files("network/nodes.yaml", nodes)
    mtus = felix_mtus(asked, int(by_name["MTU"].chosen), modes)
    settings = encryption_fields(asked) | mtus | failsafe_fields(asked.facts)
    if settings:
        felix = resources.FelixConfiguration.model_validate({"metadata": {"name": FELIX.name}, "spec": settings})
        files["network/felix.yaml"] = (felix,)
    return files


def _pools(asked: Asked, modes: Mapping[int, Mode]) -> list[IPPool]:
    """Of families of which everything is decided; then that for routable pods."""
    by_name = {decision.name: decision for decision in asked.decisions}
    pools = [_pool(asked, by_name, version, mode) for version, mode in modes.items() if _RANGE[version] in by_name]
    if asked.facts.routable.pods is not None and pools and "routable pods" in by_name:
        spec = routable_pool(asked.facts, pools[0].spec.to_json())
        pools.append(resources.IPPool.model_validate({"metadata": {"name": ROUTABLE_POOL.name}, "spec": spec}))
    return pools


def _pool(asked: Asked, by_name: Mapping[str, Decision], version: int, mode: Mode) -> IPPool:
    facts = asked.facts
    wrapped = mode.encapsulation
    length = int(by_name["block size"].chosen.removeprefix("/")) if version == 4 else BLOCK_LENGTHS[version]
    spec = {
        "cidr": str(facts.pod_range_of(version)),
        "blockSize": length,
        "ipipMode": mode.when.value if wrapped is Encapsulation.IPIP else "Never",
        "vxlanMode": mode.when.value if wrapped is Encapsulation.VXLAN else "Never",
        "natOutgoing": facts.nat_outgoing,
        "nodeSelector": OTHERS if version == 4 and facts.routable.pods is not None else "all()",
    }
    return resources.IPPool.model_validate({"metadata": {"name": pool_key(facts, version).name}, "spec": spec})


def bgp_resource(asked: Asked, *, mesh: bool) -> BGPConfiguration:
    """BGP's settings, with the mesh on or off."""
    number = next((each.chosen for each in asked.decisions if each.name == "AS number"), None)
    told = {} if number is None else {"asNumber": int(number)}
    spec = {"nodeToNodeMeshEnabled": mesh, **told, **service_fields(asked.facts)}
    return resources.BGPConfiguration.model_validate({"metadata": {"name": "default"}, "spec": spec})


def finished(name: str, asked: Asked, files: Later) -> Blueprint:
    """The blueprint of what was asked: the network's files, policies, and stages where something runs.

    Args:
        name: of the blueprint.
        asked: about which cluster; everything is decided.
        files: of the network.

    Raises:
        BadInput: with every reason against it.
    """
    network = FileGroup("network", "addresses, routes and encapsulation: push it first", files)
    procedures: tuple[Procedure, ...] = ()
    if asked.facts.running is not None:
        from blueprints.live_changes import procedures_for  # noqa: PLC0415 - a new cluster needs none of it

        procedures = procedures_for(asked, files)
    return asked.finish(name, (network, *policy_groups(asked)), procedures)


def policy_groups(asked: Asked) -> tuple[FileGroup, ...]:
    """What is pushed after the network: the default policy, then machines where these are behind policy too."""
    wish = asked.facts.host_endpoints
    if wish is None:
        return (_default_policy(asked),)
    purpose = "put the machines behind policy: push it last, with a console of one of them at hand"
    return (_default_policy(asked), FileGroup("hosts", purpose, Later(lambda: host_files(asked.facts, wish))))


def _default_policy(asked: Asked) -> FileGroup:
    return FileGroup(
        "default-policy",
        "deny what nobody allowed: push it when namespaces have the policies they need",
        Later(
            lambda: {
                **starting_policies(asked.facts),
                "default-policy/default-deny.yaml": (default_policy.default_deny(asked.facts),),
            }
        ),
    )
