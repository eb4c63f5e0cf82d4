"""What an effect says of one flow, to hold it against two verdicts."""

from __future__ import annotations

from collections.abc import Iterable

from muslin.resources.policy import PolicyType
from muslin.semantics.snapshot import Snapshot
from muslin.semantics.verdict import Flow, verdict
from reconciler.effect.cuts import Interval
from reconciler.effect.reach import Reach, reach
from reconciler.effect.view import people

__all__ = ["computed", "expected", "reaches", "told"]


def reaches(before: Snapshot, after: Snapshot) -> dict[int, Reach | None]:
    """The change of both families."""
    first = people(before)
    who = first, people(after, (before, first))
    return {version: reach((before, after), who, version) for version in (4, 6)}


def expected(before: Snapshot, after: Snapshot, flow: Flow) -> bool | None:
    """Whether the flow is opened (True) or closed (False) by the change, None where it stays; by two verdicts."""
    allowed = verdict(before, flow).allowed, verdict(after, flow).allowed
    return None if allowed[0] == allowed[1] else allowed[1]


def computed(found: dict[int, Reach | None], flow: Flow) -> bool | None:
    """The same by rectangles; a flow that is in two of them is an error."""
    hits = told(found[flow.source.version], flow)
    assert len(hits) <= 1, f"{flow} is told {len(hits)} times: {hits}"
    return hits[0][0] if hits else None


def told(found: Reach | None, flow: Flow) -> list[tuple[bool, PolicyType]]:
    """Every rectangle that holds a flow: whether it opens, and whose policy decided."""
    if found is None:
        return []
    source, destination = found.space.point(flow.source), found.space.point(flow.destination)
    own = any(
        found.nodes.get(node, 0) >> workload & 1 for node, workload in ((source, destination), (destination, source))
    )
    numbers = flow.protocol, flow.source_port or 0, flow.destination_port or 0
    if flow.icmp is not None:
        numbers = flow.protocol, 0, flow.icmp[0] << 8 | flow.icmp[1]
    return [
        (each.opened, each.decided)
        for each in found.rectangles
        if each.sources >> source & 1
        and each.destinations >> destination & 1
        and each.with_own_node == own
        and _in(numbers[0], each.traffic.protocols)
        and _in(numbers[1], each.traffic.source_ports)
        and _in(numbers[2], each.traffic.details)
    ]


def _in(number: int, intervals: Iterable[Interval]) -> bool:
    return any(first <= number <= last for first, last in intervals)
