"""Blueprint for clusters some of whose pods the outside reaches by their own address: a further pool, without NAT.

It is named with the part that says how routes are told, such as `top_of_rack + routable_pods`.
"""

from __future__ import annotations

from typing import Final

from blueprints.asking import Asked
from blueprints.musts import Must, refuse
from muslin.errors import Problem

__all__ = ["NAME", "demanded"]

NAME: Final = "routable_pods"


def demanded(asked: Asked) -> tuple[Problem, ...]:
    """What is missing among the facts; the rules for such pods are asked wherever facts wish for them."""
    if asked.facts.routable.pods is not None:
        return ()
    what = "this blueprint is about routable pods, and the facts wish for none"
    fix = "set routable: {pods: RANGE} and the label network-type: routable of nodes, or leave the part out"
    return refuse(Must.PART_HAS_FACTS, what, asked.place("routable"), fix)
