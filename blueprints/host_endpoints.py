"""Machines behind policy, where somebody asks for it: an endpoint for each node, and no way to lock the operator out.

Three things stand against that. Endpoints have the profile that allows everything, so that without a policy nothing
is denied. The policy lets in where operators come from, and other nodes; it must be told where that is. And agents
never close the failsafe ports, whatever policies say; where a machine's own ports are others than the usual, they are
added to that list, which otherwise stays as Calico has it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from blueprints.asking import Asked
from blueprints.decision import Alternative, Decision, Outcome
from blueprints.fact_parts import HostEndpointFacts
from blueprints.facts import Facts
from blueprints.musts import Must, refuse
from blueprints.staged import in_files
from muslin import resources
from muslin.errors import Problem
from muslin.net import Prefix
from muslin.resources.keys import Key

if TYPE_CHECKING:
    from muslin.resources.base import Resource
    from muslin.resources.global_network_policy import GlobalNetworkPolicy
    from muslin.resources.host_endpoint import HostEndpoint

__all__ = ["LABEL", "ORDER", "failsafe_fields", "host_endpoints", "host_files"]

LABEL: Final = "host-endpoint"
"""Whoever has it is a machine, not a pod."""
ORDER: Final = 1500
"""After Kubernetes' own policies and before the default policy, which does not select machines at all."""

_POLICY: Final = Key("GlobalNetworkPolicy", "host-endpoints")
_FELIX: Final = Key("FelixConfiguration", "default")
_PROFILE: Final = "projectcalico-default-allow"
_SSH, _API, _KUBELET, _DNS = 22, 6443, 10250, 53
_SOURCE: Final = "Calico, Protect hosts: failsafe rules, host endpoints"


def host_endpoints(asked: Asked, wish: HostEndpointFacts) -> Outcome:
    """Which machines, and what stays open on each; refused where an operator would be locked out."""
    problems = tuple(_objections(asked, wish))
    if problems:
        return problems
    facts = asked.facts
    where = wish.interface or "all interfaces"
    told = [f"{each.protocol} {each.port}" for each in wish.open]
    added = _added(wish)
    fields: list[tuple[Key, tuple[str | int, ...]]] = [(_POLICY, ("spec", "selector"))]
    if added:
        fields.append((_FELIX, ("spec", "failsafeInboundHostPorts")))
    return Decision(
        "host endpoints",
        f"{where} of {len(facts.nodes)} nodes",
        "what comes to a machine itself is denied but from other nodes, from where operators come, and to ports that"
        " are open; what it sends is not judged",
        {
            "hostEndpoints.operators": ", ".join(map(str, wish.operators)),
            "hostEndpoints.open": ", ".join(told) or "none",
            "hostEndpoints.sshPort": str(wish.ssh_port),
            "hostEndpoints.apiPort": str(wish.api_port),
        },
        (
            Alternative("none", "not asked for: machines would be as open as their own filters leave them"),
            Alternative("without a profile", "in the moment in which an endpoint comes, all of the machine is closed"),
            Alternative("egress as well", "a machine that can't ask for names, time and images is of no use"),
        ),
        "failsafe ports stay open from everywhere, whatever policies say"
        + (f"; {', '.join(f'TCP {port}' for port in added)} added to them" if added else "")
        + "; forwarded packets are not judged by it; push it last, node by node if you can, with a console at hand",
        _SOURCE,
        tuple(fields),
    )


def _objections(asked: Asked, wish: HostEndpointFacts) -> Iterator[Problem]:
    where = asked.place("hostEndpoints")
    if not wish.operators:
        what = "it is not said where operators come from, and they would be locked out of every machine"
        yield from refuse(Must.OPERATOR_STAYS, what, where, "set operators: the ranges that they reach SSH from")
    for index, prefix in enumerate(wish.operators):
        if _inside_of_pods(asked.facts, prefix):
            what = f"operators come from {prefix}, which are pods: when the network fails, nobody gets in"
            place = asked.place("hostEndpoints", "operators", index)
            yield from refuse(Must.OPERATOR_STAYS, what, place, "name the range of their machines")


