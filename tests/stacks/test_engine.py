"""The small engine itself: what its parts mean, without a server."""

from __future__ import annotations

from typing import Any

import pytest

from tests.stacks.engine.differing import differs
from tests.stacks.engine.monitor import Step, check
from tests.stacks.engine.state import Remembered, State
from tests.stacks.engine.values import HIDDEN, SECRET, SIGNATURE, UNKNOWN, is_known, plain, secret_paths, stored
from tests.stacks.engine.waiting import conditions, holds

_PEERS = {"status": {"bgp": {"peersV4": [{"peerIP": "192.0.2.1", "state": "Established"},
                                         {"peerIP": "192.0.2.2", "state": "Active"}]}}}  # fmt: skip
_HIDDEN = {"data": {SIGNATURE: SECRET, "value": "word"}, "list": [{SIGNATURE: SECRET, "value": 3}, 4]}


def test_secrets() -> None:
    """A secret is its value for the provider, ciphertext in the state, and its place is known."""
    assert plain(_HIDDEN) == {"data": "word", "list": [3, 4]}
    assert stored(_HIDDEN) == {"data": HIDDEN, "list": [HIDDEN, 4]}
    assert stored({"data": "word"}, frozenset({"data"})) == {"data": HIDDEN}
    assert list(secret_paths(_HIDDEN)) == ["data", "list[0]"]


def test_unknown_values() -> None:
    """What waits for something else is noticed at any depth."""
    assert is_known({"a": [1, {"b": "c"}]})
    assert not is_known({"a": [1, {"b": UNKNOWN}]})


@pytest.mark.parametrize(
    ("condition", "answer"),
    [
        ('jsonpath={.status.bgp.peersV4[?(@.peerIP=="192.0.2.1")].state}=Established', True),
        ('jsonpath={.status.bgp.peersV4[?(@.peerIP=="192.0.2.2")].state}=Established', False),
        ('jsonpath={.status.bgp.peersV4[?(@.peerIP=="192.0.2.3")].state}=Established', False),
        ("jsonpath={.status.bgp}", True),
        ("jsonpath={.status.phase}=Ready", False),
    ],
)
def test_conditions(condition: str, answer: bool) -> None:
    """A path selects; with a value the first that it selects must be that value; nothing selected does not hold."""
    assert holds(condition, _PEERS) is answer


@pytest.mark.parametrize("wrong", ["status.phase=Ready", "jsonpath={status}", "jsonpath={.a[0]}", "condition=Ready"])
def test_conditions_that_are_none(wrong: str) -> None:
    """A form that this engine does not know is an error, never a condition that holds."""
    with pytest.raises(ValueError, match="known here"):
        holds(wrong, _PEERS)


def test_several_conditions() -> None:
    """The annotation holds one condition, or a list of them."""
    assert conditions({"pulumi.com/waitFor": "jsonpath={.a}"}) == ("jsonpath={.a}",)
    assert conditions({"pulumi.com/waitFor": '["jsonpath={.a}", "jsonpath={.b}"]'}) == (
        "jsonpath={.a}", "jsonpath={.b}",
    )  # fmt: skip
    assert conditions({}) == ()


_ASKED = {"kind": "K", "metadata": {"name": "a"}, "spec": {"list": [{"name": "x", "value": 1}], "empty": {}}}


@pytest.mark.parametrize(
    ("spec", "answer"),
    [
        ({"list": [{"name": "x", "value": 1, "more": 2}], "empty": {}, "other": 3}, False),
        ({"list": [{"name": "x", "value": 1}, {"name": "y"}], "empty": {}}, False),
        ({"list": [{"name": "w"}, {"name": "x", "value": 1}], "empty": {}}, True),
        ({"list": [{"name": "x", "value": 2}], "empty": {}}, True),
        ({"list": [{"name": "x", "value": 1}]}, True),
        ({"list": [], "empty": {}}, True),
    ],
)
def test_what_differs(spec: dict[str, Any], answer: bool) -> None:
    """What the server adds does not count; what it changed, took out, or put elsewhere in a list does."""
    live = {**_ASKED, "metadata": {"name": "a", "uid": "u"}, "spec": spec, "status": {}}

    assert differs(live, _ASKED, _ASKED) is answer


def test_what_is_asked_for_now_differs() -> None:
    """Fields that are asked for no more, or only now, and values that are not known yet."""
    live = {**_ASKED, "metadata": {"name": "a", "uid": "u"}}

    assert differs(live, _ASKED, {**_ASKED, "spec": {"empty": {}}})
    assert differs(live, _ASKED, {**_ASKED, "more": 1})
    assert differs(live, _ASKED, {**_ASKED, "spec": UNKNOWN})


def test_who_began_too_early() -> None:
    """A resource that begins before what it depends on is done is found."""
    early = Step("create", "u::b", "t", ("u::a",), frozenset())
    late = Step("create", "u::c", "t", ("u::a",), frozenset({"u::a"}))

    assert check([early, late]) == ["b"]


def test_a_state_goes_out_and_comes_in() -> None:
    """An exported state has no secret in it; imported, its options hold and what it leaves out is gone."""
    state = State("p", "s")
    for name in ("a", "b"):
        urn, inputs = f"urn:pulumi:s::p::t::{name}", dict[str, Any](_HIDDEN)
        state.resources[urn] = Remembered(urn, "t", True, inputs, id=name)
    exported = state.exported()
    assert "word" not in str(exported)

    exported["deployment"]["resources"] = [{**exported["deployment"]["resources"][0], "retainOnDelete": True}]
    state.take(exported)

    assert [(each.name, each.retain) for each in state.resources.values()] == [("a", True)]
