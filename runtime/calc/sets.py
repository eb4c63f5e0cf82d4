"""Who is in a set: addresses that a selector matches, listeners that a named port means.

Sets are identified by what they mean, so that equal ones are shared and an id never changes its meaning: `s:` and the
hash of the canonical selector; `n:` and the hash of selector, protocol and port name, as the reference computes them.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from muslin.net import Prefix
from muslin.selectors import Selector, parse
from muslin.semantics.snapshot import Snapshot
from muslin.semantics.subjects import Listener, subjects
from runtime.calc.state import IpPort, SetId

__all__ = ["SetRequests", "members", "without_covered"]

_PROTOCOL_WORDS = MappingProxyType({6: "tcp", 17: "udp", 132: "sctp"})


@dataclass(frozen=True, slots=True)
class _Listening:
    selector: Selector
    protocol: int
    name: str


class SetRequests:
    """Sets that rules have asked for, each once."""

    def __init__(self) -> None:
        self.selectors: dict[SetId, Selector] = {}
        self.listeners: dict[SetId, _Listening] = {}

    def selected(self, selector: Selector) -> SetId:
        """The set of addresses of all that a selector matches."""
        identity = SetId(selector.uid)
        self.selectors[identity] = selector
        return identity

    def listening(self, selector: str | None, protocol: int, name: str) -> SetId:
        """The set of (address, protocol, port) of a named port.

        Args:
            selector: whose port, None for everybody's.
            protocol: IANA number of TCP, UDP or SCTP.
            name: of the port.
        """
        chosen = parse(selector if selector is not None else "all()")
        text = f"n:{chosen.uid},{_PROTOCOL_WORDS[protocol]},{name}"
        digest = urlsafe_b64encode(hashlib.sha224(text.encode()).digest()).rstrip(b"=").decode()
        identity = SetId(f"n:{digest}")
        self.listeners[identity] = _Listening(chosen, protocol, name)
        return identity


@dataclass(slots=True)
class _Group:
    """Subjects with equal labels, so that a selector is tried once on all of them."""

    labels: Mapping[str, str]
    addresses: set[Prefix] = field(default_factory=set)
    networks: set[Prefix] = field(default_factory=set)
    listeners: list[tuple[tuple[Prefix, ...], tuple[Listener, ...]]] = field(default_factory=list)


def members(snapshot: Snapshot, requests: SetRequests) -> Mapping[SetId, frozenset[Prefix] | frozenset[IpPort]]:
    """Mapping[SetId, members] of every requested set; a set that nothing matches is there and empty."""
    groups: dict[frozenset[tuple[str, str]], _Group] = {}
    for subject in subjects(snapshot):
        key = frozenset(subject.labels.items())
        group = groups.get(key)
        if group is None:
            group = groups[key] = _Group(subject.labels)
        for prefix in subject.prefixes:
            single = prefix.prefixlen == prefix.max_prefixlen
            (group.addresses if single else group.networks).add(prefix)
        if subject.listeners:
            group.listeners.append((subject.prefixes, subject.listeners))

    found: dict[SetId, frozenset[Prefix] | frozenset[IpPort]] = {}
    for identity, selector in sorted(requests.selectors.items()):
        matching = [group for group in groups.values() if selector.matches(group.labels)]
        addresses = frozenset[Prefix]().union(*(group.addresses for group in matching))
        networks = frozenset[Prefix]().union(*(group.networks for group in matching))
        found[identity] = without_covered(addresses, networks)
    for identity, wanted in sorted(requests.listeners.items()):
        found[identity] = frozenset(
            IpPort(prefix.network_address, listener.protocol, listener.port)
            for group in groups.values()
            if group.listeners and wanted.selector.matches(group.labels)
            for prefixes, listeners in group.listeners
            for listener in listeners
            if listener.name == wanted.name and listener.protocol == wanted.protocol
            for prefix in prefixes
        )
    return MappingProxyType(found)


def without_covered(addresses: Iterable[Prefix], networks: Iterable[Prefix] = ()) -> frozenset[Prefix]:
    """Prefixes without those that another one covers: interval sets of the kernel refuse overlaps.

    The addresses that the result holds are the same. Adjacent prefixes are not joined.

    Args:
        addresses: single addresses.
        networks: prefixes of any length.
    """
    wide = set(networks)
    if not wide:
        return frozenset(addresses)
    kept: set[Prefix] = set()
    lengths = {
        version: sorted({prefix.prefixlen for prefix in wide if prefix.version == version}) for version in (4, 6)
    }
    starts = {(prefix.version, prefix.prefixlen, int(prefix.network_address)) for prefix in wide}
    for prefix in (*wide, *addresses):
        bits = int(prefix.network_address)
        covered = any(
            (prefix.version, length, bits >> (prefix.max_prefixlen - length) << (prefix.max_prefixlen - length))
            in starts
            for length in lengths[prefix.version]
            if length < prefix.prefixlen
        )
        if not covered:
            kept.add(prefix)
    return frozenset(kept)
