"""All addresses of one family as few points: each workload's address, and what else rules tell apart. Pure.

A point is a prefix without the points inside it, so every address belongs to exactly one. Workloads' addresses come
first and stand by themselves; the others follow: hosts, networks that somebody names, and everything else.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_network

from muslin.net import Address, Prefix

__all__ = ["Space"]


class Space:
    """Points of one family.

    Args:
        version: 4 or 6.
        owned: workloads' addresses, of that family.
        named: prefixes that are told apart, of any family; what is a workload's address already does not count.

    Attributes:
        version: 4 or 6.
        owned: how many points are workloads'.
        size: how many points there are.
        every: all points that hold any address.
    """

    def __init__(self, version: int, owned: Iterable[Address], named: Iterable[Prefix] = ()) -> None:
        self.version = version
        self._bits = 32 if version == 4 else 128
        self._owned = sorted({int(address) for address in owned})
        self._at = {address: at for at, address in enumerate(self._owned)}
        wanted = {(int(each.network_address), each.prefixlen) for each in named if each.version == version} | {(0, 0)}
        self._named = sorted(each for each in wanted if each[1] < self._bits or each[0] not in self._at)
        self.owned = len(self._owned)
        self.size = self.owned + len(self._named)
        self.every = self._not_empty()

    def address(self, point: int) -> Address:
        """The address of a workload's point."""
        return IPv4Address(self._owned[point]) if self.version == 4 else IPv6Address(self._owned[point])

    def prefix(self, point: int) -> Prefix:
        """The prefix that a point is in; a workload's is its address."""
        if point < self.owned:
            return ip_network(self.address(point))
        start, length = self._named[point - self.owned]
        return ip_network((IPv4Address(start) if self.version == 4 else IPv6Address(start), length))

    def point(self, address: Address) -> int:
        """The point that an address is in."""
        number = int(address)
        known = self._at.get(number)
        if known is not None:
            return known
        before = bisect_right(self._named, (number, self._bits)) - 1
        while not self._covers(before, number):
            before -= 1
        return self.owned + before

    def within(self, prefix: Prefix) -> int:
        """Points inside a prefix. Exact for workloads' points always, for others if the prefix is one of `named`."""
        if prefix.version != self.version:
            return 0
        start, length = int(prefix.network_address), prefix.prefixlen
        end = start + (1 << (self._bits - length))
        first, last = bisect_left(self._owned, start), bisect_left(self._owned, end)
        found = ((1 << (last - first)) - 1) << first
        first, last = bisect_left(self._named, (start, length)), bisect_left(self._named, (end, 0))
        return found | ((1 << (last - first)) - 1) << (first + self.owned)

    def around(self, point: int) -> int:
        """How many points lie inside the prefix of a point, and are left out of it."""
        return self.within(self.prefix(point)).bit_count() - 1

    def _covers(self, named: int, number: int) -> bool:
        start, length = self._named[named]
        return number >> (self._bits - length) == start >> (self._bits - length)

    def _not_empty(self) -> int:
        """Points whose prefix is not wholly made of points inside it: sizes of outermost parts are added up."""
        rows = bytearray((self.size + 7) >> 3)
        open_: list[list[int]] = []  # [number, end, addresses that parts inside take]

        def close(until: int) -> None:
            while open_ and open_[-1][1] <= until:
                number, end, taken = open_.pop()
                start = self._named[number][0]
                if taken < end - start:
                    rows[(number + self.owned) >> 3] |= 1 << ((number + self.owned) & 7)
                if open_:
                    open_[-1][2] += end - start

        addresses = iter([*self._owned, 1 << self._bits])
        address = next(addresses)
        for number, (start, length) in enumerate(self._named):
            while address < start:
                close(address)
                open_[-1][2] += 1
                address = next(addresses)
            close(start)
            open_.append([number, start + (1 << (self._bits - length)), 0])
        while address < 1 << self._bits:
            close(address)
            open_[-1][2] += 1
            address = next(addresses)
        close(1 << self._bits)
        return int.from_bytes(rows, "little") | ((1 << self.owned) - 1)
