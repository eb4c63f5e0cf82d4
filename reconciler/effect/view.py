"""One version of a cluster as bitmaps over points: who lives where, and whom a selector means there. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import or_

from muslin.net import Address, Prefix
from muslin.resources.host_endpoint import HostEndpoint
from muslin.resources.network_sets import GlobalNetworkSet, NetworkSet
from muslin.resources.workload_endpoint import WorkloadEndpoint
from muslin.selectors import Selector
from muslin.semantics.label_index import LabelIndex, bitmap, positions
from muslin.semantics.policy import inherited_labels, own_labels, profile_labels
from muslin.semantics.snapshot import Snapshot
from muslin.semantics.subjects import Subject, subjects
from reconciler.effect.space import Space

__all__ = ["People", "View", "people", "prefixes"]

_Named = tuple[str, int, int]
"""A listener: its name, protocol and port."""


@dataclass(frozen=True, slots=True)
class People:
    """Who is in a version, apart from any family.

    Attributes:
        workloads: each with all labels that selectors see on it, by namespace and name.
        others: what selectors of rules match besides.
    """

    workloads: tuple[tuple[WorkloadEndpoint, Mapping[str, str]], ...]
    others: tuple[Subject, ...]


def people(snapshot: Snapshot, former: tuple[Snapshot, People] | None = None) -> People:
    """Who is in a snapshot; the same object as of the former one if nobody came, went or changed."""
    if former is not None and _same(former[0], snapshot):
        return former[1]
    inherited = profile_labels(snapshot)
    workloads = tuple(
        (each, inherited_labels(own_labels(each), each.spec.profiles, inherited))
        for each in snapshot.all(WorkloadEndpoint)
    )
    bare = Snapshot.of(each for each in snapshot.resources.values() if not isinstance(each, WorkloadEndpoint))
    return People(workloads, tuple(subjects(bare)))


def _same(one: Snapshot, other: Snapshot) -> bool:
    for kind in (WorkloadEndpoint, HostEndpoint, NetworkSet, GlobalNetworkSet):
        before, after = one.all(kind), other.all(kind)
        if len(before) != len(after) or any(a is not b and a != b for a, b in zip(before, after, strict=True)):
            return False
    return profile_labels(one) == profile_labels(other)


@dataclass(slots=True)
class _Group:
    """Others with equal labels: where they live, and their listeners with where these are."""

    labels: Mapping[str, str]
    where: int = 0
    listeners: list[tuple[_Named, int]] = field(default_factory=list)


class View:
    """People of one version on the points of one family.

    A workload owns a point if it is the first that has the address, as `muslin.semantics.verdict` finds it. All other
    subjects that live at a point are known in groups of equal labels.
    """

    def __init__(self, who: People, owned: Sequence[Address]) -> None:
        """Owners only, on points 0 to `len(owned)`; `settle` adds the others once all points are known."""
        at = {address: point for point, address in enumerate(owned)}
        self.owners: list[int | None] = [None] * len(owned)
        self._who = who
        self._shadowed: list[tuple[Subject, Address]] = []
        heard: dict[_Named, list[int]] = {}
        for number, (workload, labels) in enumerate(who.workloads):
            for network in workload.spec.ip_networks:
                point = at.get(network.network_address)
                if point is None:
                    continue
                ports = [(each.name, each.protocol.number, each.port) for each in workload.spec.ports if each.name]
                if self.owners[point] is not None:
                    subject = next(iter(subjects(Snapshot.of([workload]))))
                    self._shadowed.append((Subject(labels, (), subject.listeners), network.network_address))
                    continue
                self.owners[point] = number
                for each in ports:
                    heard.setdefault(each, []).append(point)
        of_owner = (None if number is None else who.workloads[number][1] for number in self.owners)
        self.labels = LabelIndex(of_owner)
        self.owned = self.labels.everyone
        self._heard = {each: bitmap(where, len(owned)) for each, where in heard.items()}
        self._groups: list[_Group] = []
        self._group_labels = LabelIndex(())
        self._selected: dict[Selector, int] = {}

    def settle(self, space: Space) -> None:
        """Take in where everybody else lives, now that the points are known."""
        groups: dict[frozenset[tuple[str, str]], _Group] = {}

        def add(subject: Subject, where: int) -> None:
            group = groups.setdefault(frozenset(subject.labels.items()), _Group(subject.labels))
            group.where |= where
            group.listeners += [((each.name, each.protocol, each.port), where) for each in subject.listeners]

        for subject in self._who.others:
            where = reduce(or_, map(space.within, subject.prefixes), 0)
            if where:
                add(subject, where)
        for subject, address in self._shadowed:
            add(subject, 1 << space.point(address))
        self._groups = list(groups.values())
        self._group_labels = LabelIndex(group.labels for group in self._groups)
        self._selected.clear()

    @property
    def others(self) -> int:
        """Points where somebody lives that is no owner."""
        return reduce(or_, (group.where for group in self._groups), 0)

    def workload(self, point: int) -> WorkloadEndpoint | None:
        """The owner of a point."""
        number = self.owners[point] if point < len(self.owners) else None
        return None if number is None else self._who.workloads[number][0]

    def seen(self, point: int) -> Mapping[str, str] | None:
        """All labels that selectors see on the owner of a point."""
        number = self.owners[point] if point < len(self.owners) else None
        return None if number is None else self._who.workloads[number][1]

    def selected(self, selector: Selector) -> int:
        """Points with an address of somebody that a rule's selector matches."""
        found = self._selected.get(selector)
        if found is None:
            found = self.labels.matching(selector)
            for at in positions(self._group_labels.matching(selector)):
                found |= self._groups[at].where
            self._selected[selector] = found
        return found

    def listening(self, selector: Selector | None, names: Iterable[str], protocol: int, port: int) -> int:
        """Points where somebody that a selector matches (None: anybody) has given this port one of these names."""
        found = 0
        wanted = {(name, protocol, port) for name in names}
        for each in wanted:
            found |= self._heard.get(each, 0)
        if selector is not None:
            found &= self.labels.matching(selector)
        for group in self._groups:
            if group.listeners and (selector is None or selector.matches(group.labels)):
                found |= reduce(or_, (where for each, where in group.listeners if each in wanted), 0)
        return found

    def numbers(self, name: str, protocol: int) -> frozenset[int]:
        """Ports that anybody gave this name."""
        of_owners = {each[2] for each in self._heard if each[:2] == (name, protocol)}
        return frozenset(of_owners).union(
            each[2] for group in self._groups for each, _ in group.listeners if each[:2] == (name, protocol)
        )


def prefixes(who: People) -> Iterable[Prefix]:
    """Where everybody lives who is no workload."""
    return (prefix for subject in who.others for prefix in subject.prefixes)
