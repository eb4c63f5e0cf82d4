"""What a cluster asks for that this agent does not do, said plainly: pure.

Silence would be worse than either answer: an encapsulated pool without routes looks like a broken network, and a
policy for hosts that nobody enforces looks like a guarded host.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from muslin.errors import Problem
from muslin.resources.global_network_policy import GlobalNetworkPolicy
from muslin.resources.host_endpoint import HostEndpoint
from muslin.resources.ip_pool import IPPool
from muslin.resources.network_policy import NetworkPolicy
from muslin.resources.policy_rules import Rule
from muslin.semantics.routes import Encapsulation, possible_encapsulations
from muslin.semantics.snapshot import Snapshot
from runtime.calc.state import PolicyId

__all__ = ["unsupported"]

_UPSTREAM = "or run upstream Calico's agents, which have it"


def unsupported(snapshot: Snapshot, node: str, policies: Iterable[PolicyId]) -> tuple[Problem, ...]:
    """Problems for everything in the snapshot that this node should do and will not.

    Args:
        snapshot: all resources.
        node: name of the node.
        policies: that select a workload of the node.
    """
    return (*_pools(snapshot), *_hosts(snapshot, node), *_rules(snapshot, frozenset(policies)))


def _pools(snapshot: Snapshot) -> Iterator[Problem]:
    for pool in snapshot.all(IPPool):
        wanted = possible_encapsulations(pool) - {Encapsulation.NONE}
        if wanted and not pool.spec.disabled:
            names = " and ".join(sorted(each.value for each in wanted))
            yield Problem(
                f"{names} is asked for, and this agent carries packets without encapsulation only",
                f"{pool.key}  spec",
                f"set ipipMode and vxlanMode to Never, {_UPSTREAM}",
            )
        if pool.spec.cidr.version == 6:
            yield Problem(
                "pods get IPv4 addresses only from this agent's CNI plugin",
                f"{pool.key}  spec.cidr",
                f"disable the pool, {_UPSTREAM}",
            )


def _hosts(snapshot: Snapshot, node: str) -> Iterator[Problem]:
    for endpoint in snapshot.all(HostEndpoint):
        if endpoint.spec.node == node:
            yield Problem(
                "policy for host endpoints is not enforced by this agent: the host is as open as without it",
                f"{endpoint.key}",
                f"guard the host by other means, {_UPSTREAM}",
            )


def _rules(snapshot: Snapshot, active: frozenset[PolicyId]) -> Iterator[Problem]:
    for kind in (NetworkPolicy, GlobalNetworkPolicy):
        for policy in snapshot.all(kind):
            if PolicyId(policy.key.kind, policy.key.name, policy.key.namespace) not in active:
                continue
            for direction, rules in (("ingress", policy.spec.ingress), ("egress", policy.spec.egress)):
                for index, rule in enumerate(rules):
                    if (what := _unseen(rule)) is not None:
                        yield Problem(
                            f"the rule asks for {what}, which this agent can't see; what it allows is not allowed, "
                            "what it denies or passes on is denied to everybody",
                            f"{policy.key}  spec.{direction}[{index}]",
                            f"say it with selectors, nets and ports, {_UPSTREAM}",
                        )


def _unseen(rule: Rule) -> str | None:
    if rule.http is not None:
        return "HTTP requests"
    if rule.source.services is not None or rule.destination.services is not None:
        return "services"
    return None
