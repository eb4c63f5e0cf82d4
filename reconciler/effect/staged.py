"""Staged policies as if they were enforced: what they would do is told apart, and never counted. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from muslin import resources
from muslin.conversion.policy import policy_from_kubernetes
from muslin.resources.base import Resource
from muslin.resources.global_network_policy import GlobalNetworkPolicy
from muslin.resources.keys import Key
from muslin.resources.kubernetes_policies import KubernetesNetworkPolicy
from muslin.resources.network_policy import NetworkPolicy
from muslin.resources.staged_kubernetes_policy import StagedKubernetesNetworkPolicy
from muslin.resources.staged_policy import StagedAction, StagedGlobalNetworkPolicy, StagedNetworkPolicy
from muslin.semantics.snapshot import Snapshot

__all__ = ["STAGED", "enforced", "new_or_changed"]

STAGED: Final = (StagedNetworkPolicy, StagedGlobalNetworkPolicy, StagedKubernetesNetworkPolicy)


def new_or_changed(before: Snapshot, after: Snapshot) -> tuple[Key, ...]:
    """Staged policies that a change brings or alters."""
    return tuple(each.key for kind in STAGED for each in after.all(kind) if before.resources.get(each.key) != each)


def enforced(snapshot: Snapshot, staged: Iterable[Key]) -> Snapshot:
    """The cluster with these staged policies in force: a policy of the same name is set, or taken away."""
    found: dict[Key, Resource] = dict(snapshot.resources)
    for key in staged:
        policy = snapshot.resources[key]
        assert isinstance(policy, STAGED)
        action = policy.spec.effective_staged_action
        if action in (StagedAction.LEARN, StagedAction.IGNORE):
            continue
        target = Key(_KINDS[key.kind].__name__, key.name, key.namespace)
        if action is StagedAction.DELETE:
            found.pop(target, None)
        else:
            found[target] = _KINDS[key.kind].model_validate(_set(policy))
    return Snapshot.of(found.values(), snapshot.revision)


_KINDS: Final[dict[str, type[NetworkPolicy | GlobalNetworkPolicy]]] = {
    "StagedNetworkPolicy": NetworkPolicy,
    "StagedGlobalNetworkPolicy": GlobalNetworkPolicy,
    "StagedKubernetesNetworkPolicy": KubernetesNetworkPolicy,
}


def _set(policy: Resource) -> dict[str, Any]:
    """The policy that is tried, as JSON."""
    value = resources.dump(policy)
    spec = {name: content for name, content in value.get("spec", {}).items() if name != "stagedAction"}
    metadata = {name: content for name, content in value["metadata"].items() if name in ("name", "namespace")}
    if isinstance(policy, StagedKubernetesNetworkPolicy):
        converted = policy_from_kubernetes({"metadata": metadata, "spec": spec})
        return converted.value
    return {"metadata": metadata, "spec": spec}
