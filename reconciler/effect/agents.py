"""How many agents must act: nodes whose state differs, at most so many by a cheap bound, or exactly. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from muslin.resources.base import Resource
from muslin.resources.bgp_configuration import BGPConfiguration
from muslin.resources.cluster_information import ClusterInformation
from muslin.resources.felix_configuration import FelixConfiguration
from muslin.resources.ip_pool import IPPool
from muslin.resources.ipam import BlockAffinity, IPAMBlock
from muslin.resources.node import Node
from muslin.resources.workload_endpoint import WorkloadEndpoint
from muslin.semantics.snapshot import Snapshot
from reconciler.effect.paths import TrafficChange
from reconciler.effect.routing import RoutingChange, differ

__all__ = ["Agents", "StateOf", "agents"]

_R = TypeVar("_R", bound=Resource)

StateOf = Callable[[Snapshot, str], object]
"""The state of a node, comparable; `runtime.calc.compute` with what a snapshot's revision does not say."""


@dataclass(frozen=True, slots=True)
class Agents:
    """Nodes whose agents have something to do.

    Attributes:
        nodes: their names, in order.
        of: how many nodes there are.
        exact: whether each was computed; else no other node has anything to do, and some of these may not.
    """

    nodes: tuple[str, ...]
    of: int
    exact: bool

    def to_json(self, *, full: bool) -> dict[str, Any]:
        """The count always, every name with `full`."""
        told: dict[str, Any] = {"count": len(self.nodes), "of": self.of, "exact": self.exact}
        return told | ({"members": list(self.nodes)} if full else {})


def agents(
    before: Snapshot,
    after: Snapshot,
    traffic: TrafficChange,
    routing: RoutingChange,
    state: StateOf | None = None,
) -> Agents:
    """Nodes that a change can concern; with `state`, those of them that it does."""
    every = {node.metadata.name for snapshot in (before, after) for node in snapshot.all(Node)}
    every |= {
        each.spec.node for snapshot in (before, after) for each in snapshot.all(WorkloadEndpoint) if each.spec.node
    }
    found = (
        every if _everywhere(before, after) else {*traffic.nodes, *routing.nodes, *_their_own(before, after)} & every
    )
    if state is not None:
        found = {node for node in found if state(before, node) != state(after, node)}
    return Agents(tuple(sorted(found)), len(every), state is not None)


def _everywhere(before: Snapshot, after: Snapshot) -> bool:
    """Whether something differs that every node's state is made of."""
    if differ(before, after, IPPool, ClusterInformation):
        return True
    addresses = ({(node.metadata.name, node.spec.bgp) for node in snapshot.all(Node)} for snapshot in (before, after))
    return next(addresses) != next(addresses) or any(
        before.get(kind, "default") != after.get(kind, "default") for kind in (FelixConfiguration, BGPConfiguration)
    )


def _their_own(before: Snapshot, after: Snapshot) -> Iterator[str]:
    """Nodes that an object names which differs, or on which a workload differs."""
    for kind in (FelixConfiguration, BGPConfiguration):
        if differ(before, after, kind):
            for snapshot in (before, after):
                yield from (each.metadata.name.removeprefix("node.") for each in snapshot.all(kind))
                if any(getattr(each.spec, "node_selector", None) for each in snapshot.all(kind)):
                    yield from (node.metadata.name for node in snapshot.all(Node))
    if differ(before, after, IPAMBlock):
        yield from (each.spec.node for snapshot in (before, after) for each in snapshot.all(BlockAffinity))
    yield from (name for name in _differing(before, after, Node, lambda node: node.metadata.name) if name)
    yield from (name for name in _differing(before, after, BlockAffinity, lambda each: each.spec.node) if name)
    yield from (name for name in _differing(before, after, WorkloadEndpoint, lambda each: each.spec.node) if name)


def _differing(before: Snapshot, after: Snapshot, kind: type[_R], node: Callable[[_R], str | None]) -> set[str | None]:
    """Nodes of the objects of one kind that came, went or changed."""
    if not differ(before, after, kind):
        return set()
    former = {each.key: each for each in before.all(kind)}
    new = {each.key: each for each in after.all(kind)}
    keys = [key for key in former.keys() | new.keys() if former.get(key) != new.get(key)]
    return {node(each) for key in keys for each in (former.get(key), new.get(key)) if each is not None}
