"""Kubernetes' NetworkPolicy as a policy of Calico: order 1000 in tier `default`.

Source: calico.md section 1a.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from muslin.conversion.label_selectors import namespace_selector, pod_selector
from muslin.conversion.policy_names import stored_name_of_kubernetes_policy
from muslin.conversion.reading import (
    API_VERSION,
    Converted,
    Json,
    as_list,
    as_mapping,
    as_text,
    metadata_of,
    network,
    place,
)
from muslin.conversion.rule_ports import ANY_PROTOCOL, by_protocol
from muslin.conversion.uids import convert_uid
from muslin.errors import Problem
from muslin.resources.ports import Port, parse_port

__all__ = [
    "KUBERNETES_POLICY", "ORDER", "policy_from_kubernetes", "policy_metadata", "staged_policy_from_kubernetes",
]  # fmt: skip

KUBERNETES_POLICY: Final = "KubernetesNetworkPolicy"
"""Kind under which a conversion is kept beside Calico's own policies, which may have the same name."""

ORDER: Final = 1000
"""Where policies of Kubernetes stand in their tier."""

_PROTOCOLS = {name.casefold(): name for name in ("TCP", "UDP", "SCTP")}

Tell = Callable[[str, str], None]


class _NoRuleError(Exception):
    """A rule that cannot be said in Calico's words; `where` is below the rule."""

    def __init__(self, what: str, where: str) -> None:
        super().__init__(what)
        self.what, self.where = what, where


def policy_from_kubernetes(policy: Json) -> Converted:
    """A NetworkPolicy of `networking.k8s.io` as Calico's; same name, same namespace, a kind of its own.

    Rules that make no sense are left out, which allows less, and told.
    """
    problems = list[Problem]()
    metadata = policy_metadata(policy, "NetworkPolicy", problems)
    spec = _spec(policy, "NetworkPolicy", problems)
    return Converted(
        {"apiVersion": API_VERSION, "kind": KUBERNETES_POLICY, "metadata": metadata, "spec": spec}, tuple(problems)
    )


def staged_policy_from_kubernetes(policy: Json) -> Converted:
    """A StagedKubernetesNetworkPolicy as a StagedNetworkPolicy, named `knp.default.<name>`."""
    kind, problems = "StagedKubernetesNetworkPolicy", list[Problem]()
    metadata = {name: part for name, part in metadata_of(policy).items() if name != "managedFields"}
    metadata["name"] = stored_name_of_kubernetes_policy(as_text(metadata.get("name")))
    staged = as_text(as_mapping(policy.get("spec")).get("stagedAction")) or "Set"
    spec = {"stagedAction": staged, "tier": "default"}
    if staged != "Delete":
        spec = {"stagedAction": staged, **_spec(policy, kind, problems)}
    return Converted(
        {"apiVersion": API_VERSION, "kind": "StagedNetworkPolicy", "metadata": metadata, "spec": spec}, tuple(problems)
    )


def policy_metadata(policy: Json, kind: str, problems: list[Problem]) -> dict[str, Any]:
    """Metadata of a policy that stands for one of Kubernetes: its identity, with a UID of its own."""
    metadata = metadata_of(policy)
    found = {
        name: metadata[name]
        for name in ("name", "namespace", "creationTimestamp", "resourceVersion")
        if metadata.get(name)
    }
    if uid := as_text(metadata.get("uid")):
        try:
            found["uid"] = convert_uid(uid)
        except ValueError as error:
            problems.append(Problem(str(error), place(kind, policy, "metadata.uid"), "create the policy again"))
    return found


