"""The cluster that a plan is about, before and after it: read from a datastore, or put together from files.

Only what an effect needs is read. An object that cannot be read counts as missing, and is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from muslin import resources, yaml
from muslin.conversion.cluster_policy import cluster_policy_from_kubernetes
from muslin.conversion.endpoint import endpoint_from_pod
from muslin.conversion.node import node_from_core
from muslin.conversion.policy import policy_from_kubernetes
from muslin.conversion.profile import profile_from_namespace, profile_from_service_account
from muslin.conversion.reading import Converted
from muslin.datastore.protocol import Datastore, Entry, Forbidden, Json, Revision
from muslin.errors import BadInput, MuslinError, Problem
from muslin.resources.base import Resource
from muslin.resources.keys import Key
from muslin.resources.kubernetes_policies import KubernetesClusterNetworkPolicy, KubernetesNetworkPolicy
from muslin.resources.stored import load_stored
from muslin.semantics.snapshot import Snapshot
from reconciler.compare import SHARED_KINDS, merged
from reconciler.course import Course, course, desired, start_of, with_course
from reconciler.ledger import Owned
from reconciler.live import listed
from reconciler.manifests import Reading
from reconciler.plan import Action, Plan
from reconciler.planning import plan

__all__ = ["STATE_KINDS", "as_it_is", "as_planned", "between", "exported", "with_declared"]

STATE_KINDS: Final = (
    "ClusterInformation", "WorkloadEndpoint", "IPAMBlock", "BlockAffinity", "KubernetesNetworkPolicy",
    "KubernetesClusterNetworkPolicy",
)  # fmt: skip
"""Kinds that no repository sets, and that say what a change does."""

_DECLARED_KINDS: Final = (
    "FelixConfiguration", "BGPConfiguration", "BGPPeer", "BGPFilter", "IPPool", "Node", "Tier", "Profile",
    "GlobalNetworkPolicy", "NetworkPolicy", "GlobalNetworkSet", "NetworkSet", "HostEndpoint", "StagedNetworkPolicy",
    "StagedGlobalNetworkPolicy", "StagedKubernetesNetworkPolicy", "KubeControllersConfiguration",
)  # fmt: skip
_OF_KUBERNETES: Final[Mapping[str, type[Resource]]] = {
    "KubernetesNetworkPolicy": KubernetesNetworkPolicy,
    "KubernetesClusterNetworkPolicy": KubernetesClusterNetworkPolicy,
}


async def as_it_is(datastore: Datastore) -> tuple[Snapshot, tuple[Problem, ...]]:
    """The whole cluster, and what of it could not be read, be it that we may not. Raises `Unavailable`."""
    found: list[Resource] = []
    problems: list[Problem] = []
    for kind in (*STATE_KINDS, *_DECLARED_KINDS):
        try:
            entries, _ = await listed(datastore, (kind,))
        except Forbidden as error:
            problems += error.problems
            continue
        for key, entry in entries.items():
            resource = _loaded(key, entry.value, problems)
            if resource is not None:
                found.append(resource)
    return Snapshot.of(found), tuple(problems)


def as_planned(before: Snapshot, proposed: Plan) -> tuple[Snapshot, tuple[Problem, ...]]:
    """The cluster after all steps of a plan, and all stages that follow; what is blocked stays as it is."""
    found = dict(before.resources)
    problems: list[Problem] = []
    for step in proposed.steps:
        if step.action is Action.DELETE:
            found.pop(step.key, None)
        elif step.writes and step.key.kind in _DECLARED_KINDS:
            resource = _loaded(step.key, step.value, problems)
            if resource is not None:
                found[step.key] = resource
    if proposed.course is not None:
        _walk(found, proposed.course, problems)
    return Snapshot.of(found.values(), before.revision), tuple(problems)


def _walk(found: dict[Key, Resource], course: Course, problems: list[Problem]) -> None:
    """All later stages: what they write is merged into nodes, of which others write the rest."""
    for stage in course.stages[course.number :]:
        for each in stage.write:
            there = found.get(each.key)
            wanted = resources.dump(each)
            shared = there is not None and each.key.kind in SHARED_KINDS
            value = merged(resources.dump(there), wanted, None) if there is not None and shared else wanted
            resource = _loaded(each.key, value, problems)
            if resource is not None:
                found[each.key] = resource
        for key in stage.remove:
            if key.kind not in SHARED_KINDS:
                found.pop(key, None)


def with_declared(people: Snapshot, reading: Reading) -> Snapshot:
    """A cluster of files: whoever lives in it, and what a commit declares. Both may name a Node: fields are merged."""
    found = dict(people.resources)
    for key, declared in reading.resources.items():
        value: Json = declared.value
        there = found.get(key)
        if there is not None and key.kind in SHARED_KINDS:
            value = merged(resources.dump(there), value, None)
        found[key] = resources.load(dict(value))
    return Snapshot.of(found.values(), reading.commit)


def between(before: Reading, after: Reading) -> Plan:
    """The plan of a cluster that is as the one commit says, and is to be as the other says. No datastore is asked.

    Whatever stands in the one commit only is removed: budgets, confirmations and what is in use are the reconciler's
    to judge, and it may refuse.
    """
    live = {key: Entry(key, declared.value, Revision(before.commit)) for key, declared in before.resources.items()}
    owned = {key: Owned(declared.value) for key, declared in before.resources.items()}
    mtu = before.facts.mtu if before.facts is not None else None
    start = start_of(after, live, owned, mtu, nodes=before.facts.nodes if before.facts is not None else ())
    chosen = None if start is None else course(start, after)
    wanted = desired(chosen, after) if isinstance(chosen, Course) else after.resources
    return with_course(plan(after.commit, wanted, live, owned, canonical=lambda entry: entry.value), chosen)


def exported(text: bytes, name: str) -> tuple[Resource, ...]:
    """Objects of a file as `muslin get` or `kubectl get` prints them: documents, or lists of objects.

    Pods, namespaces, service accounts, nodes and policies of Kubernetes are taken as the datastore would give them.

    Raises:
        BadInput: with every problem of every object.
    """
    found: list[Resource] = []
    problems: list[Problem] = []
    for document in yaml.load(text, name):
        for value in _objects(document.value):
            kind, metadata = value.get("kind"), value.get("metadata")
            if not isinstance(kind, str) or not isinstance(metadata, Mapping):
                what = "this is no object: it has no kind or no metadata"
                problems.append(Problem(what, name, "give what `muslin get ... -o yaml` prints"))
                continue
            try:
                resource = _one(kind, value, name)
                if resource is not None:
                    found.append(resource)
            except BadInput as error:
                problems += error.problems
            except ValueError as error:
                problems.append(Problem(f"{kind} cannot be read: {error}", name, "export it again"))
    if problems:
        raise BadInput(problems)
    return tuple(found)


_FROM_KUBERNETES: Final[Mapping[tuple[str, str], Callable[[Json], Converted | None]]] = {
    ("v1", "Pod"): endpoint_from_pod,
    ("v1", "Namespace"): profile_from_namespace,
    ("v1", "ServiceAccount"): profile_from_service_account,
    ("v1", "Node"): node_from_core,
    ("networking.k8s.io/v1", "NetworkPolicy"): policy_from_kubernetes,
}


def _one(kind: str, value: Json, name: str) -> Resource | None:
    """One object of an export; None for a pod without an endpoint."""
    version = str(value.get("apiVersion"))
    convert = _FROM_KUBERNETES.get((version, kind))
    if kind == "ClusterNetworkPolicy" and version.startswith("policy.networking.k8s.io/"):
        convert = cluster_policy_from_kubernetes
    if convert is not None:
        converted = convert(value)
        if converted is None:
            return None
        value, kind = converted.value, str(converted.value["kind"])
    model = _OF_KUBERNETES.get(kind)
    return load_stored(value, name)[0] if model is None else model.model_validate(value)


def _objects(value: Any) -> Iterable[Mapping[str, Any]]:
    """A document's objects; `kind: WorkloadEndpointList` and a bare list are many."""
    if isinstance(value, list):
        return [each for each in value if isinstance(each, Mapping)]
    if not isinstance(value, Mapping):
        return []
    items = value.get("items")
    return [each for each in items if isinstance(each, Mapping)] if isinstance(items, list) else [value]


def _loaded(key: Key, value: Json, problems: list[Problem]) -> Resource | None:
    try:
        model = _OF_KUBERNETES.get(key.kind)
        if model is not None:
            return model.model_validate(value)
        resource, told = load_stored(value, str(key))
        problems += told
    except MuslinError as error:
        problems += error.problems
    except ValueError as error:
        problems.append(Problem(f"it cannot be read: {error}", str(key), "write it again in its kind's form"))
    else:
        return resource
    return None
