"""What can't run at once, whatever is wished: contradictions in what facts say of a running cluster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from blueprints.fact_parts import Distribution
from muslin.resources.validation import Breach, ValidationRule, go

if TYPE_CHECKING:
    from blueprints.facts import Facts

__all__ = ["RUNNING_RULES"]


def _running(facts: Facts) -> Iterator[Breach]:
    running = facts.running
    if running is None:
        return
    shorter = (
        ("encapsulation", running.encapsulation),
        ("podRange", running.pod_range),
        ("blockSize", running.block_size),
    )
    for name, given in shorter:
        if running.pools and given is not None:
            what = f"{name} is told of a pool, and pools tell it too"
            yield Breach(what, ("running", name), "say it under pools alone")
    seen: list[tuple[int, str]] = []
    for index, pool in enumerate(running.pools):
        for other, name in seen:
            its = running.pools[other].cidr
            if pool.name == name:
                what = f"two pools are named {pool.name!r}"
                yield Breach(what, ("running", "pools", index, "name"), "correct one of them")
            elif pool.cidr.version == its.version and pool.cidr.overlaps(its):
                what = f"the pools {name} ({its}) and {pool.name} ({pool.cidr}) overlap, so they can't both run"
                yield Breach(what, ("running", "pools", index, "cidr"), "correct one of them")
        seen.append((index, pool.name))
    how = running.route_distribution
    if running.reflectors and how not in (None, Distribution.REFLECTORS):
        what = f"reflectors run, and routes are told by {how.value if how else 'nobody'}"
        fix = f"set routeDistribution: {Distribution.REFLECTORS.value}, or name no reflectors"
        yield Breach(what, ("running", "reflectors"), fix)


RUNNING_RULES: tuple[ValidationRule, ...] = (
    go("running", "what runs can run at once", _running, fix="correct one of them"),
)
"""In the order in which their breaches are told."""
