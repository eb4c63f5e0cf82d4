"""Facts in a repository to resources: by a blueprint that is installed and allowed for this set, and by nothing else.

The facts are data: they are checked, and then a function of ours is called with them. What follows has the facts'
place, and the names of the decisions that caused it, so that whoever asks where an object comes from is led there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from muslin.errors import BadInput, Place, Problem
from muslin.resources.base import Resource
from muslin.yaml import Places

if TYPE_CHECKING:
    from blueprints.decision import Blueprint

__all__ = ["FromFacts", "Rendered", "is_facts", "rendered"]

_FACTS = "blueprints.muslin/"


@dataclass(frozen=True, slots=True)
class Rendered:
    """One resource that follows from facts, and where from. `place.path` names blueprint and decisions."""

    resource: Resource
    place: Place


@dataclass(frozen=True, slots=True)
class FromFacts:
    """What else follows from facts: what pods' packets may have, and had, in bytes, where that is known.

    `place` is where the facts stand, `nodes` are those that they name. A commit that is rendered from facts changes a
    running cluster in stages.
    """

    place: Place
    mtu: int | None = None
    running_mtu: int | None = None
    nodes: tuple[str, ...] = ()


def is_facts(value: Any) -> bool:
    """Whether a document describes a cluster for a blueprint."""
    return isinstance(value, Mapping) and str(value.get("apiVersion")).startswith(_FACTS)


def rendered(
    value: Any, places: Places, path: str, allowed: frozenset[str]
) -> tuple[tuple[Rendered, ...], FromFacts | None]:
    """What follows from facts. With nothing allowed they are checked, and nothing follows.

    Args:
        value: the document.
        places: where its values stand.
        path: the file's path in the repository.
        allowed: names of installed blueprints.

    Raises:
        BadInput: the facts are wrong, name a blueprint that is not allowed, or are refused by it.
    """
    from blueprints import catalogue, facts  # noqa: PLC0415 - a third of our start, for who has no facts
    from blueprints.composition import parts_of  # noqa: PLC0415 - as above

    given = facts.load(value, places, path)
    if not allowed:
        return (), None
    wanted = parts_of(given.blueprint) if given.blueprint is not None else ()
    unfit = [each for each in wanted if each in catalogue.BLUEPRINTS and each not in allowed]
    if unfit:
        what = f"blueprint {unfit[0]} is not allowed for this set"
        fix = f"use one of {', '.join(sorted(allowed))}, or allow it where the reconciler is started"
        raise BadInput(Problem(what, str(places.at(("blueprint",))), fix))
    decided = catalogue.decide(given, places, path)
    top = places.at(())
    mtu = next((each.chosen for each in decided.decisions if each.name == "MTU"), "")
    running = given.running.mtu if given.running is not None else None
    return tuple(
        Rendered(each, Place(top.file, top.line, top.column, _because(decided, each))) for each in decided.resources
    ), FromFacts(top, int(mtu) if mtu.isdecimal() else None, running, tuple(each.name for each in given.nodes))


def _because(decided: Blueprint, resource: Resource) -> str:
    """Which decisions determine fields of a resource, in words for a place."""
    names = [each.name for each in decided.decisions if any(key == resource.key for key, _ in each.fields)]
    return f"(blueprint {decided.name}{': ' if names else ''}{', '.join(names)})"
