"""Blueprints as parts that compose: where nodes stand, how packets travel, how routes are told, what is routable.

A cluster's file names one part, or several with `+` between them, as in `multi_subnet + route_reflectors`. Whatever no
part speaks of, the rules decide from the facts.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from blueprints import (
    full_ipip,
    meshed,
    multi_subnet,
    routable_pods,
    routable_services,
    route_reflectors,
    single_subnet,
    top_of_rack,
    vxlan,
)  # fmt: skip
from blueprints.asking import Asked, Premise
from blueprints.decision import Blueprint
from blueprints.facts import Facts
from blueprints.musts import Must, refuse
from blueprints.standing import Standing, some_subnets
from muslin.errors import BadInput, Problem
from muslin.resources.places import Places, place_of
from muslin.resources.problems import nearest

__all__ = ["PARTS", "Aspect", "Part", "compose", "parts_of"]


class Aspect(enum.Enum):
    """What a part speaks of; a blueprint has at most one part of each, but for what is routable."""

    STANDING = "where nodes stand"
    ENCAPSULATION = "how packets travel"
    DISTRIBUTION = "how routes are told"
    ROUTABLE = "what is routable"


@dataclass(frozen=True, slots=True)
class Part:
    """A part by its name.

    Attributes:
        aspect: what it speaks of.
        standing: of `STANDING`: what must be true of subnets.
        premise: of `ENCAPSULATION`: which answers are asked for.
        network: of `DISTRIBUTION`: the blueprint from what is asked.
        demand: of `ROUTABLE`: what the facts must wish for.
    """

    aspect: Aspect
    standing: Standing | None = None
    premise: Premise | None = None
    network: Callable[[str, Asked, Standing], Blueprint] | None = None
    demand: Callable[[Asked], tuple[Problem, ...]] | None = None


PARTS: Final[Mapping[str, Part]] = MappingProxyType(
    {
        single_subnet.NAME: Part(Aspect.STANDING, standing=single_subnet.STANDING),
        multi_subnet.NAME: Part(Aspect.STANDING, standing=multi_subnet.STANDING),
        full_ipip.NAME: Part(Aspect.ENCAPSULATION, premise=full_ipip.PREMISE),
        vxlan.NAME: Part(Aspect.ENCAPSULATION, premise=vxlan.PREMISE),
        route_reflectors.NAME: Part(Aspect.DISTRIBUTION, network=route_reflectors.reflected_network),
        top_of_rack.NAME: Part(Aspect.DISTRIBUTION, network=top_of_rack.switched_network),
        routable_pods.NAME: Part(Aspect.ROUTABLE, demand=routable_pods.demanded),
        routable_services.NAME: Part(Aspect.ROUTABLE, demand=routable_services.demanded),
    }
)
"""Mapping[name, part]."""


def parts_of(name: str) -> tuple[str, ...]:
    """The names of the parts that a blueprint's name names, in its order; unknown ones among them."""
    return tuple(each.strip() for each in name.split("+"))


def compose(name: str, facts: Facts, places: Places | None = None, file: str | None = None) -> Blueprint:
    """What the parts that a name names decide about a cluster.

    Args:
        name: of one part, or of several with `+` between them.
        facts: of the cluster.
        places: where the facts stand in their text, if known.
        file: name of that text.

    Raises:
        BadInput: there is no such part, two speak of the same, or the architecture says no; with every reason.
    """
    names = parts_of(name)
    if wrong := tuple(_wrong(names, str(place_of(("blueprint",), places, file)))):
        raise BadInput(wrong)
    parts = [PARTS[each] for each in names]
    premise = next((each.premise for each in parts if each.premise is not None), None)
    standing = next((each.standing for each in parts if each.standing is not None), some_subnets)
    network = next((each.network for each in parts if each.network is not None), meshed.meshed)
    asked = Asked(facts, places, file, premise)
    for each in parts:
        if each.demand is not None:
            asked.add(each.demand(asked))
    return network(" + ".join(names), asked, standing)


def _wrong(names: Sequence[str], where: str) -> list[Problem]:
    found: list[Problem] = []
    for each in names:
        if each not in PARTS:
            meant = nearest(each, PARTS)
            fix = f"did you mean {meant}?" if meant else f"use {', '.join(PARTS)}, or several with + between them"
            found.append(Problem(f"there is no blueprint {each!r}", where, fix))
    known = [each for each in dict.fromkeys(names) if each in PARTS]
    found += [Problem(f"{each} is named twice", where, "name it once") for each in known if names.count(each) > 1]
    for aspect in Aspect:
        same = [each for each in known if PARTS[each].aspect is aspect]
        if aspect is not Aspect.ROUTABLE and len(same) > 1:
            what = f"{' and '.join(same)} both say {aspect.value}"
            found += refuse(Must.ONE_ANSWER, what, where, f"name one of them; {_NOTE[aspect]}")
    return found


_NOTE: Final = {
    Aspect.STANDING: "nodes stand in one subnet or in several",
    Aspect.ENCAPSULATION: "a pool has one encapsulation",
    Aspect.DISTRIBUTION: "beside reflectors switches are named under topOfRack, which needs no part",
}
