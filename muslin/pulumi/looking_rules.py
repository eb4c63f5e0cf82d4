"""What of a cluster, as it was seen, would make a write fail or set two writers on one object: pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Final, TypeAlias

from muslin.errors import Problem
from muslin.kubernetes import errors as api
from muslin.net import Prefix, parse_prefix
from muslin.pulumi.arguments import ReferenceNetworkArgs
from muslin.pulumi.asking import Entry
from muslin.pulumi.naming import FIELD_MANAGER, MANAGER_NAMED, WRITER, spoken, writer
from muslin.resources.keys import Key
from reconciler.ledger import KIND as LEDGER

__all__ = ["GROUP", "Objects", "Seen", "absent", "doubts", "findings", "rights", "two_stacks"]

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
        secrets: Mapping[(Secret, entry), (whether it is there, peers that name it)].
        pools: Mapping[name, range] of the pools that are there, whoever's they are.
    """

    server: str
    versions: frozenset[str]
    kinds: frozenset[str] = frozenset()
    denied: tuple[tuple[str, str], ...] = ()
    answers: Mapping[Key, api.ApiError | None] = field(default_factory=dict)
    reconciled: Mapping[str, str] = field(default_factory=dict)
    others: tuple[Key, ...] = ()
    annotations: Mapping[Key, Mapping[str, str]] = field(default_factory=dict)
    secrets: Mapping[tuple[Key, str], tuple[Entry, tuple[Key, ...]]] = field(default_factory=dict)
    pools: Mapping[str, str] = field(default_factory=dict)


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
    wrong = [*rights(seen.denied, seen.server), *_two_writers(seen, objects), *two_stacks(seen.annotations, args)]
    wrong += _overlapping(seen.pools, objects)
    missing += _passwords(seen, Entry.ABSENT, Entry.WITHOUT)
    for key, answer in seen.answers.items():
        if isinstance(answer, api.NotFound):
            missing.append(absent(key))
        elif isinstance(answer, api.Conflict):
            wrong += _conflicts(
                key, answer, args, posted=seen.annotations.get(key, {}).get(MANAGER_NAMED) == FIELD_MANAGER
            )
        elif answer is not None:
            wrong += [Problem(each.what, f"{spoken(key)}  {each.where}", each.fix) for each in answer.problems]
    return tuple(wrong), tuple(missing)


def doubts(seen: Seen) -> tuple[Problem, ...]:
    """What could not be seen and is no reason to refuse: to be told."""
    return tuple(_passwords(seen, Entry.UNSEEN))


def _passwords(seen: Seen, *entries: Entry) -> Iterator[Problem]:
    """Secrets that peers name and that are as told: their sessions would not come up."""
    for (secret, name), (entry, peers) in seen.secrets.items():
        if entry in entries:
            what = {
                Entry.ABSENT: f"the Secret {secret.namespace}/{secret.name} is not there",
                Entry.WITHOUT: f"the Secret {secret.namespace}/{secret.name} has no entry {name}",
                Entry.UNSEEN: f"this user may not see whether the Secret {secret.namespace}/{secret.name} is there",
            }[entry]
            fix = (
                f"create it with the password under the key {name}; or give the password, as passwords.{secret.name};"
                " or say in passwordNamespace where the agents run"
            )
            yield Problem(f"{what}: sessions need its password", ", ".join(map(spoken, peers)), fix)


def _not_served(seen: Seen) -> Problem:
    if _OLDER in seen.versions:
        return Problem(
            f"this is an older Calico: it keeps its objects as {_OLDER}, and {GROUP} is not served",
            seen.server,
            "update Calico to 3.32 with native definitions, or install Calico's API server; muslin get reads both",
        )
    fix = "install them first: muslin crds | kubectl apply --server-side -f -; or let Calico's own installation do it"
    return Problem(f"the cluster has no definitions of {GROUP}", seen.server, fix)


def rights(denied: Iterable[tuple[str, str]], server: str) -> Iterator[Problem]:
    """One problem for each kind, with everything that we may not do; `denied` as of `Seen`."""
    verbs: dict[str, list[str]] = {}
    for kind, verb in denied:
        verbs.setdefault(kind, []).append(verb)
    for kind, missing in verbs.items():
        fix = "bind a ClusterRole with these verbs to the user of the kubeconfig, or use another one"
        if kind == LEDGER:
            fix += "; without it nobody sees whether a reconciler writes the same objects"
        yield Problem(f"this user may not {', '.join(missing)} {kind} objects", server, fix)


def _two_writers(seen: Seen, objects: Objects) -> Iterator[Problem]:
    for key in objects:
        owner = seen.reconciled.get(spoken(key))
        if owner is not None:
            fix = f"hand it over first: muslin adopt --back; or take it out of one of the two (set {owner})"
            yield Problem(f"a reconciler writes {spoken(key)} already: one writer at a time", spoken(key), fix)


def _overlapping(pools: Mapping[str, str], objects: Objects) -> Iterator[Problem]:
    """Pools of others with addresses of ours: Calico would give one address to two pods, or none at all."""
    ours = {key.name: value.get("spec", {}).get("cidr") for key, value in objects.items() if key.kind == "IPPool"}
    for name, other in product(ours, sorted(pools.keys() - ours)):
        mine, theirs = _range(ours[name]), _range(pools[other])
        if mine is not None and theirs is not None and mine.version == theirs.version and mine.overlaps(theirs):
            fix = "give pods a range of their own in the facts; or delete the other pool when nobody uses it"
            yield Problem(f"the cluster's pool {other} has addresses of {mine}: {theirs}", f"IPPool/{name}", fix)


def _range(text: object) -> Prefix | None:
    try:
        return parse_prefix(str(text))
    except ValueError:
        return None  # told as invalid where it is ours


def two_stacks(annotations: Mapping[Key, Mapping[str, str]], args: ReferenceNetworkArgs) -> Iterator[Problem]:
    """Objects that name another stack as their writer; `annotations` as of `Seen`."""
    for key, noted in annotations.items():
        other = noted.get(WRITER, writer())
        if other != writer() and spoken(key) not in args.force:
            fix = f"take it out of one of the two; or, where that stack is gone, take it over: force=['{spoken(key)}']"
            yield Problem(f"the stack {other} writes {spoken(key)} already: one writer at a time", spoken(key), fix)


def absent(key: Key) -> Problem:
    """A node, or an object's namespace, that is not there."""
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