def _inside_of_pods(facts: Facts, prefix: Prefix) -> bool:
    return any(
        pods.version == prefix.version and prefix.network_address in pods and prefix.prefixlen >= pods.prefixlen
        for pods in map(facts.pod_range_of, facts.families)
        if pods is not None
    )


def _added(wish: HostEndpointFacts) -> list[int]:
    """Ports of the operator's that the usual failsafe list lacks."""
    return [port for port, usual in ((wish.ssh_port, _SSH), (wish.api_port, _API)) if port != usual]


def failsafe_fields(facts: Facts) -> dict[str, Any]:
    """Of FelixConfiguration: the usual list and the machine's own ports, where these are others; else nothing."""
    wish = facts.host_endpoints
    if wish is None or not (added := _added(wish)):
        return {}
    from muslin.semantics.felix_parameters import PARAMETERS  # noqa: PLC0415 - a large table, seldom needed

    usual = PARAMETERS["failsafeinboundhostports"].default_text.split(",")
    listed = [(protocol.upper(), int(port)) for protocol, _, port in (each.partition(":") for each in usual)]
    listed += [("TCP", port) for port in added if ("TCP", port) not in listed]
    return {"failsafeInboundHostPorts": [{"protocol": protocol, "port": port} for protocol, port in listed]}


def host_files(facts: Facts, wish: HostEndpointFacts) -> Mapping[str, tuple[Resource, ...]]:
    """Mapping[path, resources]: the policy, then the endpoints, which it begins to judge as they come."""
    endpoints = tuple(_endpoint(node.name, wish) for node in facts.nodes)
    return {"hosts/policy.yaml": (_policy(facts, wish),), **in_files("hosts/endpoints.yaml", endpoints)}


def _endpoint(node: str, wish: HostEndpointFacts) -> HostEndpoint:
    name = f"{node}-{(wish.interface or 'all').lower().replace('_', '-')}"
    spec = {"node": node, "interfaceName": wish.interface or "*", "profiles": [_PROFILE]}
    return resources.HostEndpoint.model_validate({"metadata": {"name": name, "labels": {LABEL: "true"}}, "spec": spec})


def _policy(facts: Facts, wish: HostEndpointFacts) -> GlobalNetworkPolicy:
    nodes = [each.cidr for version in facts.families for each in facts.subnets_of(version)]
    pods = [each for each in map(facts.pod_range_of, facts.families) if each is not None]
    inside = [
        *_allow({}, nodes),
        *_allow(_to("TCP", wish.ssh_port, wish.api_port), wish.operators),
        *({"action": "Allow", "protocol": "ICMP" if v == 4 else "ICMPv6"} for v in facts.families),
        *_allow(_to("TCP", _KUBELET, _DNS), pods),
        *_allow(_to("UDP", _DNS), pods),
        *(rule for each in wish.open for rule in _allow(_to(str(each.protocol), each.port), each.sources)),
    ]
    spec = {"order": ORDER, "selector": f"has({LABEL})", "types": ["Ingress"], "ingress": inside}
    return resources.GlobalNetworkPolicy.model_validate({"metadata": {"name": _POLICY.name}, "spec": spec})


def _to(protocol: str, *ports: int) -> dict[str, Any]:
    return {"protocol": protocol, "destination": {"ports": sorted(set(ports))}}


def _allow(what: Mapping[str, Any], sources: Sequence[Prefix]) -> Iterator[dict[str, Any]]:
    """A rule for each family of the sources, as no rule may hold both; one for everybody where there are none."""
    if not sources:
        yield {"action": "Allow", **what}
    for version in (4, 6):
        nets = [str(each) for each in sources if each.version == version]
        if nets:
            yield {"action": "Allow", **what, "source": {"nets": nets}}
