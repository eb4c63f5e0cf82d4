"""A bad object is refused once, with all that is wrong in it, in the user's words."""

from __future__ import annotations

from typing import Any

import pytest

from muslin.errors import BadInput, Place, Problem
from muslin.resources import KINDS, load

from .builders import manifest


def _problems(obj: Any, **where: Any) -> tuple[Problem, ...]:
    with pytest.raises(BadInput) as caught:
        load(obj, **where)
    return caught.value.problems


def test_all_problems_of_an_object_come_at_once() -> None:
    """A typo, a bad enum, a bad prefix and a bad type in one object make four problems."""
    spec = {"cidr": "192.0.2.1/24", "natOutgoin": True, "ipipMode": "always", "blockSize": "large"}

    problems = _problems(manifest("IPPool", spec))

    assert {problem.where for problem in problems} == {
        "spec.cidr",
        "spec.natOutgoin",
        "spec.ipipMode",
        "spec.blockSize",
    }


def test_an_unknown_field_comes_with_the_one_that_was_meant() -> None:
    """A misspelt field deep in a list is named with its path, and the right spelling is proposed."""
    (problem,) = _problems(
        manifest("NetworkPolicy", {"ingress": [{"action": "Allow", "source": {"namespaceSelecter": "all()"}}]})
    )

    assert problem == Problem(
        what="unknown field 'namespaceSelecter'",
        where="spec.ingress[0].source.namespaceSelecter",
        fix="did you mean namespaceSelector?",
    )


def test_python_names_are_no_field_names() -> None:
    """Only Calico's own spelling is read from manifests."""
    (problem,) = _problems(manifest("BGPPeer", {"peer_ip": "192.0.2.1"}))

    assert problem.what == "unknown field 'peer_ip'"
    assert problem.fix == "did you mean peerIP?"


def test_an_enum_lists_its_words_and_proposes_the_nearest() -> None:
    """What is allowed stands in the message, and a near miss is recognised."""
    (problem,) = _problems(manifest("BGPPeer", {"nextHopMode": "self"}))

    assert problem.what == '\'self\' is not allowed for \'nextHopMode\'; supported values: "Auto", "Self", "Keep"'
    assert problem.fix == "did you mean Self?"


def test_places_come_from_the_text() -> None:
    """Where the text of an object is known, problems carry file, line and column."""

    class Text:
        """A document that knows one place."""

        def at(self, path: tuple[str | int, ...]) -> Place:
            """The place of the field."""
            return Place("pool.yaml", 7, 9, "ignored") if path == ("spec", "cidr") else Place("pool.yaml", 1, 1)

        def key(self, path: tuple[str | int, ...]) -> Place:
            """The place of the field's name."""
            return Place("pool.yaml", 6, 3, "ignored") if path == ("spec", "sidr") else Place("pool.yaml", 1, 1)

    (unknown,) = _problems(manifest("IPPool", {"cidr": "192.0.2.0/24", "sidr": 1}), places=Text())
    (problem,) = _problems(manifest("IPPool", {"cidr": "nonsense"}), places=Text(), file="other.yaml")

    assert problem.where == "pool.yaml:7:9  spec.cidr"
    assert unknown.where == "pool.yaml:6:3  spec.sidr"


def test_a_file_is_named_even_without_places() -> None:
    """The caller's file stands in front of the path."""
    (problem,) = _problems(manifest("IPPool", {}), file="pool.yaml")

    assert problem.where == "pool.yaml  spec.cidr"
    assert problem.what == "'cidr' is missing"


@pytest.mark.parametrize(
    ("obj", "what", "fix"),
    [
        ([], "this is not an object with kind and metadata", "begin with apiVersion, kind, metadata"),
        ({}, "the object has no kind", None),
        ({"kind": "IPPol"}, "unknown kind 'IPPol'", "did you mean IPPool?"),
        (
            {"kind": "IPPool", "apiVersion": "v1"},
            "IPPool has apiVersion 'v1'",
            "set apiVersion to projectcalico.org/v3",
        ),
    ],
)
def test_what_is_no_resource_is_told_so(obj: Any, what: str, fix: str | None) -> None:
    """Things without a known kind and version are refused before their fields are looked at."""
    (problem,) = _problems(obj)

    assert problem.what == what
    assert fix is None or problem.fix == fix


