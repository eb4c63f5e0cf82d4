"""Blueprint for clusters whose services the outside reaches by their own address: ranges that nodes announce.

It is named with the part that says how routes are told, such as `multi_subnet + route_reflectors + routable_services`.
"""

from __future__ import annotations

from typing import Final

from blueprints.asking import Asked
from blueprints.musts import Must, refuse
from muslin.errors import Problem

__all__ = ["NAME", "demanded"]

NAME: Final = "routable_services"


def demanded(asked: Asked) -> tuple[Problem, ...]:
    """What is missing among the facts; the rules for services are asked wherever facts wish for them."""
    if asked.facts.routable.services:
        return ()
    what = "this blueprint is about routable services, and the facts wish for none"
    fix = "set clusterIPs, externalIPs or loadBalancerIPs under routable, or leave the part out"
    return refuse(Must.PART_HAS_FACTS, what, asked.place("routable"), fix)
