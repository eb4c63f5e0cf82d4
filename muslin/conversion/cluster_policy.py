"""ClusterNetworkPolicy (`policy.networking.k8s.io/v1alpha2`) as a GlobalNetworkPolicy of Calico.

Whatever cannot be said in Calico's words must not open anything: a rule that denies or passes becomes one that denies
everything, a rule that accepts is left out. Source: calico.md section 1a.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from muslin.conversion.label_selectors import namespace_selector, pod_selector
from muslin.conversion.policy import policy_metadata
from muslin.conversion.reading import API_VERSION, Converted, Json, as_list, as_mapping, as_text, network, place
from muslin.conversion.rule_ports import ANY_PROTOCOL, by_protocol
from muslin.errors import Problem
from muslin.resources.ports import NamedPort, Port, PortRange

__all__ = ["CLUSTER_POLICY", "cluster_policy_from_kubernetes"]

CLUSTER_POLICY: Final = "KubernetesClusterNetworkPolicy"
"""Kind under which a conversion is kept beside Calico's own policies."""

_KIND = "ClusterNetworkPolicy"
_TIERS = {"Admin": "kube-admin", "Baseline": "kube-baseline"}
_ACTIONS = {"Accept": "Allow", "Deny": "Deny", "Pass": "Pass"}
_PROTOCOLS = {"tcp": "TCP", "udp": "UDP", "sctp": "SCTP"}

Tell = Callable[[str, str], None]


class _UnusableError(Exception):
    """Something that cannot be said in Calico's words; `where` is below the rule or the policy."""

    def __init__(self, what: str, where: str) -> None:
        super().__init__(what)
        self.what, self.where = what, where


def cluster_policy_from_kubernetes(policy: Json) -> Converted:
    """A ClusterNetworkPolicy as Calico's; same name, a kind of its own.

    A policy whose tier, priority or subject makes no sense counts as missing: the value then has a field `unreadable`
    that no model accepts, so that whoever decodes it meets the problem.
    """
    problems = list[Problem]()
    spec = as_mapping(policy.get("spec"))
    value = {
        "apiVersion": API_VERSION,
        "kind": CLUSTER_POLICY,
        "metadata": policy_metadata(policy, _KIND, problems),
    }

    def tell(what: str, path: str) -> None:
        problems.append(Problem(what, place(_KIND, policy, path), "correct the policy"))

    try:
        found = {"tier": _tier(spec), "order": _order(spec), **_subject(spec.get("subject"), tell)}
    except _UnusableError as error:
        tell(f"the policy counts as missing: {error.what}", error.where)
        return Converted({**value, "unreadable": str(problems[-1].what)}, tuple(problems))
    types = []
    for direction, word in (("ingress", "Ingress"), ("egress", "Egress")):
        rules = [
            converted
            for index, rule in enumerate(_each(spec.get(direction)))
            for converted in _closed(rule, direction, tell, f"spec.{direction}[{index}]")
        ]
        if rules:
            found[direction] = rules
            types.append(word)
    return Converted({**value, "spec": {**found, "types": types}}, tuple(problems))


def _tier(spec: Json) -> str:
    tier = _TIERS.get(as_text(spec.get("tier")))
    if tier is None:
        raise _UnusableError(f"the tier {spec.get('tier')!r} is neither Admin nor Baseline", "spec.tier")
    return tier


def _order(spec: Json) -> int:
    priority = spec.get("priority", 0)
    if not isinstance(priority, int) or isinstance(priority, bool):
        raise _UnusableError(f"the priority {priority!r} is no whole number", "spec.priority")
    return priority


def _subject(subject: Any, tell: Tell) -> dict[str, Any]:
    path = "spec.subject"
    found = _selected(as_mapping(subject), tell, path, path)
    return {
        "namespaceSelector": found["namespaceSelector"],
        "selector": found.get("selector") or pod_selector(None, tell),
    }


def _selected(chosen: Json, tell: Tell, path: str, where: str) -> dict[str, str]:
    """Whom `namespaces` or `pods` means; exactly one must be there."""
    namespaces, pods = chosen.get("namespaces"), chosen.get("pods")
    if isinstance(namespaces, dict) and pods is None:
        return {"namespaceSelector": namespace_selector(namespaces, tell, f"{path}.namespaces")}
    if isinstance(pods, dict) and namespaces is None:
        within = pods.get("namespaceSelector")
        return {
            "namespaceSelector": namespace_selector(
                {} if within is None else within, tell, f"{path}.pods.namespaceSelector"
            ),
            "selector": pod_selector(pods.get("podSelector"), tell, f"{path}.pods.podSelector"),
        }
    raise _UnusableError("it has not one of the fields that are known", where)


