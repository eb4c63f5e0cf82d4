"""The policy that forbids what nobody allowed: for the whole cluster, below all policies of namespaces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blueprints.decision import Alternative, Decision, section
from blueprints.facts import Facts
from muslin import resources
from muslin.resources.keys import Key

if TYPE_CHECKING:
    from muslin.resources.global_network_policy import GlobalNetworkPolicy

__all__ = ["ORDER", "decision", "default_deny"]

ORDER = 2000
"""Kubernetes' own policies count 1000, so that they and 999 numbers more come first."""

_KEY = Key("GlobalNetworkPolicy", "default-deny")
_EVERYWHERE = {4: "0.0.0.0/0", 6: "::/0"}
_SYSTEM = "projectcalico.org/name == 'kube-system'"


def default_deny(facts: Facts) -> GlobalNetworkPolicy:
    """Denies all traffic of pods except for `kube-system` and questions to DNS, for each family of addresses."""
    return resources.GlobalNetworkPolicy.model_validate(
        {
            "metadata": {"name": _KEY.name},
            "spec": {
                "order": ORDER,
                "namespaceSelector": "all()",
                "types": ["Ingress", "Egress"],
                "ingress": [{"action": "Allow", "destination": {"namespaceSelector": _SYSTEM}}],
                "egress": [
                    {"action": "Allow", "source": {"namespaceSelector": _SYSTEM}},
                    *(
                        {"action": "Allow", "protocol": protocol, "destination": {"nets": nets, "ports": [53]}}
                        for nets in ([_EVERYWHERE[version]] for version in facts.families)
                        for protocol in ("UDP", "TCP")
                    ),
                ],
            },
        }
    )


def decision(facts: Facts) -> Decision:
    """Why this policy, and what it leaves open."""
    return Decision(
        "default policy",
        "deny, except for kube-system and DNS",
        "one GlobalNetworkPolicy of order 2000 denies what no policy before it allowed, in every namespace at once",
        {},
        (
            Alternative("allow", "a new namespace would be open until somebody closes it"),
            Alternative("a policy in every namespace", "has to be repeated for each new namespace, and changed in all"),
            Alternative("without namespaceSelector", "would also cut nodes off as soon as they get host endpoints"),
            Alternative("DNS over UDP alone", "long answers come over TCP (RFC 7766)"),
        ),
        "push it as a second step: what a namespace needs beyond this, its own policy must allow, "
        f"with an order below {ORDER}",
        section("Network Policy Enforcement"),
        (
            (_KEY, ("spec", "order")),
            (_KEY, ("spec", "namespaceSelector")),
            *((_KEY, ("spec", "egress", index)) for index in range(1, 1 + 2 * len(facts.families))),
        ),
    )
