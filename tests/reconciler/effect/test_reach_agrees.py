"""What an effect says of a flow is what two verdicts say: random small clusters, random changes, every pair."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muslin import resources
from muslin.resources.base import Resource
from muslin.resources.keys import Key
from muslin.semantics.snapshot import Snapshot
from muslin.semantics.verdict import Flow
from reconciler.effect.effect import effect
from runtime.calc.compute import compute
from tests.reconciler.effect.oracle import computed, expected, reaches
from tests.reconciler.effect.test_reach import CHANGES, CLUSTER, every_flow
from tests.support.policy_strategies import NODES, clusters, flows


def _changed(before: Snapshot, other: Snapshot, keys: list[Key]) -> Snapshot:
    """Before, with these objects as they are in the other cluster, be it that they are not there."""
    found: dict[Key, Resource] = dict(before.resources)
    for key in keys:
        if key in other.resources:
            found[key] = other.resources[key]
        else:
            found.pop(key, None)
    return Snapshot.of(found.values())


@dataclass(frozen=True)
class _Change:
    """Both versions; shown short, by what differs."""

    before: Snapshot
    after: Snapshot

    def __repr__(self) -> str:
        keys = {*self.before.resources, *self.after.resources}
        return "; ".join(
            f"{key}: {_shown(self.before, key)} -> {_shown(self.after, key)}"
            for key in sorted(keys, key=str)
            if self.before.resources.get(key) != self.after.resources.get(key)
        )


def _shown(snapshot: Snapshot, key: Key) -> str:
    return str(resources.dump(snapshot.resources[key])) if key in snapshot.resources else "nothing"


@st.composite
def _changes(draw: st.DrawFn) -> _Change:
    """A cluster, and the same with everything or a few objects of another one."""
    before, other = draw(clusters()), draw(clusters())
    every = sorted({*before.resources, *other.resources}, key=str)
    different = [key for key in every if before.resources.get(key) != other.resources.get(key)]
    count = draw(st.sampled_from([1, 1, 2, 3, len(different)]))
    keys = draw(st.permutations(different))[:count]
    return _Change(before, _changed(before, other, list(keys)))


def _agree(before: Snapshot, after: Snapshot, asked: list[Flow]) -> None:
    found = reaches(before, after)
    for flow in asked:
        if flow.source != flow.destination:
            assert computed(found, flow) == expected(before, after, flow), flow


@pytest.mark.slow
@given(change=_changes())
@settings(max_examples=15, deadline=None)
def test_no_agent_that_must_act_is_left_out(change: _Change) -> None:
    """Every node whose state differs is within the cheap bound, and the exact count is those nodes."""

    def state(snapshot: Snapshot, name: str) -> object:
        return replace(compute(snapshot, name), revision="", problems=())

    before, after = change.before, change.after
    concerned = {name for name in NODES if state(before, name) != state(after, name)}

    assert concerned <= set(effect(before, after).agents.nodes)
    assert concerned == set(effect(before, after, state=state).agents.nodes)


@pytest.mark.slow
@given(change=_changes(), asked=st.lists(flows(), min_size=20, max_size=20))
@settings(max_examples=20, deadline=None)
def test_random_flows_through_random_changes(change: _Change, asked: list[Flow]) -> None:
    """Any protocol and port, between pods, nodes, networks and strangers."""
    _agree(change.before, change.after, asked)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_several_changes_at_once(seed: int) -> None:
    """Three of the changes that are tested alone, in any versions, so that each meets what another changed."""
    random, asked = Random(seed), every_flow()
    for _ in range(20):
        names = random.sample(sorted(CHANGES), 3)
        before, after = (
            Snapshot.of([*CLUSTER, *(each for name in names for each in CHANGES[name][random.randrange(2)])])
            for _ in range(2)
        )
        _agree(before, after, random.sample(asked, 60))
