"""What is remembered from one snapshot to the next changes no state."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from muslin.semantics.felix_sources import Local
from muslin.semantics.snapshot import Snapshot
from runtime.calc.compute import compute
from runtime.calc.ground import Grounds
from tests.support.clusters import affinity, block, pool, workload
from tests.support.policy_strategies import NODES, clusters


@pytest.mark.slow
@settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(clusters(), clusters(), st.integers(0, 2**32))
def test_a_state_is_the_same_whatever_was_computed_before(one: Snapshot, other: Snapshot, seed: int) -> None:
    """Through additions, removals and changes of any kind of object, in any order."""
    random = Random(seed)
    everything = [*one.resources.values(), *other.resources.values()]
    grounds = Grounds(NODES[0], None, Local())
    part = everything
    for _ in range(6):
        snapshot = Snapshot.of(random.sample(part, len(part)))
        assert compute(snapshot, NODES[0], grounds=grounds) == compute(snapshot, NODES[0])
        gone = random.choice(part).kind if part else ""
        part = (
            random.sample(everything, len(everything))
            if random.random() < 0.3
            else [each for each in part if each.kind != gone or random.random() < 0.5]
        )


def test_pods_and_blocks_change_nothing_that_is_remembered() -> None:
    """The very same ground serves the next pod and block; another pool makes another one."""
    grounds = Grounds("node1", None, Local())
    pods = pool("pods", "10.48.0.0/16")
    first = grounds.of(Snapshot.of([pods]))
    moved = [
        workload("one", "10.48.0.1", on="node1"),
        affinity("node1", "10.48.0.0/26"),
        block("10.48.0.0/26", "node1"),
    ]

    assert grounds.of(Snapshot.of([pods, *moved])) is first
    assert grounds.of(Snapshot.of([pods, pool("more", "10.49.0.0/16"), *moved])) is not first
