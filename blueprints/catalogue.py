"""The installed blueprints by name. A cluster's file names one, or parts of several; nothing of a repository is run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from blueprints.composition import PARTS, compose
from blueprints.decision import Blueprint
from blueprints.draft import fitting
from blueprints.facts import Facts, load, load_as_told
from muslin.errors import BadInput, Problem
from muslin.resources.places import Places, place_of

__all__ = ["BLUEPRINTS", "decide", "decide_document", "refusals_beside"]

BLUEPRINTS: Mapping[str, Callable[[Facts, Places | None, str | None], Blueprint]] = MappingProxyType(
    {name: partial(compose, name) for name in PARTS}
)
"""Mapping[name, blueprint]; `blueprints.composition.parts_of` says which of these a composed name names."""


def decide(facts: Facts, places: Places | None = None, file: str | None = None) -> Blueprint:
    """What the blueprint that the facts name decides about them.

    Args:
        facts: of the cluster.
        places: where the facts stand in their text, if known.
        file: name of that text.

    Raises:
        BadInput: the facts name no blueprint, or one that is not installed, or the blueprint says no.
    """
    if facts.blueprint is None:
        where = str(place_of(("blueprint",), places, file))
        raise BadInput(
            Problem("the facts name no blueprint", where, f"set blueprint to one of {', '.join(BLUEPRINTS)}")
        )
    return compose(facts.blueprint, facts, places, file)


def decide_document(
    value: Any, places: Places | None = None, file: str | None = None, blueprint: str | None = None
) -> tuple[Facts, Blueprint]:
    """The facts of a document, and what is decided about them, by the blueprint that fits where none is named.

    Args:
        value: the whole document, JSON-like.
        places: where its values stand, if known.
        file: name to show.
        blueprint: asked for instead of the facts' own.

    Raises:
        BadInput: with every problem, contradictions and refusals together.
    """
    try:
        given = load(value, places, file)
    except BadInput as wrong:
        raise BadInput((*wrong.problems, *refusals_beside(value, places, file, wrong, blueprint))) from None
    named = given.model_copy(update={"blueprint": blueprint or given.blueprint or fitting(given)})
    return named, decide(named, places, file)


def refusals_beside(
    value: Any, places: Places | None, file: str | None, wrong: BadInput, blueprint: str | None = None
) -> tuple[Problem, ...]:
    """What the architecture says no to in facts that contradict each other, as far as that can be told.

    What can't be changed live is not: it needs resources, and such facts may make none.

    Args:
        value: the whole document.
        places: where its values stand, if known.
        file: name to show.
        wrong: the contradictions, which are not told again.
        blueprint: asked for instead of the facts' own.
    """
    told = load_as_told(value)
    if told is None:
        return ()
    known = {each.what for each in wrong.problems}
    new = told.model_copy(update={"running": None})
    try:
        decide(new.model_copy(update={"blueprint": blueprint or new.blueprint or fitting(new)}), places, file)
    except BadInput as refused:
        return tuple(each for each in refused.problems if each.what not in known)
    except ValidationError:  # of a resource that such facts would make, as by a name that is none
        return ()
    return ()
