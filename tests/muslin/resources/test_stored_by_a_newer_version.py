"""Objects with fields that only a newer version knows: they are read without them, and never allow more for it."""

from __future__ import annotations

from typing import Any

import pytest

from muslin.errors import BadInput
from muslin.resources import dump
from muslin.resources.stored import load_stored

_META = {"apiVersion": "projectcalico.org/v3"}


def _policy(**spec: Any) -> dict[str, Any]:
    metadata = {"name": "p", "namespace": "shop"}
    return {**_META, "kind": "NetworkPolicy", "metadata": metadata, "spec": {"selector": "all()", **spec}}


def _read(value: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    resource, problems = load_stored(value, "NetworkPolicy shop/p")
    return dump(resource)["spec"], [f"{problem.where}: {problem.what}" for problem in problems]


def test_an_object_that_is_known_whole_is_read_as_it_is() -> None:
    """Nothing is told of an object without unknown fields."""
    spec, told = _read(_policy(ingress=[{"action": "Allow"}]))

    assert (spec["ingress"], told) == ([{"action": "Allow"}], [])


def test_a_field_beside_the_rules_is_left_out_and_told() -> None:
    """The policy stays in force without it."""
    spec, told = _read(_policy(ingress=[{"action": "Allow"}], colour={"deep": "blue"}))

    assert ("colour" in spec, len(spec["ingress"])) == (False, 1)
    assert told == ["NetworkPolicy shop/p  spec.colour: unknown field 'colour': it is left out"]


@pytest.mark.parametrize("action", ["Allow", "Pass", "Log"])
def test_a_rule_that_may_mean_less_is_left_out(action: str) -> None:
    """What an unknown field narrows is not allowed without the narrowing; the other rules stay."""
    narrowed = {"action": action, "source": {"selector": "all()", "moonPhase": "full"}}
    spec, told = _read(_policy(types=["Ingress"], ingress=[narrowed, {"action": "Allow", "protocol": "TCP"}]))

    assert spec["ingress"] == [{"action": "Allow", "protocol": "TCP"}]
    assert "the rule that has it is left out" in told[0]


def test_a_denial_stays_and_is_taken_as_the_wider_one() -> None:
    """A rule that denies loses only the field."""
    spec, _ = _read(_policy(ingress=[{"action": "Deny", "source": {"nets": ["192.0.2.0/24"], "moonPhase": "full"}}]))

    assert spec["ingress"] == [{"action": "Deny", "source": {"nets": ["192.0.2.0/24"]}}]


@pytest.mark.parametrize(
    ("rules", "types"),
    [
        ({"egress": [{"action": "Allow", "new": 1}]}, ["Egress"]),
        ({"egress": [{"action": "Allow", "new": 1}], "ingress": [{"action": "Allow"}]}, ["Ingress", "Egress"]),
        ({"ingress": [{"action": "Allow", "new": 1}]}, ["Ingress"]),
    ],
)
def test_a_direction_whose_only_rule_goes_stays_closed(rules: dict[str, Any], types: list[str]) -> None:
    """A policy without types isolates the directions it had rules for, also when these rules are left out."""
    assert _read(_policy(**rules))[0]["types"] == types


def test_what_else_is_wrong_is_still_refused() -> None:
    """An unknown field does not excuse a value that is none."""
    with pytest.raises(BadInput, match="Alow"):
        _read(_policy(ingress=[{"action": "Alow"}], colour="blue"))


def test_every_unknown_field_is_told_once() -> None:
    """Two in one rule and one beside: three problems, and the rule goes once."""
    spec, told = _read(_policy(types=["Ingress"], colour=1, ingress=[{"action": "Allow", "a": 1, "b": 2}]))

    assert (spec.get("ingress"), len(told)) == (None, 3)


def test_the_status_of_a_kind_without_one_is_nobodys_problem() -> None:
    """Somebody newer reports there; what a policy says is read whole, and nothing is told of it."""
    spec, told = _read({**_policy(ingress=[{"action": "Allow"}]), "status": {"conditions": [{"type": "Ready"}]}})

    assert (spec["ingress"], told) == ([{"action": "Allow"}], [])
