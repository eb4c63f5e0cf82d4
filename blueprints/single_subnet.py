"""Blueprint for a cluster whose nodes share one subnet: no encapsulation where the network allows it, a mesh."""

from __future__ import annotations

from blueprints.asking import Asked
from blueprints.decision import Blueprint
from blueprints.facts import Facts
from blueprints.meshed import meshed
from blueprints.standing import one_subnet
from muslin.resources.places import Places

__all__ = ["NAME", "STANDING", "single_subnet"]

NAME = "single_subnet"
STANDING = one_subnet
"""What must be true of its subnets."""


def single_subnet(facts: Facts, places: Places | None = None, file: str | None = None) -> Blueprint:
    """All decisions about a cluster in one subnet, and its resources.

    Args:
        facts: of the cluster.
        places: where the facts stand in their text, if known.
        file: name of that text.

    Raises:
        BadInput: the architecture says no; with every reason that there is.
    """
    return meshed(NAME, Asked(facts, places, file), STANDING)