@pytest.mark.parametrize(
    ("kind", "name", "right"),
    [
        ("IPPool", "pool.example-1", True),
        ("IPPool", "Pool", False),
        ("IPPool", "a" * 253, True),
        ("IPPool", "a" * 254, False),
        ("Tier", "a" * 63, True),
        ("Tier", "a" * 64, False),
        ("NetworkPolicy", "tier.name", True),
        ("NetworkPolicy", "a.b.c", False),
        ("NetworkPolicy", "knp.default.a.b.c", True),
        ("GlobalNetworkPolicy", "tier.name", True),
        ("GlobalNetworkPolicy", "knp.default.a.b.c", False),
        ("ClusterInformation", "default", True),
        ("ClusterInformation", "other", False),
    ],
)
def test_names_have_the_form_of_their_kind(kind: str, name: str, right: bool) -> None:
    """Subdomains in general, labels for tiers, one or two labels for policies, one name for singletons."""
    spec = {"cidr": "192.0.2.0/24"} if kind == "IPPool" else {}
    obj = manifest(kind, spec, name=name)

    if right:
        assert load(obj).metadata.name == name
    else:
        assert [problem.where for problem in _problems(obj)] == ["metadata.name"]


def test_no_word_of_the_library_reaches_the_user() -> None:
    """Every type error of every field is told in our words, with something to do about it."""
    wrong_values: tuple[Any, ...] = (7, 1.5, "?", True, ["x"], {"a": 1}, [[]], -1)
    for wrong in wrong_values:
        for kind in ("IPPool", "BGPPeer", "FelixConfiguration", "HostEndpoint", "WorkloadEndpoint", "IPAMBlock"):
            for problem in _problems(manifest(kind, dict.fromkeys(_fields(kind), wrong))):
                text = str(problem)
                assert "nput should" not in text
                assert "alid input" not in text
                assert "is not allowed for" not in text or problem.fix != f"correct {problem.where.rsplit('.')[-1]}"


def _fields(kind: str) -> tuple[str, ...]:
    spec = KINDS[kind].model.model_fields["spec"].annotation
    assert spec is not None
    return tuple(field.alias or name for name, field in spec.model_fields.items())


def test_null_means_unset() -> None:
    """A field that is written without a value is as if it were not there, but must exist."""
    pool = load(manifest("IPPool", {"cidr": "192.0.2.0/24", "allowedUses": None, "disabled": None}, labels=None))

    assert pool == load(manifest("IPPool", {"cidr": "192.0.2.0/24"}))
    assert (
        _problems(manifest("IPPool", {"cidr": "192.0.2.0/24", "blocksize": None}))[0].fix == "did you mean blockSize?"
    )


def test_rules_over_several_fields_name_themselves() -> None:
    """A broken rule carries the reference's wording, a fix, and its own name."""
    (problem,) = _problems(manifest("BGPPeer", {"node": "node-1", "nodeSelector": "all()"}))

    assert problem == Problem(
        what="node and nodeSelector cannot both be set",
        where="spec.nodeSelector",
        fix="remove node or nodeSelector",
        source="BGPPeerSpec node-or-selector",
    )


@pytest.mark.parametrize(
    ("rule", "where"),
    [
        ({"communities": {"values": ["65536:1"]}}, ["communities.values[0]"]),
        ({"communities": {"values": []}}, ["communities.values"]),
        ({"operations": [{"prependASPath": {"prefix": ["x"]}}]}, ["operations[0].prependASPath.prefix[0]"]),
    ],
)
def test_a_list_with_a_wrong_entry_is_not_called_empty(rule: dict[str, Any], where: list[str]) -> None:
    """Only the entry is told; a list without any is."""
    problems = _problems(manifest("BGPFilter", {"exportV4": [{"action": "Accept", **rule}]}))

    assert [problem.where for problem in problems] == [f"spec.exportV4[0].{each}" for each in where]
