"""Whatever stands in a file of facts: an answer or a refusal with places and fixes, and never a fault of ours."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blueprints.catalogue import BLUEPRINTS, decide_document
from blueprints.emit import render
from blueprints.staged import staged, stages_of
from muslin.errors import BadInput, Problem
from tests.blueprints.clusters import documents

pytestmark = pytest.mark.slow

_STRANGE: list[Any] = [
    None, "", " ", 0, -1, 1, 10**12, True, [], {}, [[]], {"a": 1}, 1.5, "x", "a" * 300, "\u202e", "0.0.0.0/0", "::/0",
    "10.48.0.0/32", "2001:db8::/128", "10.48.0.1", "fe80::1", "255.255.255.255", "127.0.0.0/8", "224.0.0.0/4", "true",
    "it's", "a b", "10.48.0.0/33", "IP-in-IP Always", ["10.48.0.0/16", "10.48.0.0/16"], 4294967295, 65536,
    "route reflectors",
]  # fmt: skip


def _paths(value: Any, here: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Where something stands, leaves and branches."""
    found = [here] if here else []
    if isinstance(value, dict):
        return found + [path for key, each in value.items() for path in _paths(each, (*here, key))]
    if isinstance(value, list):
        return found + [path for index, each in enumerate(value) for path in _paths(each, (*here, index))]
    return found


def _with(document: dict[str, Any], path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(document)
    target: Any = changed
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    return changed


@given(st.data(), st.sampled_from(sorted(BLUEPRINTS)), documents())
@settings(max_examples=150, deadline=None)
def test_a_strange_value_anywhere(data: st.DataObject, name: str, document: dict[str, Any]) -> None:
    """One or two values are something else: what follows renders, or every problem has a place and a fix."""
    for _ in range(data.draw(st.integers(1, 2))):
        path = data.draw(st.sampled_from(_paths(document)))
        document = _with(document, path, data.draw(st.sampled_from(_STRANGE)))
    problems: tuple[Problem, ...] = ()
    texts: list[object] = []
    try:
        decide_document(document)
        blueprint = decide_document(document, blueprint=name)[1]
        texts = [render(staged(blueprint, number)) for number in range(1, len(stages_of(blueprint)) + 1)]
        texts.append(render(blueprint))
    except BadInput as refused:
        problems = refused.problems

    assert all(each.what and each.where and each.fix for each in problems)
    assert bool(problems) is not bool(texts)
