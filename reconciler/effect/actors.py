"""Points of both families as what people know: workloads, nodes, hosts, networks; and groups of them by label. Pure."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any, Final

from muslin.net import Prefix
from muslin.resources.host_endpoint import HostEndpoint
from muslin.resources.network_sets import GlobalNetworkSet, NetworkSet
from muslin.resources.node import Node
from muslin.semantics.label_index import bitmap, positions
from muslin.semantics.routes import node_address
from muslin.semantics.selector_scope import INHERITED_PREFIXES, NAMESPACE_LABEL, SERVICE_ACCOUNT_LABEL
from muslin.semantics.snapshot import Snapshot
from reconciler.effect.reach import Reach

__all__ = ["Actor", "ActorKind", "Actors", "Group", "summary"]


class ActorKind(enum.Enum):
    """What stands at an end of a flow."""

    WORKLOAD = "workload"
    NODE = "node"
    HOST = "host endpoint"
    NETWORK = "network"


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who talks. A network's name is its prefix, with what lies in it and is somebody else's left out."""

    kind: ActorKind
    name: str
    namespace: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict, compare=False)

    def __str__(self) -> str:
        return self.name if self.namespace is None else f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Group:
    """Actors of one kind, and of one namespace where they have one.

    Attributes:
        labels: what all of them have in common; the most that can be said of all.
        whole: whether they are all that there is of the kind, in the namespace.
        members: every one of them.
    """

    kind: ActorKind
    namespace: str | None
    labels: Mapping[str, str]
    whole: bool
    members: tuple[Actor, ...]

    def __str__(self) -> str:
        count = len(self.members)
        if self.kind is ActorKind.WORKLOAD:
            if count == 1:
                return str(self.members[0])
            labels = ", ".join(f"{key}={value}" for key, value in sorted(self.telling.items()))
            return f"{self.namespace or 'no namespace'}: {'all' if self.whole else labels or 'several'} ({count})"
        if self.whole and count > 1:
            return f"all {self.kind.value}s ({count})"
        return ", ".join(map(str, self.members)) if count <= _FEW else f"{count} {self.kind.value}s"

    @property
    def own_labels(self) -> Mapping[str, str]:
        """Of `labels` those that the namespace and service account do not give."""
        return {key: value for key, value in self.labels.items() if not _inherited(key)}

    @property
    def telling(self) -> Mapping[str, str]:
        """Of `own_labels` those that people gave, unless programs gave all of them."""
        given = {key: value for key, value in self.own_labels.items() if key not in _GENERATED}
        return given or self.own_labels

    def to_json(self, *, full: bool) -> dict[str, Any]:
        """With `full`, or where they are few, every member by name; the count always."""
        told: dict[str, Any] = {"kind": self.kind.value, "count": len(self.members), "all": self.whole}
        if self.namespace is not None:
            told["namespace"] = self.namespace
        if self.own_labels:
            told["labels"] = dict(sorted(self.own_labels.items()))
        if full or len(self.members) <= _FEW:
            told["members"] = [str(each) for each in self.members]
        return told


def summary(groups: Sequence[Group]) -> str:
    """All groups in one line: few one by one, many workloads by what those of all namespaces have in common."""
    workloads = [group for group in groups if group.kind is ActorKind.WORKLOAD]
    if len(workloads) <= _FEW:
        return ", ".join(map(str, groups))
    common = dict(workloads[0].labels)
    for group in workloads[1:]:
        common = {key: value for key, value in common.items() if group.labels.get(key) == value}
    told = [f"{key}={value}" for key, value in sorted(common.items()) if not (_inherited(key) or key in _GENERATED)]
    told += [
        f"namespace {key.removeprefix(_OF_NAMESPACE)}={value}"
        for key, value in sorted(common.items())
        if key.startswith(_OF_NAMESPACE)
    ]
    count = sum(len(group.members) for group in workloads)
    what = ", ".join(told) or ("all" if all(group.whole for group in workloads) else "several")
    rest = [group for group in groups if group.kind is not ActorKind.WORKLOAD]
    return ", ".join([f"{what} ({count} in {len(workloads)} namespaces)", *map(str, rest)])


def _inherited(key: str) -> bool:
    return key.startswith(INHERITED_PREFIXES) or key in (NAMESPACE_LABEL, SERVICE_ACCOUNT_LABEL)


_GENERATED: Final = frozenset(
    {
        "controller-revision-hash", "controller-uid", "pod-template-generation", "pod-template-hash",
        "projectcalico.org/orchestrator",
    }
)  # fmt: skip
"""Labels that controllers put on pods: they tell people nothing."""

_OF_NAMESPACE: Final = INHERITED_PREFIXES[0]
_FEW: Final = 5
_ROOTS: Final = (ip_network("0.0.0.0/0"), ip_network("::/0"))


