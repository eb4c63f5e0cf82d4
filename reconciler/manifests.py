"""Texts of a repository to declared resources: parse, check, refuse what a repository must not set, find doubles.

Pure but for the cache, which is a function of its keys: a file whose blob is unchanged is not parsed again. Every
problem of every file is collected, because whoever pushed wants to know all of them at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from muslin import resources, yaml
from muslin.errors import BadInput, Place, Problem
from muslin.resources.base import Resource
from muslin.resources.keys import Key
from reconciler.compare import stripped
from reconciler.probe import Probe, is_probe, probe_of, too_many
from reconciler.rendering import FromFacts, is_facts, rendered
from reconciler.tree import File

__all__ = ["GROUP", "REFUSED", "Declared", "Manifests", "Reading", "declarable"]

GROUP: Final = "reconciler.muslin/"
"""API group of the reconciler's own kinds."""

_IPAM = "addresses in use are state that allocators write, not configuration"
REFUSED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "IPAMBlock": _IPAM,
        "BlockAffinity": _IPAM,
        "IPAMHandle": _IPAM,
        "IPAMConfiguration": _IPAM,
        "IPAMConfig": _IPAM,
        "WorkloadEndpoint": "it says that a pod runs, and only the CNI plugin knows",
        "CalicoNodeStatus": "it is what an agent saw",
        "LiveMigration": "it is what an orchestrator of virtual machines reports",
        "ClusterInformation": "it is the datastore's own state",
        "ReconcilerBatch": "it says where writes of the reconciler begin and end",
        "ReconcilerControl": "it is what operators tell the reconciler",
        "ReconcilerHistory": "it is what the reconciler has done",
        "ReconcilerLease": "it says which of several reconcilers acts",
        "ReconcilerLedger": "it is what the reconciler remembers",
        "ReconcilerProbe": "it is what the reconciler asks a node; what it is to ask is declared as a Probe",
        "ReconcilerStatus": "it is what the reconciler says",
    }
)
"""Kinds that a repository must not set, and why. A Node may be set: only the fields that the file names are ours."""


@dataclass(frozen=True, slots=True)
class Declared:
    """One resource as a commit declares it: identity, canonical JSON, and where it stands."""

    key: Key
    value: Mapping[str, Any]
    place: Place


@dataclass(frozen=True, slots=True)
class Reading:
    """What one commit says. With any problem, `resources` is what could be read, and must not be applied.

    `probes` are what must hold while it is on trial, in the order of the files. `facts` is what else follows from
    facts of a cluster; None where there are none, or no blueprint is allowed.
    """

    commit: str
    resources: Mapping[Key, Declared]
    problems: tuple[Problem, ...] = ()
    probes: tuple[Probe, ...] = ()
    facts: FromFacts | None = None


@dataclass(frozen=True, slots=True)
class _Parsed:
    declared: tuple[Declared, ...]
    problems: tuple[Problem, ...]
    probes: tuple[Probe, ...] = ()
    facts: FromFacts | None = None


def declarable() -> tuple[str, ...]:
    """The kinds that a repository may set, sorted: those that are watched for drift."""
    return tuple(sorted(kind for kind in resources.KINDS if kind not in REFUSED))


class Manifests:
    """Reads the manifests of commits, each file once.

    `parses` counts how many files were really parsed. What follows from facts is kept with their file, so a blueprint
    is asked again only when the file changes.

    Args:
        blueprints: installed blueprints by which facts are rendered; with none they are only checked.
    """

    def __init__(self, blueprints: frozenset[str] = frozenset()) -> None:
        self._blueprints = blueprints
        self._known: dict[File, _Parsed] = {}
        self._former: dict[File, _Parsed] = {}
        self.parses = 0

    def read(
        self, commit: str, files: Iterable[File], content: Callable[[File], bytes], problems: Iterable[Problem] = ()
    ) -> Reading:
        """All resources of these files.

        Args:
            commit: what the reading is of.
            files: what to read, in the order in which doubles are reported.
            content: gives a file's bytes; called only for files that are not known from this or the last reading.
            problems: what was wrong with the tree already.
        """
        used: dict[File, _Parsed] = {}
        found: dict[Key, Declared] = {}
        wrong = list(problems)
        probes: list[Probe] = []
        for file in files:
            parsed = self._known.get(file) or self._former.get(file)
            if parsed is None:
                self.parses += 1
                parsed = _parse(file.path, content(file), self._blueprints)
            used[file] = parsed
            wrong.extend(parsed.problems)
            probes += parsed.probes
            for each in parsed.declared:
                first = found.setdefault(each.key, each)
                if first is not each:
                    wrong.append(
                        Problem(
                            f"{each.key} is declared twice, first at {first.place}",
                            str(each.place),
                            "remove one of them",
                        )
                    )
        if used != self._known:
            self._former, self._known = self._known, used
        wrong += too_many(tuple(probes))
        facts = next((each.facts for each in used.values() if each.facts is not None), None)
        return Reading(commit, MappingProxyType(found), tuple(wrong), tuple(probes), facts)


def _parse(path: str, text: bytes, blueprints: frozenset[str]) -> _Parsed:
    try:
        documents = yaml.load(text, path)
    except BadInput as error:
        return _Parsed((), error.problems)
    declared: list[Declared] = []
    problems: list[Problem] = []
    probes: list[Probe] = []
    facts: FromFacts | None = None
    for document in documents:
        if document.value is None:
            continue
        try:
            if is_probe(document.value):
                probes.append(probe_of(document.value, document.places, path))
            elif is_facts(document.value):
                found, facts = rendered(document.value, document.places, path, blueprints)
                declared.extend(_checked(each.resource, document.places, path, each.place) for each in found)
            else:
                declared.append(_declare(document, path))
        except BadInput as error:
            problems.extend(error.problems)
        except Exception as error:  # noqa: BLE001  one file must never end the process
            what = f"the object cannot be read: {type(error).__name__}"
            problems.append(Problem(what, str(document.places.at(())), "simplify it, and tell us: this is a fault"))
    return _Parsed(tuple(declared), tuple(problems), tuple(probes), facts)


def _declare(document: yaml.Document, path: str) -> Declared:
    value = document.value
    if isinstance(value, Mapping):
        kind, version = value.get("kind"), value.get("apiVersion")
        reason = REFUSED.get(kind) if isinstance(kind, str) else None
        if reason is None and isinstance(version, str) and version.startswith(GROUP):
            reason = "the reconciler's own kinds are its memory"
        if reason is not None:
            raise BadInput(
                Problem(f"a repository must not set {kind}: {reason}", str(document.places.at(("kind",))), "remove it")
            )
    resource = resources.load(value, document.places, path)
    return _checked(resource, document.places, path, document.places.at(()))


def _checked(resource: Resource, places: yaml.Places, path: str, place: Place) -> Declared:
    return Declared(resource.key, stripped(resources.as_stored(resource, places, path)), place)
