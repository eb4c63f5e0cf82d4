"""From all resources to the state of one node: pure, a function of the snapshot and the node's name alone.

What the resources mean is decided in `muslin.semantics`; here it is gathered for one node, with the work shared:
selectors are matched once a set of labels, members of sets are joined from prepared groups.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from ipaddress import ip_network
from types import MappingProxyType
from typing import Final

from muslin.errors import Problem
from muslin.net import Address, InterfaceAddress, Prefix
from muslin.resources.cluster_information import ClusterInformation
from muslin.resources.global_network_policy import GlobalNetworkPolicy
from muslin.resources.kubernetes_policies import KubernetesClusterNetworkPolicy, KubernetesNetworkPolicy
from muslin.resources.network_policy import NetworkPolicy
from muslin.resources.profile import Profile
from muslin.resources.tier import TierAction
from muslin.resources.workload_endpoint import WorkloadEndpoint
from muslin.semantics.felix_sources import Local
from muslin.semantics.policy import (
    TierOfPolicies,
    inherited_labels,
    own_labels,
    policies_of,
)
from muslin.semantics.reserved import Reserved, admitted
from muslin.semantics.routes import is_announced, own_blocks, pool_of
from muslin.semantics.snapshot import Snapshot
from runtime.calc.ground import Ground, Grounds
from runtime.calc.rules import RuleCompiler
from runtime.calc.sets import SetRequests, members
from runtime.calc.state import (
    Action,
    Endpoint,
    NodeState,
    PolicyId,
    PolicyRules,
    Route,
    RouteClass,
    RouteKind,
    TierPolicies,
)
from runtime.calc.unsupported import unsupported
from runtime.dataplane.ownership import INTERFACE_PREFIX, is_workload_interface

__all__ = ["compute"]
_TO_HOST = MappingProxyType({"ACCEPT": Action.ALLOW, "DROP": Action.DENY, "RETURN": Action.PASS})
_NOWHERE = Local()


def compute(
    snapshot: Snapshot,
    node: str,
    here: InterfaceAddress | None = None,
    local: Local = _NOWHERE,
    grounds: Grounds | None = None,
) -> NodeState:
    """State that a node must have because of a snapshot.

    The order in which resources stand in the snapshot does not matter. A node that the snapshot does not know has
    whatever names it: endpoints and blocks, no sessions.

    Args:
        snapshot: all resources, as read.
        node: name of the node.
        here: its address as the node itself knows it; None takes the one that its Node says.
        local: settings of the node's environment and file.
        grounds: of this node, for who computes one snapshot after the other; the result is the same without.
    """
    ground = (grounds or Grounds(node, here, local)).of(snapshot)
    taken = ground.reserved
    workloads, wrong = admitted(filter(_on_workload_interface, snapshot.all(WorkloadEndpoint)), node, taken)
    endpoints = _endpoints(ground, workloads)
    requests = SetRequests()
    policies = _active(snapshot, endpoints.values(), RuleCompiler(requests))
    claimed = own_blocks(snapshot, node)
    wrong_blocks = {block: found for block in claimed if (found := _block_problem(snapshot, block, taken)) is not None}
    blocks = tuple(block for block in claimed if block not in wrong_blocks)
    return NodeState(
        node=node,
        revision=snapshot.revision,
        ready=_ready(snapshot),
        endpoints=endpoints,
        policies=policies,
        sets=members(snapshot, requests),
        routes=_routes(endpoints.values(), blocks),
        nat_pools=ground.nat_pools,
        all_pools=ground.all_pools,
        sessions=ground.sessions,
        originated=tuple(
            prefix
            for prefix in (*blocks, *_borrowed(snapshot, endpoints.values(), blocks))
            if is_announced(snapshot, prefix)
        ),
        importable=ground.importable,
        endpoint_to_host=_TO_HOST[ground.settings["DefaultEndpointToHostAction"]],
        listen_port=ground.listen_port,
        problems=(
            *_misplaced(snapshot, node),
            *wrong,
            *wrong_blocks.values(),
            *unsupported(snapshot, node, policies),
            *ground.felix_problems,
        ),
    )


def _borrowed(snapshot: Snapshot, endpoints: Iterable[Endpoint], blocks: Iterable[Prefix]) -> tuple[Prefix, ...]:
    """Local workloads' addresses of pools that are in no own block: only as themselves do others find them here.

    The node whose block holds such an address has a blackhole there, and the longer prefix wins over it.
    """
    local = {address for endpoint in endpoints for address in endpoint.addresses}
    lent = (ip_network(address) for address in local if not any(address in block for block in blocks))
    return tuple(sorted((each for each in lent if pool_of(snapshot, each) is not None), key=str))


def _ready(snapshot: Snapshot) -> bool:
    information = snapshot.get(ClusterInformation, "default")
    return information is not None and information.spec.datastore_ready is not False


def _on_workload_interface(workload: WorkloadEndpoint) -> bool:
    return not workload.spec.interface_name or is_workload_interface(workload.spec.interface_name)


def _misplaced(snapshot: Snapshot, node: str) -> Iterable[Problem]:
    for workload in snapshot.all(WorkloadEndpoint):
        if workload.spec.node == node and not _on_workload_interface(workload):
            what = f"{workload.spec.interface_name} is no workload's interface"
            fix = f"name one that begins with {INTERFACE_PREFIX}"
            yield Problem(what, f"{workload.key}  spec.interfaceName", fix)


def _block_problem(snapshot: Snapshot, block: Prefix, taken: Reserved) -> Problem | None:
    """Why a block gets no blackhole and is not announced, though the node has its affinity."""
    largest = 20 if block.version == 4 else 116
    pool = pool_of(snapshot, block)
    reason = taken.why(block)
    if reason is None and block.prefixlen < largest:
        reason = f"is larger than a block can be, /{largest}"
    if reason is None and pool is None:
        reason = "lies in no pool"
    if reason is None and pool is not None and block.prefixlen != pool.spec.effective_block_size:
        reason = f"is not of the size /{pool.spec.effective_block_size} that blocks of pool {pool.metadata.name} have"
    if reason is None:
        return None
    return Problem(f"the block {block} {reason}", f"IPAMBlock and BlockAffinity of {block}", "delete the two")


def _endpoints(ground: Ground, workloads: Iterable[WorkloadEndpoint]) -> Mapping[str, Endpoint]:
    """Local workloads by interface."""
    by_labels: dict[frozenset[tuple[str, str]], tuple[TierPolicies, ...]] = {}
    found: dict[str, Endpoint] = {}
    for workload in workloads:
        spec = workload.spec
        assert spec.interface_name
        labels = inherited_labels(own_labels(workload), spec.profiles, ground.profile_labels)
        group = frozenset(labels.items())
        if group not in by_labels:
            by_labels[group] = tuple(_tier(each) for each in policies_of(labels, ground.selectable))
        found[spec.interface_name] = Endpoint(
            name=workload.metadata.name,
            namespace=workload.metadata.namespace or "",
            interface=spec.interface_name,
            addresses=tuple(network.network_address for network in spec.ip_networks),
            mac=spec.mac,
            tiers=by_labels[group],
            profiles=tuple(PolicyId("Profile", name) for name in spec.profiles),
        )
    return MappingProxyType(dict(sorted(found.items())))


def _tier(of: TierOfPolicies) -> TierPolicies:
    return TierPolicies(
        tier=of.tier.name,
        default_action=Action.PASS if of.tier.default_action is TierAction.PASS else Action.DENY,
        ingress=tuple(_policy_id(policy) for policy in of.ingress),
        egress=tuple(_policy_id(policy) for policy in of.egress),
    )


def _policy_id(policy: NetworkPolicy | GlobalNetworkPolicy) -> PolicyId:
    return PolicyId(policy.kind, policy.metadata.name, policy.metadata.namespace)


_RULED: Final[Mapping[str, type[Profile | NetworkPolicy | GlobalNetworkPolicy]]] = {
    "Profile": Profile,
    "NetworkPolicy": NetworkPolicy,
    "GlobalNetworkPolicy": GlobalNetworkPolicy,
    "KubernetesNetworkPolicy": KubernetesNetworkPolicy,
    "KubernetesClusterNetworkPolicy": KubernetesClusterNetworkPolicy,
}
"""Mapping[kind, model]: everything that has rules."""


def _active(
    snapshot: Snapshot, endpoints: Iterable[Endpoint], compiler: RuleCompiler
) -> Mapping[PolicyId, PolicyRules]:
    """Rules of every policy and profile that a local endpoint names and that exists."""
    named: set[PolicyId] = set()
    for endpoint in endpoints:
        named.update(endpoint.profiles)
        for tier in endpoint.tiers:
            named.update(tier.ingress, tier.egress)
    found: dict[PolicyId, PolicyRules] = {}
    for identity in sorted(named, key=lambda each: (each.kind, each.namespace or "", each.name)):
        resource = snapshot.get(_RULED[identity.kind], identity.name, identity.namespace)
        if resource is not None:
            spec = resource.spec
            found[identity] = PolicyRules(
                ingress=compiler.rules(spec.ingress, identity.namespace),
                egress=compiler.rules(spec.egress, identity.namespace),
            )
    return MappingProxyType(found)


@functools.lru_cache(4096)
def _alone(address: Address) -> Prefix:
    """The prefix that holds this address and no other; made by way of text, so that it is worth remembering."""
    return ip_network(address)


def _routes(endpoints: Iterable[Endpoint], blocks: Iterable[Prefix]) -> tuple[Route, ...]:
    """Local workloads, and a blackhole for the rest of every own block so that packets to free addresses do not loop.

    A block of one address needs no
    blackhole: the workload's route covers all of it.
    """
    routes: dict[tuple[Prefix, RouteClass], Route] = {}
    for endpoint in sorted(endpoints, key=lambda each: (each.namespace, each.name)):
        for address in endpoint.addresses:
            prefix = _alone(address)
            route = Route(prefix, RouteClass.WORKLOAD, interface=endpoint.interface)
            routes.setdefault((prefix, RouteClass.WORKLOAD), route)
    for block in blocks:
        if block.prefixlen < block.max_prefixlen:
            routes[block, RouteClass.BLACKHOLE] = Route(block, RouteClass.BLACKHOLE, RouteKind.BLACKHOLE)
    return tuple(sorted(routes.values(), key=lambda each: (each.prefix.version, each.prefix, each.route_class)))
