"""Which pairs of points may talk after a change and might not before, and the other way round: exact, as rectangles.

Only what a change can touch is walked: chains that differ, or that ask about somebody who differs. A pair changes if
both ends together let traffic through in one version only. It is found at the end whose answer differs; where both
ends' do, at the destination.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from ipaddress import ip_network
from operator import or_
from typing import Any

from muslin.net import Address
from muslin.resources.felix_configuration import FelixConfiguration
from muslin.resources.node import Node
from muslin.resources.policy import PolicyType
from muslin.resources.policy_rules import Rule
from muslin.resources.ports import NamedPort
from muslin.resources.workload_endpoint import WorkloadEndpoint
from muslin.semantics.felix import felix_settings
from muslin.semantics.label_index import bitmap, positions
from muslin.semantics.routes import node_address
from muslin.semantics.selector_scope import not_selector, rule_selector
from muslin.semantics.snapshot import Snapshot
from reconciler.effect.chains import Chain, Chains, Pair, Ruled, nets, suspects
from reconciler.effect.space import Space
from reconciler.effect.view import People, View, prefixes
from reconciler.effect.walk import Side, Traffic, Traffics, Walker, cells

__all__ = ["Reach", "Rectangle", "reach"]

_VERSIONS = (0, 1)
_WAYS = (PolicyType.INGRESS, PolicyType.EGRESS)


@dataclass(frozen=True, slots=True)
class Rectangle:
    """Every source with every destination, except a point with itself and a workload with its own node.

    Attributes:
        opened: whether they may talk after the change, and could not before; else the other way round.
        sources, destinations: points.
        traffic: what they may say.
        decided: the direction whose policy changed its answer.
        with_own_node: only pairs of a workload and its own node, instead of none of them.
    """

    opened: bool
    sources: int
    destinations: int
    traffic: Traffics
    decided: PolicyType
    with_own_node: bool = False


@dataclass(frozen=True, slots=True)
class Reach:
    """What changes on the points of one family.

    Attributes:
        space: the points.
        views: who lives there, before and after.
        nodes: Mapping[point of a node's address, workloads' points on that node], in either version.
        rectangles: no two of them hold the same pair with the same traffic.
        touched: workloads' points whose answer to anything may differ.
    """

    space: Space
    views: tuple[View, View]
    nodes: Mapping[int, int]
    rectangles: tuple[Rectangle, ...]
    touched: int


def reach(snapshots: tuple[Snapshot, Snapshot], who: tuple[People, People], version: int) -> Reach | None:
    """The change of one family; None where no workload has an address of it."""
    owned: set[Address] = {
        network.network_address
        for people in {id(each): each for each in who}.values()
        for workload, _ in people.workloads
        for network in workload.spec.ip_networks
        if network.version == version
    }
    return _Comparison(snapshots, who, version, owned).done() if owned else None


class _Comparison:
    """One comparison under way."""

    def __init__(
        self, snapshots: tuple[Snapshot, Snapshot], who: tuple[People, People], version: int, owned: set[Address]
    ) -> None:
        self._snapshots = snapshots
        in_order = sorted(owned)
        before = View(who[0], in_order)
        self._views = before, before if who[1] is who[0] else View(who[1], in_order)
        chains = Chains(snapshots, self._views)
        self._pairs = {way: chains.pairs(way) for way in _WAYS}
        changed = self._changed = _Changed(who)
        self._touched = {
            way: {pair: points for pair, points in self._pairs[way].items() if changed.concerns(pair)} for way in _WAYS
        }
        self._homes = _Homes(snapshots, version)
        told_apart = [
            *(prefix for people in who for prefix in prefixes(people)),
            *nets(chain for way in _WAYS for pair in self._touched[way] for chain in pair),
            *self._homes.addresses,
        ]
        self._space = Space(version, owned, told_apart)
        for view in {id(view): view for view in self._views}.values():
            view.settle(self._space)
        first = Walker(self._views[0], self._views, self._space)
        self._walkers = first, first if who[1] is who[0] else Walker(self._views[1], self._views, self._space)
        self._of_version: dict[tuple[PolicyType, int], dict[Chain, int]] = {}
        for way in _WAYS:
            for at in _VERSIONS:
                of: dict[Chain, int] = {}
                for pair, points in self._pairs[way].items():
                    chain = pair[at]
                    if chain is not None:
                        of[chain] = of.get(chain, 0) | points
                self._of_version[way, at] = of
        self._nodes = self._homes.points(self._space, self._views)

    def done(self) -> Reach:
        found = [*self._general(PolicyType.INGRESS), *self._general(PolicyType.EGRESS), *self._with_own_nodes()]
        touched = reduce(or_, (points for way in _WAYS for points in self._touched[way].values()), 0)
        return Reach(self._space, self._views, self._nodes, tuple(found), touched)

    def _general(self, way: PolicyType) -> Iterator[Rectangle]:
        """Pairs whose answer in this direction differs, and the other end's does not stand against it."""
        for (opened, peers, traffics), own in self._answers(way).items():
            for mine, theirs, told in self._agreed(way, own, peers, traffics, opened=opened):
                sources, destinations = (mine, theirs) if way is PolicyType.EGRESS else (theirs, mine)
                yield Rectangle(opened, sources, destinations, told, way)

    def _answers(self, way: PolicyType) -> dict[tuple[bool, int, Traffics], int]:
        """Mapping[(opened, peers, traffic), workloads whose own answer about these peers differs so]."""
        found: dict[tuple[bool, int, Traffics], int] = {}
        for pair, points in self._touched[way].items():
            for told, own, before, after in self._differing(way, pair, points):
                for opened, peers in ((True, after & ~before), (False, before & ~after)):
                    if peers:
                        found[opened, peers, told] = found.get((opened, peers, told), 0) | own
        return found

    def _differing(self, way: PolicyType, pair: Pair, points: int) -> Iterator[tuple[Traffics, int, int, int]]:
        """Traffic, workloads, and whom they let through before and after, wherever that is not the same."""
        suspected = self._changed.suspects(pair)
        for traffic, told in cells(self._walkers[0].partition(*pair)):
            if suspected is None or self._speaks(suspected, way, traffic):
                for own, before, after in self._both(way, pair, points, traffic):
                    if before != after:
                        yield told, own, before, after

    def _speaks(self, suspected: Iterable[Ruled], way: PolicyType, traffic: Traffic) -> bool:
        return any(walker.speaks(each, way, traffic) for each in suspected for walker in self._walkers)

    def _both(self, way: PolicyType, pair: Pair, points: int, traffic: Traffic) -> Iterator[tuple[int, int, int]]:
        """Points with equal answers in both versions: them, whom they let through before, and after."""
        sides = [self._sides(way, at, pair[at], points, traffic) for at in _VERSIONS]
        for own_before, before in sides[0]:
            for own_after, after in sides[1]:
                own = own_before & own_after
                if own:
                    yield own, before, after

    def _sides(self, way: PolicyType, at: int, chain: Chain | None, points: int, traffic: Traffic) -> tuple[Side, ...]:
        """Points that nobody owns are not judged: they let everybody through."""
        if chain is None:
            return ((points, self._space.every),)
        return self._walkers[at].walk(chain, way, points, traffic)

    def _agreed(
        self, way: PolicyType, own: int, peers: int, traffics: Traffics, *, opened: bool
    ) -> Iterator[tuple[int, int, Traffics]]:
        """Of own points and peers, the pairs that the peers' end agrees to, by traffic.

        For the destination's answer the version counts in which it lets the traffic through. For the source's both
        count: where the destination's answer differs as well, it has been found there.
        """
        other = PolicyType.EGRESS if way is PolicyType.INGRESS else PolicyType.INGRESS
        versions = (int(opened),) if way is PolicyType.INGRESS else _VERSIONS
        groups: dict[tuple[Chain | None, ...], int] = {}
        unjudged = peers
        for pair, points in self._pairs[other].items():
            if points & peers:
                unjudged &= ~points
                chains = tuple(pair[at] for at in versions)
                groups[chains] = groups.get(chains, 0) | points & peers
        if unjudged:
            nobody: tuple[Chain | None, ...] = (None,) * len(versions)
            groups[nobody] = groups.get(nobody, 0) | unjudged
        for chains, points in groups.items():
            for traffic, told in cells(self._walkers[0].partition(*chains), traffics):
                parts = [(points, own)]
                for at, chain in zip(versions, chains, strict=True):
                    if chain is not None:
                        whole = self._of_version[other, at][chain]
                        sides = self._walkers[at].walk(chain, other, whole, traffic)
                        parts = [
                            (mine & part, theirs & agreed)
                            for mine, agreed in sides
                            for part, theirs in parts
                            if mine & part and theirs & agreed
                        ]
                yield from ((mine, theirs, told) for theirs, mine in parts)

    def _with_own_nodes(self) -> Iterator[Rectangle]:
        """Pairs of a workload and the node that it runs on, which have rules of their own.

        From its own node everything reaches a workload, whatever policy says. So where nodes are as they were, only
        answers to what workloads send can differ.
        """
        changed = self._homes.changed
        same = bitmap((point for point in self._nodes if point not in changed), self._space.size)
        for pair, points in self._touched[PolicyType.EGRESS].items():
            for told, own, before, after in self._differing(PolicyType.EGRESS, pair, points):
                for node in positions((before ^ after) & same):
                    yield from self._at_home(
                        PolicyType.EGRESS, node, own & self._nodes[node], (before >> node & 1, after >> node & 1), told
                    )
        for node in changed:
            for way in _WAYS:
                for pair, points in self._pairs[way].items():
                    at_home = points & self._nodes.get(node, 0)
                    for traffic, told in cells(self._walkers[0].partition(*pair)) if at_home else ():
                        for own, before, after in self._both(way, pair, at_home, traffic):
                            yield from self._at_home(way, node, own, (before >> node & 1, after >> node & 1), told)

    def _at_home(
        self, way: PolicyType, node: int, own: int, answers: tuple[int, int], told: Traffics
    ) -> Iterator[Rectangle]:
        """Of workloads with equal answers about a node, those for which the whole verdict differs."""
        changed: dict[bool, list[int]] = {}
        for point in positions(own):
            before, after = (
                self._homes.allowed(at, way, node, self._views[at].workload(point), answers[at]) for at in _VERSIONS
            )
            if before != after:
                changed.setdefault(after, []).append(point)
        for opened, found in changed.items():
            points = bitmap(found, self._space.size)
            sources, destinations = (points, 1 << node) if way is PolicyType.EGRESS else (1 << node, points)
            yield Rectangle(opened, sources, destinations, told, way, with_own_node=True)


