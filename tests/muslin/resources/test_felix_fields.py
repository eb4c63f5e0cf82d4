"""What FelixConfiguration's fields accept, as calicoctl does: words, ranges, patterns, rules over several fields."""

from __future__ import annotations

from typing import Any

import pytest

from muslin.errors import BadInput, Problem
from muslin.resources import dump, load
from muslin.resources.felix_configuration import FelixConfigurationSpec
from muslin.resources.openapi import schema_of
from tests.support.felix_fields import ACCEPTED, RANGES, REFUSED, felix_manifest


def _problems(spec: dict[str, Any], name: str = "default") -> tuple[Problem, ...]:
    try:
        load(felix_manifest(spec, name))
    except BadInput as refused:
        return refused.problems
    return ()


@pytest.mark.parametrize(("field", "low", "high"), RANGES)
def test_numbers_have_the_reference_s_ranges(field: str, low: int, high: int) -> None:
    """Both ends are accepted, one beyond is refused, and the schema says the same."""
    schema = schema_of(FelixConfigurationSpec)["properties"][field]
    ends = (
        schema["minimum"] + schema.get("exclusiveMinimum", 0),
        schema["maximum"] - schema.get("exclusiveMaximum", 0),
    )

    assert [bool(_problems({field: value})) for value in (low - 1, low, high, high + 1)] == [True, False, False, True]
    assert ends == (low, high)


@pytest.mark.parametrize("spec", ACCEPTED)
def test_what_the_reference_accepts_is_accepted_and_kept(spec: dict[str, Any]) -> None:
    """Such an object is read without a problem, and printed as it was given."""
    assert dump(load(felix_manifest(spec)))["spec"] == spec


@pytest.mark.parametrize(("spec", "where"), REFUSED)
def test_what_the_reference_refuses_is_refused_at_its_place(spec: dict[str, Any], where: str) -> None:
    """One problem, at the field that is wrong."""
    assert [problem.where for problem in _problems(spec)] == [where]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            {"routeTableRange": {"min": 1, "max": 2}, "routeTableRanges": []},
            "routeTableRange and routeTableRanges cannot both be set",
        ),
        ({"routeTableRange": {"min": 0, "max": 250}}, "must be a range of route table indices within 1..250"),
        ({"routeTableRange": {"min": 1, "max": 251}}, "must be a range of route table indices within 1..250"),
        ({"routeTableRanges": [{"min": 0, "max": 1}]}, "min must be >= 1"),
        ({"routeTableRanges": [{"min": 2, "max": 1}]}, "min must not be greater than max"),
        ({"routeTableRanges": [{"min": 1, "max": 65536}]}, "targets too many tables"),
        ({"natOutgoingAddress": "2001:db8::1"}, "natOutgoingAddress must be a valid IPv4 address"),
        ({"deviceRouteSourceAddress": "192.0.2.1/32"}, "deviceRouteSourceAddress must be a valid IPv4 address"),
        ({"deviceRouteSourceAddressIPv6": "192.0.2.1"}, "deviceRouteSourceAddressIPv6 must be a valid IPv6 address"),
        ({"kubeNodePortRanges": ["http"]}, "node port ranges should not contain named ports"),
        ({"externalNodesList": ["x"]}, "'x' has invalid CIDR(s)"),
        ({"externalNodesList": ["2001:db8::1"]}, "'2001:db8::1' has invalid IPv6 CIDR"),
    ],
)
def test_rules_have_the_reference_s_words(spec: dict[str, Any], message: str) -> None:
    """What is wrong between fields is told in the words that users know."""
    assert [problem.what for problem in _problems(spec)] == [message]


@pytest.mark.parametrize(("name", "allowed"), [("default", False), ("node.a", False), ("rack", True)])
def test_only_objects_of_their_own_name_select_nodes(name: str, allowed: bool) -> None:
    """A selector on the object for all or for one node would contradict its name."""
    assert (_problems({"nodeSelector": "all()"}, name) == ()) == allowed


def test_every_field_says_in_one_line_what_it_is() -> None:
    """The documentation and the CRD take each setting's line from the model."""
    lines = {name: field.description for name, field in FelixConfigurationSpec.model_fields.items()}

    assert [name for name, line in lines.items() if not line or "\n" in line or not line.endswith(".")] == []
    assert len(lines) == 188
