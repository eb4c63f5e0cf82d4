"""What an effect says of a flow is what two verdicts say: random small clusters, random changes, every pair."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muslin.resources.base import Resource
from muslin.resources.keys import Key
from muslin.semantics.snapshot import Snapshot
from muslin.semantics.verdict import Flow
from tests.reconciler.effect.oracle import computed, expected, reaches
from tests.support.policy_strategies import clusters, flows


def _changed(before: Snapshot, other: Snapshot, keys: list[Key]) -> Snapshot:
    """Before, with these objects as they are in the other cluster, be it that they are not there."""
    resources: dict[Key, Resource] = dict(before.resources)
    for key in keys:
        if key in other.resources:
            resources[key] = other.resources[key]
        else:
            resources.pop(key, None)
    return Snapshot.of(resources.values())


@st.composite
def _changes(draw: st.DrawFn) -> tuple[Snapshot, Snapshot]:
    """A cluster, and the same with everything or a few objects of another one."""
    before, other = draw(clusters()), draw(clusters())
    every = sorted({*before.resources, *other.resources}, key=str)
    different = [key for key in every if before.resources.get(key) != other.resources.get(key)]
    count = draw(st.sampled_from([1, 1, 2, 3, len(different)]))
    keys = draw(st.permutations(different))[:count]
    return before, _changed(before, other, list(keys))


def _agree(before: Snapshot, after: Snapshot, asked: list[Flow]) -> None:
    found = reaches(before, after)
    for flow in asked:
        if flow.source != flow.destination:
            assert computed(found, flow) == expected(before, after, flow), flow


@pytest.mark.slow
@given(change=_changes(), asked=st.lists(flows(), min_size=20, max_size=20))
@settings(max_examples=60, deadline=None)
def test_random_flows_through_random_changes(change: tuple[Snapshot, Snapshot], asked: list[Flow]) -> None:
    """Any protocol and port, between pods, nodes, networks and strangers."""
    _agree(*change, asked)
