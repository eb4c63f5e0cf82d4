"""Blueprint for a cluster in several subnets: what crosses routers is encapsulated, what does not is not; a mesh."""

from __future__ import annotations

from blueprints.asking import Asked
from blueprints.decision import Blueprint
from blueprints.facts import Facts
from blueprints.meshed import meshed
from blueprints.standing import several_subnets
from muslin.resources.places import Places

__all__ = ["NAME", "STANDING", "multi_subnet"]

NAME = "multi_subnet"
STANDING = several_subnets
"""What must be true of its subnets."""


def multi_subnet(facts: Facts, places: Places | None = None, file: str | None = None) -> Blueprint:
    """All decisions about a cluster in several subnets, and its resources.

    Args:
        facts: of the cluster.
        places: where the facts stand in their text, if known.
        file: name of that text.

    Raises:
        BadInput: the architecture says no; with every reason that there is.
    """
    return meshed(NAME, Asked(facts, places, file), STANDING)