class _Homes:
    """Nodes' addresses of one family, and what passes between a node and its own workloads.

    Attributes:
        addresses: of all nodes, in either version.
        changed: points where the two versions may differ even for workloads whose policy does not.
    """

    def __init__(self, snapshots: tuple[Snapshot, Snapshot], version: int) -> None:
        self._snapshots = snapshots
        self._of: tuple[dict[str, Address], ...] = tuple(
            {
                node.metadata.name: address
                for node in snapshot.all(Node)
                if (address := node_address(node, version)) is not None
            }
            for snapshot in snapshots
        )
        self.addresses = [ip_network(address) for of in self._of for address in of.values()]
        self._telling = tuple(
            any(each.spec.default_endpoint_to_host_action for each in snapshot.all(FelixConfiguration))
            for snapshot in snapshots
        )
        self._drops: dict[tuple[int, str], bool] = {}
        self._point: tuple[dict[str, int], ...] = ({}, {})
        self.changed: frozenset[int] = frozenset()

    def points(self, space: Space, views: tuple[View, View]) -> dict[int, int]:
        """Mapping[a node's point, points of workloads that run there in either version]. Once."""
        self._point = tuple({name: space.point(address) for name, address in of.items()} for of in self._of)
        found: dict[int, list[int]] = {}
        changed: set[int] = set()
        names: list[list[str | None]] = []
        for at in _VERSIONS:
            if at and views[1] is views[0]:
                names.append(names[0])
                continue
            owners = (views[at].workload(point) for point in range(len(views[at].owners)))
            names.append([None if owner is None else owner.spec.node for owner in owners])
        for at in _VERSIONS:
            for point, name in enumerate(names[at]):
                node = self._point[at].get(name or "")
                if node is None or node < space.owned:
                    continue
                held = found.setdefault(node, [])
                if not held or held[-1] != point:
                    held.append(point)
                if names[1 - at][point] != name:
                    changed.add(node)
        for name in {*self._of[0], *self._of[1]}:
            before, after = self._point[0].get(name), self._point[1].get(name)
            if before != after or (any(self._telling) and self._drop(0, name) != self._drop(1, name)):
                changed |= {each for each in (before, after) if each is not None}
        self.changed = frozenset(changed)
        return {node: bitmap(held, space.size) for node, held in found.items()}

    def allowed(self, at: int, way: PolicyType, node: int, workload: WorkloadEndpoint | None, answer: int) -> bool:
        """Whether traffic passes between a node's point and a workload, given what the workload's chain answers."""
        name = None if workload is None else workload.spec.node
        if name is None or self._point[at].get(name) != node:
            return bool(answer)
        if way is PolicyType.INGRESS:
            return True
        return bool(answer) and not self._drop(at, name)

    def _drop(self, at: int, name: str) -> bool:
        question = at, name if self._telling[at] else ""
        if question not in self._drops:
            settings = felix_settings(self._snapshots[at], question[1])
            self._drops[question] = settings["DefaultEndpointToHostAction"] == "DROP"
        return self._drops[question]


