"""Objects of the older CRDs as those of today, and back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muslin.conversion.kinds import CRD_KINDS, NAMED_POLICIES
from muslin.conversion.uids import convert_uid
from muslin.conversion.v1 import METADATA, from_v1, key_of_v1, to_v1, v1_names
from muslin.errors import BadInput
from muslin.resources.keys import Key
from tests.muslin.conversion.objects import OTHER_UID, UID

_POOL: dict[str, Any] = {
    "apiVersion": "projectcalico.org/v3",
    "kind": "IPPool",
    "metadata": {
        "name": "pool",
        "uid": UID,
        "resourceVersion": "17",
        "creationTimestamp": "2026-01-02T03:04:05Z",
        "labels": {"team": "one", "projectcalico.org/tier": "t"},
        "annotations": {"note": "n", "operator.tigera.io/x": "y"},
    },
    "spec": {"cidr": "10.48.0.0/16"},
}


def test_metadata_go_into_an_annotation() -> None:
    """The object itself keeps its identity, and labels and annotations that are Calico's own."""
    written = to_v1(_POOL)

    assert written == {
        "apiVersion": "crd.projectcalico.org/v1",
        "kind": "IPPool",
        "metadata": {
            "name": "pool",
            "uid": OTHER_UID,
            "resourceVersion": "17",
            "labels": {"projectcalico.org/tier": "t"},
            "annotations": {METADATA: written["metadata"]["annotations"][METADATA], "operator.tigera.io/x": "y"},
        },
        "spec": {"cidr": "10.48.0.0/16"},
    }
    assert written["metadata"]["annotations"][METADATA] == (
        '{"creationTimestamp":"2026-01-02T03:04:05Z","labels":{"projectcalico.org/tier":"t","team":"one"},'
        '"annotations":{"note":"n","operator.tigera.io/x":"y"}}'
    )


@pytest.mark.parametrize("kind", CRD_KINDS)
def test_only_policies_record_their_name(kind: str) -> None:
    """Old releases stored them under another."""
    written = to_v1({"kind": kind, "metadata": {"name": "x"}})
    recorded = json.loads(written["metadata"]["annotations"][METADATA])

    assert recorded == ({"name": "x"} if kind in NAMED_POLICIES else {})


def test_ipam_configuration_has_another_name_there() -> None:
    """The older CRD is called IPAMConfig."""
    written = to_v1({"kind": "IPAMConfiguration", "metadata": {"name": "default"}, "spec": {}})

    assert written["kind"] == "IPAMConfig"
    assert from_v1(written).value["kind"] == "IPAMConfiguration"
    assert key_of_v1(written) == Key("IPAMConfiguration", "default")


@pytest.mark.parametrize(("flag", "text"), [(True, "true"), (False, "false")])
def test_an_affinity_s_mark_is_text_there(text: str, *, flag: bool) -> None:
    """`deleted` of affinities is text in the older CRDs, and a flag today; that of blocks is a flag in both."""
    affinity = {"kind": "BlockAffinity", "metadata": {"name": "a"}, "spec": {"deleted": flag}}
    block = {"kind": "IPAMBlock", "metadata": {"name": "b"}, "spec": {"deleted": flag}}

    assert to_v1(affinity)["spec"] == {"deleted": text}
    assert from_v1(to_v1(affinity)).value["spec"] == {"deleted": flag}
    assert to_v1(block)["spec"] == {"deleted": flag}


@pytest.mark.parametrize(("text", "flag"), [("", False), ("1", True), ("False", False)])
def test_any_spelling_of_a_mark_is_read(text: str, *, flag: bool) -> None:
    """Whatever the reference reads as true or false."""
    found = from_v1({"kind": "BlockAffinity", "metadata": {"name": "a"}, "spec": {"deleted": text}})

    assert (found.value["spec"]["deleted"], found.problems) == (flag, ())


def test_a_mark_that_makes_no_sense_is_told() -> None:
    """It counts as no mark."""
    found = from_v1({"kind": "BlockAffinity", "metadata": {"name": "a"}, "spec": {"deleted": "perhaps"}})

    assert found.value["spec"]["deleted"] is False
    assert [problem.where for problem in found.problems] == ["BlockAffinity a  spec.deleted"]


