"""Blocks that somebody else wrote wrongly: told in words, whatever shape they have."""

from __future__ import annotations

import re
from typing import Any

import pytest

from muslin.errors import BadInput
from muslin.ipam.blocks import Block

_GOOD: dict[str, Any] = {"cidr": "192.0.2.0/31", "allocations": [0, None], "unallocated": [1], "attributes": [{}]}


def test_a_block_with_the_least_is_read() -> None:
    """What the cases below begin with is a block."""
    assert Block.read({"spec": _GOOD}).allocations == (0, None)


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ({}, "it has no spec"),
        ({"spec": None}, "it has no spec"),
        ({"spec": "x", "metadata": "y"}, "it has no spec"),
        ({"spec": {}}, "cidr is missing"),
        ({"spec": _GOOD | {"cidr": 5}}, "cidr is not text"),
        ({"spec": _GOOD | {"cidr": "x"}}, "'x' does not appear to be"),
        ({"spec": {"cidr": "192.0.2.0/31"}}, "allocations is missing"),
        ({"spec": _GOOD | {"unallocated": "1"}}, "unallocated is not a list"),
        ({"spec": _GOOD | {"attributes": [None]}}, "attributes is not a list of mappings"),
        ({"spec": _GOOD | {"attributes": {"a": 1}}}, "attributes is not a list of mappings"),
        ({"spec": _GOOD | {"attributes": [{"secondary": 5}]}}, "a value in it is not what it has to be"),
        ({"spec": _GOOD | {"allocations": ["a", None]}}, "a value in it is not what it has to be"),
        ({"spec": _GOOD | {"allocations": [0]}}, "1 allocations for 2 addresses"),
        ({"spec": _GOOD | {"allocations": [7, None]}}, "an allocation names an attribute that is not there"),
        ({"spec": _GOOD | {"unallocated": []}}, "allocations and unallocated disagree"),
        ({"spec": _GOOD | {"sequenceNumber": "x"}}, "a sequence number is no number"),
        ({"spec": _GOOD | {"sequenceNumber": float("inf")}}, "a value in it is not what it has to be"),
        ({"spec": _GOOD | {"sequenceNumberForAllocation": {"x": 1}}}, "a sequence number is no number"),
        ({"spec": _GOOD | {"sequenceNumberForAllocation": [1]}}, "a value in it is not what it has to be"),
    ],
)
def test_what_is_wrong_is_told_in_words(value: dict[str, Any], what: str) -> None:
    """No exception but this one, and no word of Python."""
    with pytest.raises(BadInput, match=re.escape(f"the block cannot be read: {what}")):
        Block.read(value)
