"""Adj-RIB-In by peer and Loc-RIB. All that a peer announces is kept, so that a policy can change without asking it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from runtime.bgp.decision import Path, best
from runtime.bgp.families import Destination, Family
from runtime.bgp.messages.attributes import Attributes
from runtime.bgp.messages.update import Update
from runtime.bgp.policy import ImportPolicy, Source
from runtime.bgp.settings import PeerKey

__all__ = ["BestChange", "Rib"]

_OWN = Path(None, Attributes())


class BestChange(NamedTuple):
    """The best path to a prefix was `old` and is `new`; None: there was or is none."""

    destination: Destination
    old: Path | None
    new: Path | None


class Rib:
    """Routes of all peers and of our own, and the best of them."""

    def __init__(self) -> None:
        self.policy = ImportPolicy()
        self.best: dict[Destination, Path] = {}
        self._paths: dict[Destination, dict[PeerKey | None, Path]] = {}
        self._received: dict[PeerKey, dict[Destination, Path]] = {}
        self._undecided: dict[Destination, None] = {}

    @property
    def undecided(self) -> bool:
        """Whether `decide` has work."""
        return bool(self._undecided)

    def received(self, peer: PeerKey) -> Mapping[Destination, Path]:
        """Adj-RIB-In of a peer."""
        return self._received.get(peer, {})

    def originate(self, destinations: Iterable[Destination]) -> None:
        """Announce exactly these."""
        wanted = set(destinations)
        present = {destination for destination, paths in self._paths.items() if None in paths}
        for destination in sorted(present - wanted):
            self._remove(destination, None)
        for destination in sorted(wanted - present):
            self._paths.setdefault(destination, {})[None] = _OWN
            self._undecided[destination] = None

    def update(self, source: Source, update: Update) -> None:
        """Take in what a peer said."""
        table = self._received.setdefault(source.key, {})
        for family, prefixes in update.withdrawn:
            self._drop(source.key, table, [(family, prefix) for prefix in prefixes])
        for family, next_hop, prefixes in update.announced:
            judged = self.policy.route(update.attributes, next_hop, source)
            variants = {judged: Path(source, update.attributes, next_hop, judged)}
            for prefix in prefixes:
                destination = (family, prefix)
                reason = judged or self.policy.prefix(destination)
                path = variants.get(reason)
                if path is None:
                    path = variants[reason] = Path(source, update.attributes, next_hop, reason)
                table[destination] = path
                self._paths.setdefault(destination, {})[source.key] = path
                self._undecided[destination] = None

    def mark_stale(self, peer: PeerKey, family: Family) -> None:
        """Mark all that a peer announced of one family, until it says it again."""
        marked: dict[int, Path] = {}
        table = self._received.get(peer, {})
        for destination, path in table.items():
            if destination[0] != family or path.stale:
                continue
            other = marked.get(id(path))
            if other is None:
                other = marked[id(path)] = path.with_state(ineligible=path.ineligible, stale=True)
            table[destination] = self._paths[destination][peer] = other
            self._undecided[destination] = None

    def sweep(self, peer: PeerKey, family: Family | None = None) -> int:
        """Drop a peer's stale routes, of one family or of all; gives how many."""
        table = self._received.get(peer, {})
        gone = [key for key, path in table.items() if path.stale and family in (None, key[0])]
        self._drop(peer, table, gone)
        return len(gone)

    def drop(self, peer: PeerKey, family: Family | None = None) -> None:
        """Drop what a peer announced, of one family or of all."""
        table = self._received.get(peer, {})
        self._drop(peer, table, [key for key in table if family in (None, key[0])])
        if not table:
            self._received.pop(peer, None)

    def reconsider(self, policy: ImportPolicy) -> None:
        """Judge all routes by another import policy."""
        self.policy = policy
        for peer, table in self._received.items():
            for destination, path in table.items():
                assert path.source is not None
                judged = policy.route(path.attributes, path.next_hop, path.source) or policy.prefix(destination)
                if judged is not path.ineligible:
                    changed = path.with_state(ineligible=judged, stale=path.stale)
                    table[destination] = self._paths[destination][peer] = changed
                    self._undecided[destination] = None

    def decide(self) -> list[BestChange]:
        """Find the best path wherever something changed; gives where it is another than before."""
        changes: list[BestChange] = []
        for destination in self._undecided:
            old = self.best.get(destination)
            new = best(self._paths.get(destination, {}).values())
            if new is old:
                continue
            if new is None:
                del self.best[destination]
            else:
                self.best[destination] = new
            changes.append(BestChange(destination, old, new))
        self._undecided.clear()
        return changes

    def _drop(self, peer: PeerKey, table: dict[Destination, Path], gone: Iterable[Destination]) -> None:
        for destination in gone:
            if table.pop(destination, None) is not None:
                self._remove(destination, peer)

    def _remove(self, destination: Destination, peer: PeerKey | None) -> None:
        paths = self._paths[destination]
        del paths[peer]
        if not paths:
            del self._paths[destination]
        self._undecided[destination] = None
