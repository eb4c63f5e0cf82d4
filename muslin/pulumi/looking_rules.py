"""What of a cluster, as it was seen, would make a write fail or set two writers on one object: pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from muslin.errors import Problem
from muslin.kubernetes import errors as api
from muslin.pulumi.arguments import ReferenceNetworkArgs
from muslin.pulumi.naming import FIELD_MANAGER, MANAGER_NAMED, WRITER, spoken, writer
from muslin.resources.keys import Key

__all__ = ["GROUP", "Objects", "Seen", "findings"]

GROUP: Final = "projectcalico.org/v3"
_OLDER: Final = "crd.projectcalico.org/v1"
_OWN: Final = "pulumi-kubernetes"
_OPERATOR: Final = "tigera-operator"
_OF_KUBERNETES: Final = frozenset({"Node", "Secret", "Role", "RoleBinding"})

Objects: TypeAlias = Mapping[Key, Mapping[str, Any]]
"""Mapping[Key, the object as JSON]."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A cluster as it answered.

    Attributes:
        server: its address.
        versions: what it serves, as in `apiVersion`.
        kinds: what it serves of ours.
        denied: (kind, verb) of what we may not do; nothing was tried where there is any.
        answers: what it said to a dry run of each write, None for yes.
        reconciled: Mapping[object, set of the reconciler that owns it].
        others: what is written beside the blueprint's objects.
        annotations: Mapping[Key, its annotations] of the objects that are there.
    """

    server: str
    versions: frozenset[str]
    kinds: frozenset[str] = frozenset()
    denied: tuple[tuple[str, str], ...] = ()
    answers: Mapping[Key, api.ApiError | None] = field(default_factory=dict)
    reconciled: Mapping[str, str] = field(default_factory=dict)
    others: tuple[Key, ...] = ()
    annotations: Mapping[Key, Mapping[str, str]] = field(default_factory=dict)


def findings(
    seen: Seen, objects: Objects, args: ReferenceNetworkArgs
) -> tuple[tuple[Problem, ...], tuple[Problem, ...]]:
    """(What is wrong, what is missing and may still come) of what was seen."""
    if GROUP not in seen.versions:
        return (), (_not_served(seen),)
    unknown = sorted({key.kind for key in (*objects, *seen.others)} - seen.kinds - _OF_KUBERNETES)
    missing = [
        Problem(f"the cluster does not serve {kind}", seen.server, "bring its definitions up to date: muslin crds")
        for kind in unknown
    ]
    wrong = [*_rights(seen), *_two_writers(seen, objects), *_two_stacks(seen, args)]
    for key, answer in seen.answers.items():
        if isinstance(answer, api.NotFound):
            missing.append(_absent(key))
        elif isinstance(answer, api.Conflict):
            wrong += _conflicts(
                key, answer, args, posted=seen.annotations.get(key, {}).get(MANAGER_NAMED) == FIELD_MANAGER
            )
        elif answer is not None:
            wrong += [Problem(each.what, f"{spoken(key)}  {each.where}", each.fix) for each in answer.problems]
    return tuple(wrong), tuple(missing)


def _not_served(seen: Seen) -> Problem:
    if _OLDER in seen.versions:
        return Problem(
            f"this is an older Calico: it keeps its objects as {_OLDER}, and {GROUP} is not served",
            seen.server,
            "update Calico to 3.32 with native definitions, or install Calico's API server; muslin get reads both",
        )
    fix = "install them first: muslin crds | kubectl apply --server-side -f -; or let Calico's own installation do it"
    return Problem(f"the cluster has no definitions of {GROUP}", seen.server, fix)


def _rights(seen: Seen) -> Iterator[Problem]:
    verbs: dict[str, list[str]] = {}
    for kind, verb in seen.denied:
        verbs.setdefault(kind, []).append(verb)
    for kind, denied in verbs.items():
        fix = "bind a ClusterRole with these verbs to the user of the kubeconfig, or use another one"
        yield Problem(f"this user may not {', '.join(denied)} {kind} objects", seen.server, fix)


def _two_writers(seen: Seen, objects: Objects) -> Iterator[Problem]:
    for key in objects:
        owner = seen.reconciled.get(spoken(key))
        if owner is not None:
            fix = f"hand it over first: muslin adopt --back; or take it out of one of the two (set {owner})"
            yield Problem(f"a reconciler writes {spoken(key)} already: one writer at a time", spoken(key), fix)


def _two_stacks(seen: Seen, args: ReferenceNetworkArgs) -> Iterator[Problem]:
    for key, noted in seen.annotations.items():
        other = noted.get(WRITER, writer())
        if other != writer() and spoken(key) not in args.force:
            fix = f"take it out of one of the two; or, where that stack is gone, take it over: force=['{spoken(key)}']"
            yield Problem(f"the stack {other} writes {spoken(key)} already: one writer at a time", spoken(key), fix)


def _absent(key: Key) -> Problem:
    if key.kind == "Node":
        fix = "correct its name in the facts, or wait until its kubelet has registered it"
        return Problem(f"the cluster has no node {key.name}", spoken(key), fix)
    fix = f"create the namespace {key.namespace} first, or name another"
    return Problem(f"the namespace {key.namespace} is not there", spoken(key), fix)


def _conflicts(key: Key, answer: api.Conflict, args: ReferenceNetworkArgs, *, posted: bool) -> Iterator[Problem]:
    """Fields of others.

    Of an object that names our manager (`posted`) those that the provider made it with are not: it takes them over by
    itself. At those of any other program of Pulumi's it would fail, halfway.
    """
    if spoken(key) in args.force:
        return
    for cause in answer.causes:
        if posted and f'"{_OWN}"' in cause.message:
            continue
        field_of = f"{spoken(key)}  {cause.field.lstrip('.')}"
        if f'"{_OPERATOR}' in cause.message:
            fix = "say it in the operator's Installation, which writes it back otherwise; or leave the field to it"
            yield Problem(f"the operator owns this field and wants another value ({cause.message})", field_of, fix)
        else:
            fix = f"give it the same value, or take it over: force=['{spoken(key)}']"
            yield Problem(f"somebody else set this field to another value ({cause.message})", field_of, fix)
