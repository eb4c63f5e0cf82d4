"""The installed blueprints by name. A cluster's file names one; nothing else of a repository is ever run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from blueprints import multi_subnet, route_reflectors, single_subnet, top_of_rack
from blueprints.decision import Blueprint
from blueprints.facts import Facts
from muslin.errors import BadInput, Problem
from muslin.resources.places import Places, place_of
from muslin.resources.problems import nearest

__all__ = ["BLUEPRINTS", "decide"]

BLUEPRINTS: Mapping[str, Callable[[Facts, Places | None, str | None], Blueprint]] = MappingProxyType(
    {
        single_subnet.NAME: single_subnet.single_subnet,
        multi_subnet.NAME: multi_subnet.multi_subnet,
        route_reflectors.NAME: route_reflectors.route_reflectors,
        top_of_rack.NAME: top_of_rack.top_of_rack,
    }
)
"""Mapping[name, blueprint]."""


def decide(facts: Facts, places: Places | None = None, file: str | None = None) -> Blueprint:
    """What the blueprint that the facts name decides about them.

    Args:
        facts: of the cluster.
        places: where the facts stand in their text, if known.
        file: name of that text.

    Raises:
        BadInput: the facts name no blueprint, or one that is not installed, or the blueprint says no.
    """
    known = ", ".join(BLUEPRINTS)
    where = str(place_of(("blueprint",), places, file))
    if facts.blueprint is None:
        raise BadInput(Problem("the facts name no blueprint", where, f"set blueprint to one of {known}"))
    if facts.blueprint not in BLUEPRINTS:
        meant = nearest(facts.blueprint, BLUEPRINTS)
        fix = f"did you mean {meant}?" if meant else f"use one of {known}"
        raise BadInput(Problem(f"there is no blueprint {facts.blueprint!r}", where, fix))
    return BLUEPRINTS[facts.blueprint](facts, places, file)
