"""The installed blueprints by name. A cluster's file names one, or parts of several; nothing of a repository is run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from blueprints.composition import PARTS, compose
from blueprints.decision import Blueprint
from blueprints.facts import Facts
from muslin.errors import BadInput, Problem
from muslin.resources.places import Places, place_of

__all__ = ["BLUEPRINTS", "decide"]

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
