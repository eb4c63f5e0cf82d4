"""The digest of a plan: the same while it would do the same, another as soon as anything of it differs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from muslin.datastore.protocol import Entry, Revision
from muslin.errors import Place
from muslin.resources.keys import Key
from reconciler.compare import canonical
from reconciler.digest import PlanDigest, digest
from reconciler.ledger import Owned
from reconciler.manifests import Declared
from reconciler.planning import plan

_TIER, _SET = Key("Tier", "early"), Key("GlobalNetworkSet", "partners")


def _tier(order: int = 50) -> dict[str, Any]:
    value = {"apiVersion": "projectcalico.org/v3", "kind": "Tier", "metadata": {"name": "early"}}
    return canonical(value | {"spec": {"order": order}})


def _declared(order: int = 50, line: int = 1) -> dict[Key, Declared]:
    return {_TIER: Declared(_TIER, _tier(order), Place("tiers.yaml", line))}


def _live(order: int, revision: str, key: Key = _TIER) -> dict[Key, Entry]:
    return {key: Entry(key, _tier(order), Revision(revision))}


def _owned(order: int) -> dict[Key, Owned]:
    return {_TIER: Owned(_tier(order))}


def _digest(desired: dict[Key, Declared], live: dict[Key, Entry], owned: dict[Key, Owned], commit: str) -> PlanDigest:
    proposed = plan(commit, desired, live, owned, canonical=lambda entry: entry.value)
    return digest(proposed, desired, live, owned)


_USUAL = _digest(_declared(), _live(40, "7"), _owned(40), "c1")


def test_the_same_inputs_give_the_same_digest() -> None:
    """Nothing but the inputs is in it, places in files neither."""
    assert _digest(_declared(line=9), _live(40, "7"), _owned(40), "c1") == _USUAL


def test_a_world_that_moved_without_changing_the_plan_keeps_its_deeds() -> None:
    """An object that was written meanwhile changes the world's digest; what would be done is still the same."""
    moved = _digest(_declared(), _live(40, "8"), _owned(40), "c1")

    assert (moved.deeds, moved.world != _USUAL.world, str(moved)) == (_USUAL.deeds, True, f"sha256:{_USUAL.deeds}")


@pytest.mark.parametrize(
    ("desired", "live", "owned", "commit"),
    [
        (_declared(), _live(40, "7"), _owned(40), "c2"),
        (_declared(60), _live(40, "7"), _owned(40), "c1"),
        (_declared(), _live(41, "7"), _owned(40), "c1"),
        (_declared(), _live(40, "7"), {}, "c1"),
        (_declared(), {}, _owned(40), "c1"),
        ({}, _live(40, "7"), _owned(40), "c1"),
    ],
    ids=["commit", "declared", "old value", "adoption", "create", "delete"],
)
def test_another_deed_is_another_digest(
    desired: dict[Key, Declared], live: dict[Key, Entry], owned: dict[Key, Owned], commit: str
) -> None:
    """Whatever a person would see differently in the plan changes what was approved."""
    assert _digest(desired, live, owned, commit).deeds != _USUAL.deeds


def test_the_order_of_mappings_does_not_show() -> None:
    """Two worlds that hold the same in another order have one digest."""
    live = _live(40, "7") | _live(1, "3", _SET)
    there = dict(reversed(live.items()))

    assert _digest(_declared(), live, _owned(40), "c1") == _digest(_declared(), there, _owned(40), "c1")


def test_records_are_not_taken_for_others() -> None:
    """What is blocked, let go of and done stands apart, though the names are the same."""
    proposed = plan("c1", _declared(), {}, {}, canonical=lambda entry: entry.value)
    bare = replace(proposed, steps=())
    found = {digest(each, {}, {}, {}).deeds for each in (proposed, bare, replace(bare, forget=(_TIER,)))}

    assert len(found) == 3
