"""`dependsOn` says what the reconciler's order says, for whatever a blueprint emits, in both directions."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from blueprints import catalogue, draft
from blueprints.facts import load
from muslin.errors import BadInput
from muslin.pulumi.ordering import Objects, ordered, turns_mesh_off, waits_for
from muslin.resources import dump
from muslin.resources.keys import Key
from reconciler.order import placed, waits
from tests.blueprints.clusters import documents


def _policy(name: str, order: float | None, **spec: Any) -> dict[str, Any]:
    told = {"order": order, **spec} if order is not None else spec
    return {"kind": "GlobalNetworkPolicy", "metadata": {"name": name}, "spec": told}


def test_what_closes_comes_after_what_opens_more() -> None:
    """Of two policies that close by selecting everything, the one of the larger order waits for the other."""
    first, last = Key("GlobalNetworkPolicy", "z"), Key("GlobalNetworkPolicy", "a")
    objects = {last: _policy("a", None), first: _policy("z", 1900, ingress=[{"action": "Allow"}])}

    assert ordered(objects) == (first, last)
    assert waits_for(last, objects, [first]) == (first,)
    assert waits_for(first, objects, [last]) == ()


def test_the_object_that_ends_the_mesh() -> None:
    """Only BGP's settings with the mesh off do."""
    key = Key("BGPConfiguration", "default")

    assert turns_mesh_off(key, {"spec": {"nodeToNodeMeshEnabled": False}})
    assert not turns_mesh_off(key, {"spec": {"nodeToNodeMeshEnabled": True}})
    assert not turns_mesh_off(Key("IPPool", "a"), {"spec": {}})


def _graph(objects: Objects) -> dict[Key, tuple[Key, ...]]:
    walked: list[Key] = []
    found = {}
    for key in ordered(objects):
        found[key] = waits_for(key, objects, walked)
        walked.append(key)
    return found


def _reaches(graph: dict[Key, tuple[Key, ...]], start: Key, goal: Key) -> bool:
    return start == goal or any(_reaches(graph, each, goal) for each in graph[start])


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(documents())
def test_both_directions(document: dict[str, Any]) -> None:
    """An object waits for all that it must come after; what must be deleted after another, the other waits for."""
    try:
        facts = load(document)
        named = facts.model_copy(update={"blueprint": facts.blueprint or draft.fitting(facts)})
        objects = {each.key: dump(each) for each in catalogue.decide(named).resources}
    except BadInput:
        return
    graph = _graph(objects)

    for mine, value in objects.items():
        for theirs, other in objects.items():
            if mine == theirs:
                continue
            if waits(placed(mine, value), placed(theirs, other)):
                assert theirs in graph[mine], f"{mine} must come after {theirs}"
            if waits(placed(mine, value, delete=True), placed(theirs, other, delete=True)):
                assert _reaches(graph, theirs, mine), f"{mine} must go after {theirs}"