def _each(rules: Any) -> Sequence[Any]:
    """The rules; what is no list is one rule, which makes no sense."""
    return rules if isinstance(rules, (list, tuple)) else () if rules is None else (rules,)


def _closed(rule: Any, direction: str, tell: Tell, path: str) -> list[dict[str, Any]]:
    """A rule's conversion; where it fails, what lets nothing through that the rule would not."""
    action = as_text(as_mapping(rule).get("action"))
    try:
        if action not in _ACTIONS:
            raise _UnusableError(f"the action {action!r} is none of {', '.join(_ACTIONS)}", ".action")  # noqa: TRY301
        return list(_rules(rule, direction, tell, path))
    except _UnusableError as error:
        left = [] if action == "Accept" else [{"action": "Deny"}]
        effect = "denies everything now" if left else "is left out"
        tell(f"the rule {effect}: {error.what}", path + error.where)
        return left


def _rules(rule: dict[str, Any], direction: str, tell: Tell, path: str) -> Iterator[dict[str, Any]]:
    listed = rule.get("protocols") or ()
    if not isinstance(listed, (list, tuple)):
        raise _UnusableError("it is no list", ".protocols")
    ports = by_protocol(_port(entry, f".protocols[{index}]") for index, entry in enumerate(listed))
    ends = "from" if direction == "ingress" else "to"
    peers = [
        match
        for index, peer in enumerate(as_list(rule.get(ends)))
        for match in _peers(as_mapping(peer), direction, tell, f"{path}.{ends}[{index}]", f".{ends}[{index}]")
    ]
    if not peers:
        raise _UnusableError("it has no peers", f".{ends}")
    name = as_text(rule.get("name"))
    about: dict[str, Any] = {"metadata": {"annotations": {"name": name}}} if name else {}
    for protocol, numbers in (ports or {ANY_PROTOCOL: []}).items():
        matched = {"protocol": protocol} if protocol else {}
        at = {"ports": numbers} if numbers else {}
        for peer in peers:
            sides = {"source": peer, "destination": at} if direction == "ingress" else {"destination": at | peer}
            kept = {side: match for side, match in sides.items() if match}
            yield {"action": _ACTIONS[rule["action"]], **matched, **kept, **about}


def _peers(peer: Json, direction: str, tell: Tell, path: str, where: str) -> list[dict[str, Any]]:
    """What a peer matches; networks of both families are two, as a rule of Calico is of one family."""
    networks = peer.get("networks")
    if direction == "egress" and networks and not (peer.keys() & {"namespaces", "pods"}):
        nets = [_net(each, f"{where}.networks[{index}]") for index, each in enumerate(as_list(networks))]
        families = ([n for n in nets if ":" not in n], [n for n in nets if ":" in n])
        return [{"nets": family} for family in families if family]
    return [dict(_selected(peer, tell, path, where))]


def _net(text: Any, where: str) -> str:
    try:
        return network(text)
    except ValueError as error:
        raise _UnusableError(str(error), where) from None


def _port(entry: Any, where: str) -> tuple[str, Port | None]:
    entry = as_mapping(entry)
    name = entry.get("destinationNamedPort")
    try:
        if name and isinstance(name, str):
            return ANY_PROTOCOL, NamedPort(name)
        for field, protocol in _PROTOCOLS.items():
            if isinstance(entry.get(field), dict):
                return protocol, _number(entry[field].get("destinationPort"))
    except (ValueError, TypeError) as error:
        raise _UnusableError(str(error), where) from None
    raise _UnusableError("it is none of tcp, udp, sctp, destinationNamedPort", where)


def _number(port: Any) -> Port | None:
    if port is None:
        return None
    number, span = as_mapping(port).get("number"), as_mapping(as_mapping(port).get("range"))
    first, last = (number, number) if number else (span.get("start"), span.get("end"))
    if not (type(first) is int and type(last) is int):
        raise ValueError(f"{port!r} is neither a number nor a range of ports")
    return PortRange(first, last)
