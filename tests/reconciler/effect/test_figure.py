"""The figure: what one policy change does to traffic, among 10,000 endpoints and 1,000 policies, in under 2 s."""

from __future__ import annotations

import gc
import time

import pytest

from muslin.semantics.snapshot import Snapshot
from reconciler.effect.paths import traffic_change
from tests.bench.effect import big_cluster, changes

_LIMIT_S = 2.0


@pytest.mark.slow
def test_one_policy_among_ten_thousand_endpoints_takes_less_than_two_seconds() -> None:
    """Processor time, as the machine is shared: a policy of one application, and one that all endpoints feel."""
    before = big_cluster()
    narrow, wide, _ = changes(before).values()
    gc.freeze()
    try:
        for after, pairs in ((narrow, (22_600, 22_600)), (wide, (0, 6_059_900))):
            versions = Snapshot.of(before), Snapshot.of(after)
            began = time.process_time()
            found = traffic_change(*versions)
            assert time.process_time() - began < _LIMIT_S
            assert (found.opened_pairs, found.closed_pairs) == pairs
    finally:
        gc.unfreeze()