def test_an_object_without_the_annotation_is_read() -> None:
    """Somebody wrote it with kubectl: its own metadata count."""
    cr = {"kind": "IPPool", "metadata": {"name": "pool", "uid": UID, "labels": {"a": "b"}, "managedFields": [{}]}}

    assert from_v1(cr).value["metadata"] == {"name": "pool", "uid": OTHER_UID, "labels": {"a": "b"}}


def test_what_is_recorded_wins_over_the_object_s_own() -> None:
    """Labels of both are merged; the time of birth is the recorded one, where there is one."""
    recorded = {"labels": {"a": "recorded"}, "annotations": {"n": "recorded"}, "finalizers": ["f"]}
    cr = {
        "kind": "IPPool",
        "metadata": {
            "name": "pool",
            "labels": {"a": "own", "b": "own"},
            "annotations": {METADATA: json.dumps(recorded), "n": "own", "m": "own"},
            "creationTimestamp": "2026-01-02T03:04:05Z",
        },
    }

    assert from_v1(cr).value["metadata"] == {
        "name": "pool",
        "labels": {"a": "recorded", "b": "own"},
        "annotations": {"n": "recorded", "m": "own"},
        "finalizers": ["f"],
        "creationTimestamp": "2026-01-02T03:04:05Z",
    }


def test_owners_are_rewritten() -> None:
    """Owners of Calico's API become those of the objects behind, and back; those of others stay."""
    pod = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": UID}
    pool = {"apiVersion": "projectcalico.org/v3", "kind": "IPPool", "name": "p", "uid": UID}
    value = {**_POOL, "metadata": {**_POOL["metadata"], "ownerReferences": [pod, pool]}}
    recorded = json.loads(to_v1(value)["metadata"]["annotations"][METADATA])

    assert recorded["ownerReferences"] == [
        pod,
        {**pool, "apiVersion": "crd.projectcalico.org/v1", "uid": OTHER_UID},
    ]
    assert from_v1(to_v1(value)).value == value


def test_owners_that_were_never_rewritten_are_read() -> None:
    """An old release recorded them under today's API with the other UID."""
    owner = {"apiVersion": "projectcalico.org/v3", "kind": "IPPool", "name": "p", "uid": UID}
    annotations = {METADATA: json.dumps({"ownerReferences": [owner]})}
    found = from_v1({"kind": "IPPool", "metadata": {"name": "x", "annotations": annotations}}).value

    assert found["metadata"]["ownerReferences"] == [{**owner, "uid": OTHER_UID}]


@pytest.mark.parametrize(
    ("stored", "tier", "recorded", "shown"),
    [
        ("web", "default", "web", "web"),
        ("default.web", "default", "web", "web"),
        ("default.web", "default", "default.web", "default.web"),
        ("default.web", "default", None, "web"),
        ("default.web", None, None, "web"),
        ("web", "default", None, "web"),
        ("admin.web", "admin", None, "admin.web"),
        ("default.web", "admin", None, "default.web"),
        ("knp.default.web", "default", None, "knp.default.web"),
    ],
)
@pytest.mark.parametrize("kind", sorted(NAMED_POLICIES))
def test_a_policy_has_the_name_that_its_author_gave_it(
    kind: str, stored: str, tier: str | None, recorded: str | None, shown: str
) -> None:
    """The recorded one, else the stored one, without the prefix that old releases put before it."""
    annotations = {} if recorded is None else {METADATA: json.dumps({"name": recorded})}
    spec = {} if tier is None else {"tier": tier}
    cr = {"kind": kind, "metadata": {"name": stored, "annotations": annotations}, "spec": spec}

    assert from_v1(cr).value["metadata"]["name"] == shown
    assert key_of_v1(cr).name == shown
    assert stored in v1_names(Key(kind, shown)) or tier == "admin"


def test_a_policy_stored_under_an_old_name_is_written_there() -> None:
    """A new name would make a second object."""
    written = to_v1({"kind": "NetworkPolicy", "metadata": {"name": "web"}}, stored_as="default.web")

    assert written["metadata"]["name"] == "default.web"
    assert from_v1(written).value["metadata"]["name"] == "web"


