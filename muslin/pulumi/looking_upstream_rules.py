"""What of a cluster, as it was seen, speaks against telling upstream Calico what was decided: pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from muslin.errors import Problem
from muslin.kubernetes import errors as api
from muslin.pulumi.arguments import ReferenceNetworkArgs
from muslin.pulumi.looking_rules import absent, rights, two_stacks
from muslin.pulumi.naming import spoken
from muslin.resources.keys import Key

__all__ = ["OPERATORS", "Installing", "Running", "Upstream", "findings"]

OPERATORS: Final = "operator.tigera.io/v1"
_ITSELF: Final = re.compile(r'"(operator|tigera-operator)[/"]')
"""The operator in the record of who manages which field: it writes its defaults into what it is told."""


class Running(NamedTuple):
    """A release of Calico that runs: where it was seen, as it is called there, and its first two numbers."""

    where: str
    release: str
    numbers: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Installing:
    """What is about to be written.

    Attributes:
        objects: Mapping[Key, object as JSON].
        patched: of which only some fields are written, by force: upstream's own.
        by_operator: whether the operator is told; else upstream's manifest is patched.
        release: of Calico that the decisions are for, its first two numbers.
        secret: that is written beside, with etcd's certificates.
    """

    objects: Mapping[Key, Mapping[str, Any]]
    patched: frozenset[Key]
    by_operator: bool
    release: tuple[int, int]
    secret: Key | None = None


@dataclass(frozen=True, slots=True)
class Upstream:
    """A cluster as it answered.

    Attributes:
        server: its address.
        denied: (kind, verb) of what we may not do; nothing was tried where there is any.
        served: the objects of kinds that it serves.
        answers: what it said to a dry run of each write, None for yes.
        annotations: Mapping[Key, its annotations] of the objects that are there.
        operated: whether the operator was told to install Calico.
        running: which Calico runs, where that can be seen.
    """

    server: str
    denied: tuple[tuple[str, str], ...] = ()
    served: frozenset[Key] = frozenset()
    answers: Mapping[Key, api.ApiError | None] = field(default_factory=dict)
    annotations: Mapping[Key, Mapping[str, str]] = field(default_factory=dict)
    operated: bool = False
    running: Running | None = None


def findings(
    seen: Upstream, installing: Installing, args: ReferenceNetworkArgs
) -> tuple[tuple[Problem, ...], tuple[Problem, ...]]:
    """(What is wrong, what is missing and may still come) of what was seen."""
    wrong = [*rights(seen.denied, seen.server), *two_stacks(seen.annotations, args)]
    missing = [*_not_served(seen, installing), *_older(seen, installing)]
    if seen.operated and not installing.by_operator:
        fix = "by='operator', which tells it what was decided; or take it and its Installation out of the cluster first"
        what = "the operator installs Calico here: it would take back what is patched into a manifest's objects"
        wrong.append(Problem(what, "Installation/default", fix))
    for key, answer in seen.answers.items():
        if isinstance(answer, api.NotFound):
            missing.append(_not_there(key) if key in installing.patched else absent(key))
        elif isinstance(answer, api.Conflict):
            wrong += _conflicts(key, answer, args)
        elif answer is not None:
            wrong += [Problem(each.what, f"{spoken(key)}  {each.where}", each.fix) for each in answer.problems]
    return tuple(wrong), tuple(missing)


def _not_served(seen: Upstream, installing: Installing) -> Iterator[Problem]:
    for kind in sorted({key.kind for key in installing.objects.keys() - seen.served}):
        fix = "install upstream's operator first, or with the same program and depends_on"
        if not installing.by_operator:
            fix = "use a Kubernetes that serves it: 1.31 or newer"
        yield Problem(f"the cluster does not serve {kind}", seen.server, fix)


def _older(seen: Upstream, installing: Installing) -> Iterator[Problem]:
    if seen.running is not None and seen.running.numbers < installing.release:
        meant = ".".join(map(str, installing.release))
        fix = f"update upstream's {'operator' if installing.by_operator else 'manifest'} to {meant} first"
        what = f"this is an older Calico: {seen.running.release} runs, and the decisions are for {meant}"
        yield Problem(what, seen.running.where, fix)


def _not_there(key: Key) -> Problem:
    fix = "apply upstream's calico.yaml first, or with the same program and depends_on"
    return Problem(
        f"upstream's {key.kind} {key.name} is not there, of which only some fields are ours", spoken(key), fix
    )


def _conflicts(key: Key, answer: api.Conflict, args: ReferenceNetworkArgs) -> Iterator[Problem]:
    """Fields that a person or another program set otherwise; not those that the operator wrote by itself."""
    if spoken(key) in args.force:
        return
    for cause in answer.causes:
        if not _ITSELF.search(cause.message):
            fix = f"give it the same value, or take it over: force=['{spoken(key)}']"
            what = f"somebody else set this field to another value ({cause.message})"
            yield Problem(what, f"{spoken(key)}  {cause.field.lstrip('.')}", fix)
