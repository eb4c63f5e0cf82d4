"""What lies between two states of a cluster, running and wished: procedures, and what must not be done at all.

Blueprints ask it about what their facts say of a running cluster; the reconciler may ask it about what a datastore
holds and a commit wishes. It looks at resources only, so that both get the same answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from blueprints.number_moves import number_changes, number_moves
from blueprints.packet_moves import mtu_moves
from blueprints.pool_moves import NotLive, pool_changes, pool_moves
from blueprints.session_moves import Peering, session_moves
from blueprints.stages import Procedure
from muslin.resources.base import Resource
from muslin.resources.felix_configuration import FelixConfiguration
from muslin.resources.ip_pool import IPPool
from muslin.resources.workload_endpoint import WorkloadEndpoint
from muslin.semantics.snapshot import Snapshot

__all__ = ["Transition", "transition"]


@dataclass(frozen=True, slots=True)
class Transition:
    """Procedures in the order in which they are carried out, and what stands against the change as a whole."""

    procedures: tuple[Procedure, ...] = ()
    refused: tuple[NotLive, ...] = ()


def transition(
    before: Iterable[Resource],
    after: Iterable[Resource],
    *,
    nodes: Iterable[str] = (),
    mtus: tuple[int | None, int | None] = (None, None),
) -> Transition:
    """What may not be pushed at once between these.

    Args:
        before: everything that is in force: pools, BGP, nodes; endpoints of pods too, where they are known.
        after: the same kinds as they are wished. A Node holds what is declared of it, or that and what the running one
            has; then it should be so on both sides.
        nodes: names of nodes that neither side has as a resource.
        mtus: MTU of the pods that run and of those to come, bytes, where they are known.
    """
    running, wished = Snapshot.of(before), Snapshot.of(after)
    pools, new_pools = running.all(IPPool), wished.all(IPPool)
    names = {*nodes, *(each.name for each in running.resources if each.kind == "Node")}
    old, new = Peering.of(running, names), Peering.of(wished, names)
    refused = (*pool_changes(pools, new_pools), *number_changes(old, new))
    if refused:
        return Transition(refused=refused)
    pods = [f"{each.metadata.namespace}/{each.metadata.name}" for each in running.all(WorkloadEndpoint)]
    kept = {each.metadata.name for each in pools} & {each.metadata.name for each in new_pools}
    smaller = mtu_moves(*mtus, *_packets(running, wished), pods, remade=bool(pools) and not kept)
    sessions, numbers = session_moves(old, new), number_moves(old, new)
    found = (smaller, *pool_moves(pools, new_pools), sessions, numbers)
    return Transition(tuple(each for each in found if each is not None))


def _packets(running: Snapshot, wished: Snapshot) -> tuple[tuple[Resource, ...], tuple[Resource, ...]]:
    """(Objects that decide how large packets are and that differ, the same as they run)."""
    kinds = (FelixConfiguration, IPPool)
    changed = [each for kind in kinds for each in wished.all(kind)]
    before = [running.resources.get(each.key) for each in changed]
    pairs = [
        (new, old)
        for new, old in zip(changed, before, strict=True)
        if new != old and (old is not None or not isinstance(new, IPPool))
    ]
    return tuple(new for new, _ in pairs), tuple(old for _, old in pairs if old is not None)