def _spec(policy: Json, kind: str, problems: list[Problem]) -> dict[str, Any]:
    spec = as_mapping(policy.get("spec"))

    def tell(what: str, path: str) -> None:
        problems.append(Problem(what, place(kind, policy, path), "correct the policy; what is wrong allows nothing"))

    found: dict[str, Any] = {
        "tier": "default",
        "order": ORDER,
        "selector": pod_selector(spec.get("podSelector"), tell, "spec.podSelector"),
        "types": [word for word in ("Ingress", "Egress") if word in as_list(spec.get("policyTypes"))] or ["Ingress"],
    }
    for direction in ("ingress", "egress"):
        rules: list[dict[str, Any]] = []
        for index, rule in enumerate(as_list(spec.get(direction))):
            path = f"spec.{direction}[{index}]"
            try:
                rules += _rules(rule, direction, tell, path)
            except _NoRuleError as error:
                tell(f"the rule is left out: {error.what}", path + error.where)
        if rules:
            found[direction] = rules
    return found


def _rules(rule: Any, direction: str, tell: Tell, path: str) -> Iterator[dict[str, Any]]:
    if not isinstance(rule, dict):
        raise _NoRuleError("it is no rule", "")
    ends = "from" if direction == "ingress" else "to"
    listed = _list(rule.get("ports"), ".ports")
    ports = by_protocol(_port(port, f".ports[{index}]") for index, port in enumerate(listed))
    peers = [
        _peer(peer, tell, f"{path}.{ends}[{index}]", f".{ends}[{index}]")
        for index, peer in enumerate(_list(rule.get(ends), f".{ends}"))
    ]
    for protocol, numbers in (ports or {ANY_PROTOCOL: []}).items():
        for peer in peers or [{}]:
            if peer is not None:
                yield _rule(protocol, numbers, peer, direction)


def _rule(protocol: str, ports: list[int | str], peer: dict[str, Any], direction: str) -> dict[str, Any]:
    rule: dict[str, Any] = {"action": "Allow"} | ({"protocol": protocol} if protocol else {})
    destination = {"ports": ports} if ports else {}
    if direction == "ingress":
        sides = {"source": peer, "destination": destination}
    else:
        sides = {"destination": destination | peer}
    return rule | {side: match for side, match in sides.items() if match}


def _port(port: Any, where: str) -> tuple[str, Port | None]:
    if not isinstance(port, dict):
        raise _NoRuleError("it is no port", where)
    written = port.get("protocol")
    protocol = _PROTOCOLS.get(as_text(written or "TCP").casefold())
    if protocol is None:
        raise _NoRuleError(f"{written!r} is none of TCP, UDP, SCTP", f"{where}.protocol")
    number, last = port.get("port"), port.get("endPort")
    if number is None:
        return protocol, None
    try:
        return protocol, parse_port(number if last is None else f"{number}:{last}")
    except ValueError as error:
        raise _NoRuleError(str(error), f"{where}.port") from None


def _list(value: Any, where: str) -> Sequence[Any]:
    """A list that may be missing; anything else must not count as missing, which would mean everybody."""
    if value is not None and not isinstance(value, (list, tuple)):
        raise _NoRuleError("it is no list", where)
    return value or ()


def _peer(peer: Any, tell: Tell, path: str, where: str) -> dict[str, Any] | None:
    """What a peer matches, None where it is nobody: a network with an exception for all addresses."""
    if not isinstance(peer, dict):
        raise _NoRuleError("it is no peer", where)
    block = peer.get("ipBlock")
    if block is not None:
        nets = {"nets": [_net(as_mapping(block).get("cidr"), f"{where}.ipBlock.cidr")]}
        excepted = [
            _net(each, f"{where}.ipBlock.except[{index}]")
            for index, each in enumerate(_list(as_mapping(block).get("except"), f"{where}.ipBlock.except"))
        ]
        if any(each.endswith("/0") for each in excepted):
            return None
        return nets | ({"notNets": excepted} if excepted else {})
    if peer.get("podSelector") is None and peer.get("namespaceSelector") is None:
        raise _NoRuleError("it has not one of the fields that are known", where)
    found = {
        "selector": pod_selector(peer.get("podSelector"), tell, f"{path}.podSelector"),
        "namespaceSelector": namespace_selector(peer.get("namespaceSelector"), tell, f"{path}.namespaceSelector"),
    }
    return {name: text for name, text in found.items() if text}


def _net(text: Any, where: str) -> str:
    try:
        return network(text)
    except ValueError as error:
        raise _NoRuleError(str(error), where) from None