class _Changed:
    """Who differs between two versions, as labels: a selector that matches none of them means whom it meant before."""

    def __init__(self, who: tuple[People, People]) -> None:
        self._labels: list[Mapping[str, str]] | None = [] if who[0] is who[1] else _differing(who)
        self._known: dict[Ruled, bool] = {}

    def concerns(self, pair: Pair) -> bool:
        """Whether the chains differ, or ask about somebody who does."""
        if pair[0] is not pair[1]:
            return True
        if pair[0] is None or self._labels == []:
            return False
        return self._labels is None or any(map(self._asks, pair[0].ruled))

    def suspects(self, pair: Pair) -> frozenset[Ruled] | None:
        """Policies whose rules alone can make the answers differ; None where more than they may."""
        found = suspects(pair)
        if found is None or self._labels is None:
            return None
        asking = (each for chain in pair if chain is not None and self._labels for each in chain.ruled)
        return found.union(each for each in asking if self._asks(each))

    def _asks(self, ruled: Ruled) -> bool:
        found = self._known.get(ruled)
        if found is None:
            found = self._known[ruled] = any(self._about(rule, ruled.namespace) for rule in ruled.rules)
        return found

    def _about(self, rule: Rule, namespace: str | None) -> bool:
        sides = rule.source, rule.destination
        if any(isinstance(port, NamedPort) for side in sides for port in (*side.ports, *side.not_ports)):
            return True
        selectors = (each for side in sides for each in (rule_selector(side, namespace), not_selector(side)))
        return any(selector is not None and any(map(selector.matches, self._labels or ())) for selector in selectors)


_MANY = 200
"""So many different labels are not asked one by one: everybody is walked instead, which is exact as well."""


def _differing(who: tuple[People, People]) -> list[Mapping[str, str]] | None:
    """Labels, before and after, of everybody who differs; None for too many."""
    marks: list[dict[Any, Mapping[str, str]]] = []
    for people in who:
        of = {
            (each.key, frozenset(labels.items()), each.spec.ip_networks, each.spec.ports): labels
            for each, labels in people.workloads
        }
        others = {
            (frozenset(each.labels.items()), each.prefixes, each.listeners): each.labels for each in people.others
        }
        marks.append({**of, **others})
    found: dict[frozenset[tuple[str, str]], Mapping[str, str]] = {}
    for mark in marks[0].keys() ^ marks[1].keys():
        labels = marks[0].get(mark) or marks[1].get(mark) or {}
        found[frozenset(labels.items())] = labels
    return list(found.values()) if len(found) <= _MANY else None