class Actors:
    """Numbers for everybody, the same in both families.

    Args:
        snapshots: before and after; who is gone keeps its former labels.
        reaches: what `reach` gave for each family.
    """

    def __init__(self, snapshots: tuple[Snapshot, Snapshot], reaches: Iterable[Reach]) -> None:
        self.every: list[Actor] = []
        self._numbers: dict[tuple[ActorKind, str, str | None], int] = {}
        self._of_point: dict[int, list[int]] = {}
        self._converted: dict[tuple[int, int], int] = {}
        self._groups: dict[int, tuple[Group, ...]] = {}
        known = tuple(reaches)
        for found in known:
            names = _Names(snapshots, found)
            self._of_point[found.space.version] = [
                self._number(names.actor(point)) for point in range(found.space.size)
            ]
        self._plain = len(known) == 1
        self._made: dict[int, Group] = {}
        of: dict[tuple[int, str], list[int]] = {}
        for at, actor in enumerate(self.every):
            of.setdefault((_ORDER.index(actor.kind), actor.namespace or ""), []).append(at)
        self._masks = [bitmap(held, len(self.every)) for _, held in sorted(of.items())]

    def bits(self, version: int, points: int) -> int:
        """Points of a family as a bitmap of actors."""
        if self._plain and len(self.every) == len(self._of_point[version]):
            return points
        found = self._converted.get((version, points))
        if found is None:
            numbers = self._of_point[version]
            found = bitmap((numbers[point] for point in positions(points)), len(self.every))
            self._converted[version, points] = found
        return found

    def groups(self, bits: int) -> tuple[Group, ...]:
        """Actors by kind and namespace, with what each group has in common."""
        known = self._groups.get(bits)
        if known is None:
            parts = ((mask, bits & mask) for mask in self._masks)
            known = self._groups[bits] = tuple(self._group(part, mask) for mask, part in parts if part)
        return known

    def _group(self, bits: int, mask: int) -> Group:
        """Actors of one kind and namespace; there are few different ones, and each is met many times."""
        known = self._made.get(bits)
        if known is None:
            members = sorted((self.every[at] for at in positions(bits)), key=lambda each: (len(each.name), each.name))
            first = members[0]
            common = dict(first.labels)
            for each in members[1:]:
                common = {key: value for key, value in common.items() if each.labels.get(key) == value}
                if not common:
                    break
            known = Group(first.kind, first.namespace, common, bits == mask, tuple(members))
            self._made[bits] = known
        return known

    def _number(self, actor: Actor) -> int:
        identity = actor.kind, actor.name, actor.namespace
        known = self._numbers.get(identity)
        if known is None:
            known = self._numbers[identity] = len(self.every)
            self.every.append(actor)
        return known


_ORDER: Final = list(ActorKind)


class _Names:
    """Who is at a point of one family."""

    def __init__(self, snapshots: tuple[Snapshot, Snapshot], found: Reach) -> None:
        self._found = found
        self._hosts: dict[Prefix, Actor] = {}
        self._sets: dict[Prefix, list[str]] = {}
        version = found.space.version
        for snapshot in snapshots:
            for host in snapshot.all(HostEndpoint):
                for address in host.spec.expected_ips:
                    self._hosts[ip_network(address)] = Actor(ActorKind.HOST, host.metadata.name)
        for snapshot in snapshots:
            for node in snapshot.all(Node):
                at = node_address(node, version)
                if at is not None:
                    self._hosts[ip_network(at)] = Actor(ActorKind.NODE, node.metadata.name)
            for named in (*snapshot.all(GlobalNetworkSet), *snapshot.all(NetworkSet)):
                for net in named.spec.nets:
                    names = self._sets.setdefault(net, [])
                    if str(named.key) not in names:
                        names.append(str(named.key))

    def actor(self, point: int) -> Actor:
        """The owner after the change, else before; a node, a host, a network."""
        views, space = self._found.views, self._found.space
        owner = views[1].workload(point) or views[0].workload(point)
        if owner is not None:
            name = owner.spec.pod or owner.metadata.name
            labels = views[1].seen(point) or views[0].seen(point) or {}
            return Actor(ActorKind.WORKLOAD, name, owner.metadata.namespace, labels)
        prefix = space.prefix(point)
        if prefix in self._hosts:
            return self._hosts[prefix]
        if prefix in _ROOTS:
            return Actor(ActorKind.NETWORK, f"IPv{space.version} elsewhere")
        of = f" ({', '.join(self._sets[prefix])})" if prefix in self._sets else ""
        rest = "rest of " if space.around(point) else ""
        return Actor(ActorKind.NETWORK, f"{rest}{prefix}{of}")
