"""What `muslin check` finds in a folder, without a datastore: files, references, pools, facts."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from blueprints import catalogue, draft, facts
from blueprints.decision import Blueprint
from blueprints.staged import states_of, written_to
from muslin import resources, yaml
from muslin.errors import BadInput, Place, Problem
from muslin.resources.base import Resource
from muslin.resources.keys import Key
from muslin.semantics.inconsistency import Inconsistency, Reason
from muslin.semantics.references import dangling, overlapping_pools
from reconciler.compare import canonical
from reconciler.local import read_folder
from reconciler.manifests import Reading

__all__ = ["Checked", "Finding", "Rule", "check_folder"]

_PLACE: Final = re.compile(r"(?P<file>.+?):(?P<line>\d+):(?P<column>\d+)(?:  (?P<path>.*))?")
_FACTS: Final = facts.API_VERSION.partition("/")[0] + "/"


class Rule(enum.Enum):
    """What is checked; the value is what programs read."""

    READABLE = "Readable"
    REFERENCES = "References"
    POOLS_APART = "PoolsApart"
    DECIDABLE = "Decidable"
    AS_DECIDED = "AsDecided"

    @property
    def sentence(self) -> str:
        """What it says."""
        return _SENTENCES[self]

    @property
    def is_error(self) -> bool:
        """Whether a finding must not be pushed; the others are for a person to look at."""
        return self is not Rule.AS_DECIDED


_SENTENCES: Final = {
    Rule.READABLE: "Every file is read, every object is valid, and none is declared twice",
    Rule.REFERENCES: "What an object names is there",
    Rule.POOLS_APART: "Pools have no common addresses",
    Rule.DECIDABLE: "The reference architecture says yes to the facts",
    Rule.AS_DECIDED: "Resources are as the blueprint decides from the facts beside them",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: which rule, what, where, what to do."""

    rule: Rule
    what: str
    place: Place
    fix: str
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """Every file that was looked at, and what was found, in the order of files and lines."""

    files: tuple[str, ...]
    findings: tuple[Finding, ...]


def check_folder(folder: Path) -> Checked:
    """Run all rules.

    Raises:
        BadInput: there is no such folder.
        Unavailable: a file cannot be read.
    """
    reading = read_folder(folder, name=str(folder))
    described = list(_facts_in(folder))
    found = [_of_problem(Rule.READABLE, problem) for problem in reading.problems]
    found += _of_objects(reading)
    for name, document in described:
        found += _of_facts(name, document, reading)
    files = {str(each.place.file) for each in reading.resources.values()} | {name for name, _ in described}
    files |= {each.place.file for each in found if each.place.file is not None}
    files |= {each.place.partition(":")[0] for each in reading.probes}
    ordered = sorted(found, key=lambda each: (each.place.file or "", each.place.line or 0, each.place.column or 0))
    return Checked(tuple(sorted(files)), tuple(ordered))


def _facts_in(folder: Path) -> Iterator[tuple[str, yaml.Document]]:
    """Documents that describe a cluster. Files that cannot be read are told by whoever reads resources."""
    for path in sorted([*folder.rglob("*.yaml"), *folder.rglob("*.yml")]):
        name = str(path.relative_to(folder))
        if not path.is_file() or path.is_symlink() or any(part.startswith(".") for part in Path(name).parts):
            continue
        try:
            documents = yaml.load(path.read_bytes(), name)
        except (BadInput, OSError):
            continue
        for document in documents:
            if isinstance(document.value, dict) and str(document.value.get("apiVersion")).startswith(_FACTS):
                yield name, document


def _of_problem(rule: Rule, problem: Problem) -> Finding:
    found = _PLACE.fullmatch(problem.where)
    if found is None:
        return Finding(rule, problem.what, Place(file=problem.where), problem.fix, problem.source)
    place = Place(found["file"], int(found["line"]), int(found["column"]), found["path"])
    return Finding(rule, problem.what, place, problem.fix, problem.source)


def _of_objects(reading: Reading) -> Iterator[Finding]:
    objects = {key: each.value for key, each in reading.resources.items()}
    for each in (*dangling(objects), *overlapping_pools(objects)):
        if each.reason is not Reason.NODE_GONE:  # nodes are Kubernetes' and need no file
            yield _of_inconsistency(each, reading)


def _of_inconsistency(each: Inconsistency, reading: Reading) -> Finding:
    rule = Rule.POOLS_APART if each.reason is Reason.POOLS_OVERLAP else Rule.REFERENCES
    return Finding(rule, f"{each.key}: {each.what}", reading.resources[each.key].place, each.fix)


def _of_facts(name: str, document: yaml.Document, reading: Reading) -> Iterator[Finding]:
    try:
        given = facts.load(document.value, document.places, name)
    except BadInput as wrong:  # these are told with the files that can't be read
        refused = catalogue.refusals_beside(document.value, document.places, name, wrong)
        yield from (_of_problem(Rule.DECIDABLE, problem) for problem in refused)
        return
    try:
        named = given.model_copy(update={"blueprint": given.blueprint or draft.fitting(given)})
        decided = catalogue.decide(named, document.places, name)
    except BadInput as refused:
        yield from (_of_problem(Rule.DECIDABLE, problem) for problem in refused.problems)
        return
    meant: dict[Key, list[Resource]] = {}
    count = 0
    for state in states_of(decided):
        count += 1
        for key, resource in state.items():
            meant.setdefault(key, []).append(resource)
    always = {key for key, states in meant.items() if len(states) == count}
    yield from _missing(name, decided, reading, always)
    yield from _left_over(name, reading, set(meant))
    for key, states in meant.items():
        declared = reading.resources.get(key)
        if declared is None:
            continue
        written = canonical(declared.value)
        differing = [_differing(written, canonical(resources.dump(each))) for each in dict.fromkeys(states)]
        if all(differing):
            what = f"{key} is not as {name} decides: {', '.join(differing[-1])}"
            fix = f"muslin render {name}, or override the decision in {name} with your reason"
            yield Finding(Rule.AS_DECIDED, what, declared.place, fix)


def _missing(name: str, decided: Blueprint, reading: Reading, always: set[Key]) -> Iterator[Finding]:
    """What a group lacks of which something is there; a group that is not there at all is not pushed yet."""
    for group in decided.groups:
        keys = [resource.key for held in group.files.values() for resource in held]
        if not any(key in reading.resources for key in keys):
            continue
        for key in keys:
            if key not in reading.resources and key in always:
                what = f"{key} is decided by {name}, and is not there, while others of the group {group.name} are"
                yield Finding(Rule.AS_DECIDED, what, Place(file=name), f"muslin render {name} --out .")


def _left_over(name: str, reading: Reading, meant: set[Key]) -> Iterator[Finding]:
    """What stands in a file that the blueprint writes, and is not decided any more."""
    for key, each in reading.resources.items():
        if key not in meant and written_to(key.kind, each.place.file):
            what = f"{key} is not decided by {name}, and stays in force"
            fix = "remove it from the file; what is your own belongs into a file of another name"
            yield Finding(Rule.AS_DECIDED, what, each.place, fix)


def _differing(declared: dict[str, Any], decided: dict[str, Any]) -> list[str]:
    """Names of fields of the specs that are not the same."""
    ours, theirs = declared.get("spec") or {}, decided.get("spec") or {}
    return sorted(f"spec.{field}" for field in {*ours, *theirs} if ours.get(field) != theirs.get(field))
