"""Which route is best, and why."""

from __future__ import annotations

from ipaddress import IPv4Address
from itertools import permutations

import pytest

from runtime.bgp.decision import Path, Preferred, best, why
from runtime.bgp.messages.attributes import Attributes, Origin, Segment, SegmentKind
from runtime.bgp.policy import Ineligible, Source
from runtime.bgp.settings import PeerKey


def source(index: int, peer_as: int = 64512, router_id: int | None = None) -> Source:
    """A session of the peer with this number."""
    key = PeerKey(IPv4Address("192.0.2.0") + index, 179)
    return Source(key, peer_as, 64512, IPv4Address("192.0.2.0") + (router_id or index))


def path(index: int = 2, *ases: int, peer_as: int = 64512, router_id: int | None = None, **fields: object) -> Path:
    """A route from the peer with this number, with these ASes in its path."""
    segments = (Segment(SegmentKind.SEQUENCE, ases),) if ases else ()
    return Path(source(index, peer_as, router_id), Attributes(as_path=segments, **fields), b"")  # type: ignore[arg-type]


CASES = {
    Preferred.LOCAL: (Path(None, Attributes()), path(local_pref=500)),
    Preferred.LOCAL_PREF: (path(3, 64496, 64497, local_pref=200), path(2)),
    Preferred.AS_PATH: (path(3, 64496, origin=Origin.EGP), path(2, 64496, 64497)),
    Preferred.ORIGIN: (path(3, med=9), path(2, origin=Origin.INCOMPLETE)),
    Preferred.MED: (path(3, 64496), path(2, 64496, med=1)),
    Preferred.EXTERNAL: (path(3, 64496, peer_as=64496), path(2, 64497)),
    Preferred.ROUTER_ID: (path(3, router_id=1), path(2, cluster_list=())),
    Preferred.CLUSTER_LIST: (
        path(3, originator_id=b"\1\1\1\1"),
        path(2, originator_id=b"\1\1\1\1", cluster_list=(b"\2\2\2\2",)),
    ),
    Preferred.PEER_ADDRESS: (path(2, originator_id=b"\1\1\1\1"), path(3, originator_id=b"\1\1\1\1")),
}


@pytest.mark.parametrize("step", CASES, ids=lambda step: step.name)
def test_each_step_decides(step: Preferred) -> None:
    """Each step of the decision wins over all later ones, in either order of arrival."""
    winner, loser = CASES[step]

    assert best([winner, loser]) is winner
    assert best([loser, winner]) is winner
    assert why(winner, loser) is step


def test_med_compares_within_one_neighbour_as_and_order_does_not_matter() -> None:
    """The three routes of the classic MED puzzle have one answer in all orders."""
    first = path(4, 64496, med=10, router_id=1)
    second = path(3, 64496, med=5, router_id=3)
    third = path(2, 64497, med=99, router_id=2)

    assert {best(order) for order in permutations([first, second, third])} == {third}


def test_ineligible_routes_take_no_part() -> None:
    """A route with a reason against it is never best, though it stays in the table."""
    bad = path(2, local_pref=999).with_state(ineligible=Ineligible.CLUSTER_LOOP, stale=False)
    good = path(3)

    assert best([bad, good]) is good
    assert best([bad]) is None
