"""Policies for namespaces to start from: their own pods and DNS; their owners add what they need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from blueprints.decision import Alternative, Decision, section
from blueprints.facts import Facts
from muslin import resources
from muslin.resources.keys import Key

if TYPE_CHECKING:
    from muslin.resources.base import Resource
    from muslin.resources.network_policy import NetworkPolicy

__all__ = ["ORDER", "starting_policies", "starting_policies_decision"]

ORDER: Final = 1900
"""After Kubernetes' own policies (1000), so that these can open more; before the default policy (2000)."""

_NAME: Final = "starting"


def starting_policies_decision(facts: Facts) -> Decision:
    """Which namespaces get one, and what it allows."""
    return Decision(
        "starting policies",
        ", ".join(facts.starting_policies),
        "each of these namespaces may talk within itself and ask DNS; everything else its owners allow themselves",
        {"startingPolicies": ", ".join(facts.starting_policies)},
        (
            Alternative("none", "not wished: the default policy would cut these namespaces' pods off from each other"),
            Alternative("one policy for all namespaces", "its owners could not change it for their own"),
        ),
        f"order {ORDER}: policies with a smaller order, and all of Kubernetes' own, come first and can allow more",
        section("Network Policy Enforcement"),
        tuple((Key("NetworkPolicy", _NAME, each), ("spec", "order")) for each in facts.starting_policies),
    )


def starting_policies(facts: Facts) -> Mapping[str, tuple[Resource, ...]]:
    """Mapping[path, resources]: a file for each namespace."""
    return {f"default-policy/{each}.yaml": (_policy(each),) for each in facts.starting_policies}


def _policy(namespace: str) -> NetworkPolicy:
    same: dict[str, Any] = {"selector": "all()"}
    dns = [{"action": "Allow", "protocol": protocol, "destination": {"ports": [53]}} for protocol in ("UDP", "TCP")]
    return resources.NetworkPolicy.model_validate(
        {
            "metadata": {"name": _NAME, "namespace": namespace},
            "spec": {
                "order": ORDER,
                "types": ["Ingress", "Egress"],
                "ingress": [{"action": "Allow", "source": same}],
                "egress": [{"action": "Allow", "destination": same}, *dns],
            },
        }
    )
