"""Which of several routes to one prefix is best. RFC 4271 section 9.1.2.2 with RFC 4456 section 9.

Two steps of the RFC have no object here: the cost to the next hop (the nodes are one hop away) comes out equal.
MED compares routes of one neighbour AS only, which makes the order of all routes partial; so the best of each
neighbour AS is found first and MED is left out among those.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from runtime.bgp.messages.attributes import Attributes
from runtime.bgp.policy import Ineligible, Source

__all__ = ["Path", "Preferred", "best", "why"]

_DEFAULT_LOCAL_PREF = 100


class Preferred(enum.Enum):
    """The step that decided."""

    LOCAL = "we originate it"
    LOCAL_PREF = "greater local preference"
    AS_PATH = "shorter AS path"
    ORIGIN = "lower origin"
    MED = "lower MED"
    EXTERNAL = "external over internal"
    ROUTER_ID = "lower originator or router id"
    CLUSTER_LIST = "shorter cluster list"
    PEER_ADDRESS = "lower peer address"


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """One way to a prefix; one object serves all prefixes of an update. `source` None: we originate it."""

    source: Source | None
    attributes: Attributes
    next_hop: bytes = b""
    ineligible: Ineligible | None = None
    stale: bool = False
    rank: tuple[tuple[int, ...], int, tuple[int, ...]] = field(init=False)
    """Steps before MED, MED, steps after it; the smaller is better."""

    def __post_init__(self) -> None:
        attributes, source = self.attributes, self.source
        local_pref = attributes.local_pref if attributes.local_pref is not None else _DEFAULT_LOCAL_PREF
        before = (source is not None, -local_pref, attributes.path_length, attributes.origin)
        after: tuple[int, ...] = ()
        if source is not None:
            router_id = int.from_bytes(attributes.originator_id or source.router_id.packed, "big")
            after = (
                source.internal,
                router_id,
                len(attributes.cluster_list),
                int(source.key.address),
                source.key.port,
            )
        object.__setattr__(self, "rank", (before, attributes.med or 0, after))

    def with_state(self, *, ineligible: Ineligible | None, stale: bool) -> Path:
        """The same way in another state."""
        return replace(self, ineligible=ineligible, stale=stale)


def best(paths: Iterable[Path]) -> Path | None:
    """The best eligible path, the same for any order of `paths`; None if there is none."""
    eligible = [path for path in paths if path.ineligible is None]
    if len(eligible) < 2:
        return eligible[0] if eligible else None
    by_neighbour: dict[int | None, Path] = {}
    for path in eligible:
        known = by_neighbour.setdefault(path.attributes.neighbour_as, path)
        if path.rank < known.rank:
            by_neighbour[path.attributes.neighbour_as] = path
    return min(by_neighbour.values(), key=lambda path: (path.rank[0], path.rank[2]))


def why(winner: Path, loser: Path) -> Preferred:
    """The step by which one path is better than another."""
    before = (Preferred.LOCAL, Preferred.LOCAL_PREF, Preferred.AS_PATH, Preferred.ORIGIN)
    after = (Preferred.EXTERNAL, Preferred.ROUTER_ID, Preferred.CLUSTER_LIST, Preferred.PEER_ADDRESS)
    for step, mine, other in zip(before, winner.rank[0], loser.rank[0], strict=True):
        if mine != other:
            return step
    same_neighbour = winner.attributes.neighbour_as == loser.attributes.neighbour_as
    if same_neighbour and winner.rank[1] != loser.rank[1]:
        return Preferred.MED
    for step, mine, other in zip(after, winner.rank[2], loser.rank[2], strict=False):
        if mine != other:
            return step
    return Preferred.PEER_ADDRESS
