"""How faults print: what, where, fix."""

from __future__ import annotations

import errno

import pytest

from muslin.errors import BadInput, Failed, KernelRefused, MuslinError, Place, Problem


@pytest.mark.parametrize(
    ("place", "printed"),
    [
        (Place("a.yaml", 3, 5, "spec.order"), "a.yaml:3:5  spec.order"),
        (Place("a.yaml", 3), "a.yaml:3"),
        (Place("a.yaml"), "a.yaml"),
        (Place(line=3, column=5), "line 3:5"),
        (Place(path="spec"), "spec"),
        (Place(), "(unknown place)"),
    ],
)
def test_a_place_prints_what_is_known(place: Place, printed: str) -> None:
    """Editors understand file:line:column; a missing part leaves no hole."""
    assert str(place) == printed


def test_a_problem_says_what_where_fix_and_the_rule() -> None:
    """The rule's line is there only where a rule is named."""
    problem = Problem("the key is missing", "a.yaml:1:1", "add it")

    assert str(problem) == "the key is missing\n  where: a.yaml:1:1\n  fix:   add it"
    assert str(Problem("x", "y", "z", "RFC 4271 section 4.2")).endswith("\n  rule:  RFC 4271 section 4.2")


def test_an_error_carries_all_problems_of_its_stage() -> None:
    """One problem or many, handed in alone or as an iterable, are a tuple and one message."""
    first, second = Problem("one", "here", "so"), Problem("two", "there", "so")

    assert BadInput(first).problems == (first,)
    error = Failed(problem for problem in (first, second))
    assert error.problems == (first, second)
    assert str(error) == f"{first}\n{second}"
    assert isinstance(error, MuslinError)


def test_the_kernels_refusal_keeps_its_number_and_explanation() -> None:
    """Operation, object, errno and extended acknowledgement stay readable for programs and people."""
    error = KernelRefused("route add", "10.48.0.0/26 via 192.0.2.2", errno.ENOENT, "Nexthop has invalid gateway")

    assert (error.operation, error.object, error.errno) == ("route add", "10.48.0.0/26 via 192.0.2.2", errno.ENOENT)
    assert "No such file or directory (Nexthop has invalid gateway)" in str(error)
    assert "where: 10.48.0.0/26 via 192.0.2.2" in str(error)