def test_other_kinds_have_one_name() -> None:
    """Only policies ever had a prefix."""
    assert v1_names(Key("IPPool", "pool")) == ("pool",)
    assert v1_names(Key("NetworkPolicy", "web", "red")) == ("web", "default.web")


@pytest.mark.parametrize(
    "annotation",
    [
        "",
        "{",
        "[]",
        "7",
        '{"labels": 7}',
        '{"annotations": []}',
        '{"name": 1}',
        '{"ownerReferences": {}}',
        "[" * 99_999,
    ],
)
def test_unreadable_metadata_are_told_and_hide_nothing(annotation: str) -> None:
    """The object is there with what it has itself."""
    cr = {
        "kind": "NetworkPolicy",
        "metadata": {"name": "web", "namespace": "red", "annotations": {METADATA: annotation}},
        "spec": {"order": 1},
    }
    value, problems = from_v1(cr)

    assert value["metadata"] == {"name": "web", "namespace": "red"}
    assert value["spec"] == {"order": 1}
    assert [problem.where for problem in problems] == [f"NetworkPolicy red/web  metadata.annotations[{METADATA}]"]


def test_a_bad_uid_is_told_when_read_and_refused_when_written() -> None:
    """The API gives only UUIDs; nobody else may."""
    value, problems = from_v1({"kind": "IPPool", "metadata": {"name": "x", "uid": "7"}})

    assert value["metadata"]["uid"] == "7"
    assert [problem.where for problem in problems] == ["IPPool x  metadata.uid"]
    with pytest.raises(BadInput, match="not a UID"):
        to_v1(value)


_NAMES = st.from_regex(r"[a-z]([-a-z0-9]{0,6}[a-z0-9])?(\.[a-z]{1,4})?", fullmatch=True)
_KEYS = st.sampled_from(["team", "projectcalico.org/tier", "x.operator.tigera.io/y", "note", "a&<b>"])
_TEXTS = st.dictionaries(_KEYS, st.text(st.characters(codec="utf-8"), max_size=6), min_size=1, max_size=3)
_OWNERS = st.lists(
    st.fixed_dictionaries(
        {
            "apiVersion": st.sampled_from(["v1", "projectcalico.org/v3"]),
            "kind": st.just("IPPool"),
            "name": _NAMES,
            "uid": st.uuids().map(str),
        }
    ),
    min_size=1,
    max_size=2,
)
_METADATA = st.fixed_dictionaries(
    {"name": _NAMES},
    optional={
        "namespace": _NAMES,
        "labels": _TEXTS,
        "annotations": _TEXTS,
        "uid": st.uuids().map(str),
        "resourceVersion": st.integers(1).map(str),
        "creationTimestamp": st.just("2026-01-02T03:04:05Z"),
        "generateName": _NAMES,
        "finalizers": st.lists(_NAMES, min_size=1, max_size=2),
        "ownerReferences": _OWNERS,
    },
)


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(st.sampled_from(sorted(CRD_KINDS)), _METADATA, st.dictionaries(_NAMES, st.booleans()))
def test_what_is_written_is_read_again(kind: str, metadata: dict[str, Any], spec: dict[str, Any]) -> None:
    """Any object of any kind comes back as it was."""
    value = {
        "apiVersion": "projectcalico.org/v3",
        "kind": kind,
        "metadata": metadata,
        "spec": {**spec, "deleted": True},
    }

    assert from_v1(to_v1(value)) == (value, ())


@settings(max_examples=50, deadline=None)
@given(st.uuids())
def test_the_other_uid_of_the_other_uid_is_the_uid(uid: Any) -> None:
    """The transformation is its own inverse, and keeps version and variant."""
    other = convert_uid(str(uid))

    assert convert_uid(other) == str(uid)
    assert (other[14], other[19]) == (str(uid)[14], str(uid)[19])


@pytest.mark.parametrize("uid", ["", "7", UID[:-1], f"{{{UID}", UID.replace("0", "g"), UID.replace("-", "_")])
def test_what_is_no_uid_is_refused(uid: str) -> None:
    """Only UUIDs have another one."""
    with pytest.raises(ValueError, match="not a UID"):
        convert_uid(uid)
