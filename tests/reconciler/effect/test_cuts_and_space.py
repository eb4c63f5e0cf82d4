"""Ports and addresses are cut exactly where somebody tells two of them apart."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from random import Random

import pytest

from muslin.semantics.label_index import positions
from reconciler.effect.cuts import Interval, clipped, cut
from reconciler.effect.space import Space


@pytest.mark.parametrize("seed", range(8))
def test_a_set_holds_a_cell_wholly_or_not_at_all(seed: int) -> None:
    """Two numbers share a cell if and only if every set holds both or none of them."""
    random = Random(seed)
    sets = [[_interval(random) for _ in range(random.randrange(1, 4))] for _ in range(random.randrange(5))]
    found = cut(sets, 1, 60)

    held = {number: tuple(_in(number, each) for each in sets) for number in range(1, 61)}
    for one, by_one in held.items():
        for other, by_other in held.items():
            assert (found.cell(one) == found.cell(other)) is (by_one == by_other)


def _interval(random: Random) -> Interval:
    first = random.randrange(0, 70)
    return first, first + random.randrange(8)


def _in(number: int, intervals: Sequence[Interval]) -> bool:
    return any(first <= number <= last for first, last in intervals)


def test_a_cell_may_have_several_pieces_and_is_clipped_to_what_is_asked() -> None:
    """Ports that one rule names together stay together."""
    found = cut([[(80, 80), (443, 443)], [(80, 80), (443, 443)]], 1, 65535)

    assert sorted(found.whole().values()) == [((1, 79), (81, 442), (444, 65535)), ((80, 80), (443, 443))]
    assert sorted(clipped(found, [(70, 90), (443, 500)]).values()) == [
        ((70, 79), (81, 90), (444, 500)),
        ((80, 80), (443, 443)),
    ]


@pytest.mark.parametrize("seed", range(12))
def test_every_address_is_at_one_point_and_prefixes_are_bitmaps(seed: int) -> None:
    """Points, prefixes and emptiness, against every address of a small network one by one."""
    random = Random(seed)
    everything = [ip_address("198.51.100.0") + at for at in range(-8, 264)]
    owned = {random.choice(everything) for _ in range(random.randrange(12))}
    named = {
        ip_network((random.choice(everything), random.choice([23, 24, 26, 28, 30, 31, 32])), strict=False)
        for _ in range(random.randrange(12))
    }
    space = Space(4, owned, [*named, ip_network("2001:db8::/32")])

    for address in everything:
        point = space.point(address)
        assert address in space.prefix(point)
        assert (point < space.owned) is (address in owned)
        assert {net for net in named if space.within(net) >> point & 1} == {net for net in named if address in net}
    met = {space.point(each) for each in [*everything, ip_address("192.0.2.1")]}
    assert met | {space.point(each.network_address) for each in named if each.network_address not in _NEAR} <= set(
        positions(space.every)
    )
    empty = set(range(space.size)) - set(positions(space.every))
    assert not empty & met


_NEAR = ip_network("198.51.0.0/16")
