"""Upstream's operator, told what was decided: Installation, APIServer, and the policy that its components need.

What the operator does not take (BGP's and Felix' settings, peers, policies) are resources of Calico's own, which the
blueprint emits for every way of installing. What it does by itself (how often Typha runs) is said in comments.
Source: the operator's API, operator.tigera.io/v1, as of 1.42.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from blueprints.decision import section
from blueprints.default_policy import ORDER
from blueprints.encapsulation import encapsulation_name
from blueprints.fact_parts import DatastoreWish
from blueprints.staged import states_of
from blueprints.upstream.emitted import Emitted, text_of
from blueprints.upstream.network import Backend, Network
from blueprints.upstream.pools import of_the_operator
from blueprints.upstream.typha import apart_from_reflectors
from muslin.errors import BadInput, Problem
from muslin.resources import dump
from muslin.resources.global_network_policy import GlobalNetworkPolicy
from muslin.resources.ip_pool import IPPool
from muslin.resources.places import FieldPath

__all__ = ["COMPONENTS_POLICY", "components_policy", "files", "installation", "operators_typhas"]

_API: Final = "operator.tigera.io/v1"
_NETWORK: Final = ("spec", "calicoNetwork")
_POOLS_SOURCE: Final = section("Multi-Subnet Configuration")
COMPONENTS_POLICY: Final = "calico-components"
_NAMESPACES: Final = "projectcalico.org/name in {'calico-apiserver', 'calico-system', 'tigera-operator'}"


def installation(network: Network) -> tuple[dict[str, Any], ...]:
    """Installation and APIServer, as objects. Raises BadInput where the operator can't install this."""
    return tuple(each.value for each in (_installation(network), _api_server()))


def files(network: Network) -> Mapping[str, str]:
    """Mapping[path, text]: what a person applies, in the order of its names. Raises BadInput as `installation`."""
    return MappingProxyType(
        {
            "operator/1-installation.yaml": text_of([_installation(network)]),
            "operator/2-api-server.yaml": text_of([_api_server()]),
            "operator/3-calico-components.yaml": text_of([_policy(network)]),
        }
    )


def operators_typhas(nodes: int) -> int:
    """How often the operator lets Typha run for this many nodes; it has no setting for it.

    Source: the operator's common/autoscale.go: one a node up to 3, then one for each 200 and two more, 3 at least.
    """
    return nodes if nodes <= 3 else max(3, nodes // 200 + 2)


def components_policy() -> GlobalNetworkPolicy:
    """Lets through what the operator's components need; they are not in kube-system, which the default policy spares.

    Without it the default policy cuts Calico's own API server off, and with it the way to correct the policy.
    """
    allow = [{"action": "Allow"}]
    return GlobalNetworkPolicy.model_validate(
        {
            "metadata": {"name": COMPONENTS_POLICY},
            "spec": {
                "order": ORDER - 100,
                "namespaceSelector": _NAMESPACES,
                "types": ["Ingress", "Egress"],
                "ingress": allow,
                "egress": allow,
            },
        }
    )


def _installation(network: Network) -> Emitted:
    if network.datastore is not DatastoreWish.KUBERNETES:
        what = (
            f"the operator installs Calico with the datastore kubernetes only, and {network.datastore.value} is decided"
        )
        raise BadInput(Problem(what, "--for operator", "use --for manifests, or the datastore kubernetes"))
    if going := _going(network):
        what = f"pools change in stages, and the operator would delete {', '.join(going)} at once"
        fix = (
            "go through the stages of muslin render first; then leave what ran before out of the facts, and repeat this"
        )
        raise BadInput(Problem(what, "--for operator", fix, _POOLS_SOURCE))
    calico: dict[str, Any] = {
        "bgp": "Enabled" if network.backend is Backend.BIRD else "Disabled",
        "mtu": network.mtu,
        "ipPools": [of_the_operator(pool) for pool in network.pools],
    }
    why: dict[FieldPath, str] = {
        (*_NETWORK, "bgp"): network.told("backend", "route distribution"),
        (*_NETWORK, "mtu"): network.told("MTU"),
        (*_NETWORK, "ipPools"): "The same pools, field by field, as the IPPool resources of these names: the operator\n"
        "creates them, for nothing starts without a pool. Change both in one commit.",
    }
    for index, pool in enumerate(network.pools):
        encapsulated = encapsulation_name(pool.spec.cidr.version)
        answers = ("pod range", "block size", encapsulated, "outgoing NAT") if index == 0 else (encapsulated,)
        why[(*_NETWORK, "ipPools", index)] = network.told(*answers)
    for version in network.facts.families:
        name = f"nodeAddressAutodetectionV{version}"
        calico[name] = {"cidrs": list(network.subnets(version))}
        why[(*_NETWORK, name)] = "A node is reached by its address in these subnets, whatever other interfaces it has."
    spec: dict[str, Any] = {"cni": {"type": "Calico", "ipam": {"type": "Calico"}}, "calicoNetwork": calico}
    why["spec", "cni"] = "Said, for on some providers the operator would leave pods' addresses to others."
    if network.facts.size == 1:
        spec["controlPlaneReplicas"] = 1
        why["spec", "controlPlaneReplicas"] = "One node is all there is to run it on."
    if network.nftables:
        calico["linuxDataplane"] = "Nftables"
        why[(*_NETWORK, "linuxDataplane")] = "As kube-proxy, which writes nftables here."
    if network.reflecting:
        spec["typhaDeployment"] = {"spec": {"template": {"spec": {"affinity": apart_from_reflectors()}}}}
        why["spec", "typhaDeployment"] = f"{network.told('reflectors')}\nNothing else runs there, so Typha does not."
    header = network.told("datastore", "fan-out", "fan-out replicas")
    scaled = operators_typhas(len(network.facts.nodes))
    header += f"\nThe operator sets the number of Typhas itself, by the nodes that run: {scaled} for today's."
    value = {"apiVersion": _API, "kind": "Installation", "metadata": {"name": "default"}, "spec": spec}
    return Emitted(value, header, why)


def _going(network: Network) -> list[str]:
    """Names of pools that a stage still has and the last one has not, or not so."""
    final = {each.key: each for each in network.pools}
    states = states_of(network.blueprint) if network.blueprint.procedures else ()
    moved = {
        key.name
        for state in states
        for key, each in state.items()
        if isinstance(each, IPPool) and final.get(key) != each
    }
    return sorted(moved)


def _api_server() -> Emitted:
    header = (
        "Serves projectcalico.org/v3: what the Installation does not hold (FelixConfiguration, BGPConfiguration,\n"
        "peers, policies) is pushed there. The operator also changes pools only while it is up."
    )
    return Emitted({"apiVersion": _API, "kind": "APIServer", "metadata": {"name": "default"}, "spec": {}}, header)


def _policy(network: Network) -> Emitted:
    header = (
        "Before the default policy: what the operator runs is not in kube-system, which that policy\n"
        "spares. Without this one it would cut Calico's own API server off.\n" + network.told("default policy")
    )
    return Emitted(dump(components_policy()), header)
