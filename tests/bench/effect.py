"""What one policy change does to traffic, among 10,000 endpoints and 1,000 policies."""

from __future__ import annotations

from typing import Any

from muslin.resources.base import Resource
from tests.support.clusters import (
    global_policy,
    global_set,
    namespace_profile,
    node,
    policy,
    tier,
    workload,
)

__all__ = ["app_policy", "big_cluster"]

_NODES, _NAMESPACES, _APPS, _PODS = 200, 100, 10, 10


def big_cluster() -> list[Resource]:
    """200 nodes, 100 namespaces of ten applications of ten pods; a policy of five rules an application, 50 global."""
    found: list[Resource] = [node(f"node-{at}", f"192.0.{2 + at // 250}.{at % 250 + 1}/16") for at in range(_NODES)]
    found += [tier("security", 100, "Pass")]
    found += [global_set(f"partner-{at}", [f"198.51.100.{at * 8}/29"], {"partner": f"p{at}"}) for at in range(20)]
    count = 0
    for space in range(_NAMESPACES):
        name = f"team-{space}"
        found.append(namespace_profile(name, {"stage": "prod" if space % 4 else "test", "team": f"t{space % 20}"}))
        for app in range(_APPS):
            for pod in range(_PODS):
                labels = {
                    "app": f"app-{app}",
                    "tier": "front" if app < 3 else "back",
                    "version": f"v{pod % 2}",
                    "pod-template-hash": f"{space:03}{app:03}",
                    "monitored": "yes" if app % 2 else "no",
                }
                address = f"10.{48 + count // 65536}.{count // 256 % 256}.{count % 256}"
                found.append(
                    workload(
                        f"a{app}-{pod}-{space}", address, on=f"node-{count % _NODES}", namespace=name, labels=labels
                    )
                )
                count += 1
        found += [app_policy(name, app) for app in range(_APPS) if space * _APPS + app < 950]
    found += [_global(at) for at in range(50)]
    return found


def app_policy(namespace: str, app: int, port: int = 8080) -> Resource:
    """Who may talk to one application of one namespace."""
    rules: list[dict[str, Any]] = [
        _rule("Allow", port, {"selector": f"app == 'app-{(app + 1) % _APPS}'"}),
        _rule("Allow", port, {"selector": "tier == 'front'", "namespaceSelector": "stage == 'prod'"}),
        _rule("Allow", 9100, {"namespaceSelector": "projectcalico.org/name == 'team-0'"}),
        _rule("Allow", 443, {"nets": ["203.0.113.0/24"]}),
        {"action": "Deny"},
    ]
    return policy(f"app-{app}", namespace, order=100, selector=f"app == 'app-{app}'", types=["Ingress"], ingress=rules)


def _rule(action: str, port: int, source: dict[str, Any]) -> dict[str, Any]:
    return {"action": action, "protocol": "TCP", "source": source, "destination": {"ports": [port]}}


def _global(at: int, action: str = "Deny") -> Resource:
    rule = {"action": action, "protocol": "TCP", "destination": {"selector": f"partner == 'p{at % 20}'"}}
    spec = {"order": at, "types": ["Egress"], "egress": [rule], "tier": "security"}
    return global_policy(f"security.guard-{at}", selector="monitored == 'yes'" if at % 2 else "all()", **spec)
