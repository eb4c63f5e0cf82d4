"""`patch` and `label`: single fields of stored objects, with calicoctl's messages."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest

from muslin.cli.strategic import PatchRefused, json_patch, merge_patch, strategic_merge
from muslin.datastore.embedded import EmbeddedDatastore
from muslin.datastore.protocol import Json
from muslin.resources.keys import Key
from tests.muslin.cli.calico import BOTH, POOL, Calico, manifest


@pytest.mark.parametrize(
    ("value", "patch", "expected"),
    [
        ({"a": 1, "b": {"c": 2}}, {"b": {"d": 3}}, {"a": 1, "b": {"c": 2, "d": 3}}),
        ({"a": 1, "b": 2}, {"a": None}, {"b": 2}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": {"x": 1}}, {"a": {"$patch": "replace", "y": 2}}, {"a": {"y": 2}}),
        ({"a": {"x": 1}}, {"a": {"$patch": "delete"}}, {"a": {}}),
        ({"a": {"x": 1, "y": 2}}, {"a": {"$retainKeys": ["y"], "z": 3}}, {"a": {"y": 2, "z": 3}}),
        ({"finalizers": ["a"]}, {"finalizers": ["b"]}, {"finalizers": ["a", "b"]}),
        ({"finalizers": ["a", "b"]}, {"$deleteFromPrimitiveList/finalizers": ["a"]}, {"finalizers": ["b"]}),
        ({"ownerReferences": [{"uid": "1", "kind": "a"}]}, {"ownerReferences": [{"uid": "1", "kind": "b"}]},
         {"ownerReferences": [{"uid": "1", "kind": "b"}]}),
        ({"ownerReferences": [{"uid": "1"}]}, {"ownerReferences": [{"uid": "1", "$patch": "delete"}]},
         {"ownerReferences": []}),
        ({"a": 1}, {"$setElementOrder/x": ["a"], "b": {"c": None}}, {"a": 1, "b": {}}),
    ],
)  # fmt: skip
def test_strategic_merges(value: dict[str, Any], patch: dict[str, Any], expected: dict[str, Any]) -> None:
    """Mappings merge, null removes, lists are replaced unless they have a merge key, directives are obeyed."""
    before = repr(value)

    assert strategic_merge(value, patch) == expected
    assert repr(value) == before


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        ([{"op": "add", "path": "/a/-", "value": 3}], {"a": [1, 2, 3], "b~/": 0}),
        ([{"op": "add", "path": "/a/0", "value": 0}], {"a": [0, 1, 2], "b~/": 0}),
        ([{"op": "remove", "path": "/b~0~1"}], {"a": [1, 2]}),
        ([{"op": "replace", "path": "/a/1", "value": 9}], {"a": [1, 9], "b~/": 0}),
        ([{"op": "move", "from": "/a/0", "path": "/c"}], {"a": [2], "b~/": 0, "c": 1}),
        ([{"op": "copy", "from": "/a", "path": "/c"}], {"a": [1, 2], "b~/": 0, "c": [1, 2]}),
        ([{"op": "test", "path": "/a/0", "value": 1}], {"a": [1, 2], "b~/": 0}),
    ],
)
def test_json_patches(patch: list[Any], expected: dict[str, Any]) -> None:
    """The operations of RFC 6902."""
    assert json_patch({"a": [1, 2], "b~/": 0}, patch) == expected


@pytest.mark.parametrize(
    "patch",
    [
        "text", [1], [{"op": "fly", "path": "/a"}], [{"op": "add", "path": "a", "value": 1}],
        [{"op": "add", "path": "/a"}],
        [{"op": "remove", "path": ""}], [{"op": "remove", "path": "/z"}], [{"op": "replace", "path": "/z", "value": 1}],
        [{"op": "add", "path": "/a/7", "value": 1}], [{"op": "add", "path": "/a/01x", "value": 1}],
        [{"op": "test", "path": "/a/0", "value": 5}], [{"op": "move", "from": "/a", "path": "/a/0"}],
    ],
)  # fmt: skip
def test_json_patches_that_do_not_fit(patch: Any) -> None:
    """A patch that can't be applied is refused as a whole."""
    with pytest.raises(PatchRefused):
        json_patch({"a": [1, 2]}, patch)


def test_merge_patches() -> None:
    """The example of RFC 7386, in short."""
    assert merge_patch({"a": "b", "c": {"d": 1, "e": 2}}, {"a": "z", "c": {"d": None}}) == {"a": "z", "c": {"e": 2}}


def test_patch_changes_what_it_names(calico: Calico) -> None:
    """All other fields stay; calicoctl takes every patch for a strategic one, whatever -t says."""
    calico.apply(POOL)
    ran = calico.ctl("patch", "ippool", "pods", "-t", "json", "-p", '{"spec":{"natOutgoing":true}}')
    calico("patch", "ippool", "pods", "-t", "json", "-p", '[{"op":"add","path":"/spec/disabled","value":true}]')
    calico("patch", "ippool", "pods", "-t", "merge", "-p", '{"metadata":{"labels":{"a":"b"}}}')
    found = calico.get("ippool", "pods")

    assert (ran.status, ran.out) == (0, "Successfully patched 1 'IPPool' resource\n")
    assert (found["spec"]["natOutgoing"], found["spec"]["disabled"], found["spec"]["cidr"]) == (
        True, True, "10.48.0.0/16",
    )  # fmt: skip
    assert found["metadata"]["labels"] == {"a": "b"}


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("nope", "-p", "{}"), "hit error: resource does not exist: IPPool(nope) with error: <nil>"),
        (("pods", "-p", '{"spec":{"ipipMode":"Sometimes"}}'), "hit error: error with field spec.ipipMode"),
        (("pods", "-p", '{"spec":{"cidr":"10.49.0.0/16"}}'), "hit error: error with field "),
        (("pods", "-p", "[1]"), "hit error: permorming strategic merge patch: "),
        (("pods", "-p", "{"), "."),
        (("pods",), "hit error: permorming strategic merge patch: "),
        (("pods", "-p", '{"$patch":"delete"}'), "hit error: "),
        (("pods", "-p", '{"metadata":null}'), "hit error: "),
        (("", "-p", "{}"), "resource name may not be empty"),
    ],
)
def test_patches_that_are_refused(calico: Calico, arguments: tuple[str, ...], line: str) -> None:
    """Exit status 1 in calicoctl's words, and the object stays as it was."""
    calico.apply(POOL)
    before = calico.get("ippool", "pods")
    ran = calico.ctl("patch", "ippool", *arguments)

    assert (ran.status, ran.err.startswith(line) or line == ".") == (1, True), ran.err
    assert "Traceback" not in ran.err
    assert calico.get("ippool", "pods") == before


async def _put(value: dict[str, Any]) -> None:
    store = EmbeddedDatastore.open(os.environ["MUSLIN_DATASTORE"])
    try:
        await store.create(Key(value["kind"], value["metadata"]["name"]), value)
    finally:
        await store.close()


@pytest.mark.parametrize(
    ("metadata", "line"),
    [
        ('{"name": "other"}', "metadata.name from 'pods' to 'other'"),
        ('{"uid": "1"}', "metadata.uid from"),
        ('{"namespace": "shop"}', "metadata.namespace from None to 'shop'"),
        ('{"resourceVersion": "1"}', "update conflict: IPPool(pods)"),
    ],
)
def test_a_patch_keeps_the_object_what_it_is(calico: Calico, metadata: str, line: str) -> None:
    """A patch of its identity is refused and not passed over; a version that is not the current one is a conflict."""
    calico.apply(POOL)
    before = calico.get("pool", "pods")
    ran = calico.ctl("patch", "pool", "pods", "-p", f'{{"metadata": {metadata}, "spec": {{"natOutgoing": true}}}}')

    assert (ran.status, line in ran.err.splitlines()[0]) == (1, True), ran.err
    assert calico.get("pool", "pods") == before


def test_fields_of_a_newer_version_survive(calico: Calico) -> None:
    """Patching and labelling an object keeps fields that we do not know, and does not complain of them."""
    newer: Json = {
        "apiVersion": "projectcalico.org/v3", "kind": "Tier", "metadata": {"name": "new"},
        "spec": {"order": 5, "shiny": {"deep": [1]}},
    }  # fmt: skip
    asyncio.run(_put(dict(newer)))
    patched = calico("patch", "tier", "new", "-p", '{"spec":{"order":7}}')
    labelled = calico("label", "tier", "new", "a=b")
    found = calico.get("tier", "new")

    assert (patched.status, labelled.status) == (0, 0), patched.err + labelled.err
    assert found["spec"] == {"order": 7, "shiny": {"deep": [1]}}
    assert found["metadata"]["labels"] == {"a": "b"}


def test_a_status_of_a_newer_version_survives(calico: Calico) -> None:
    """Also an apply and a replace leave it as it is, though no kind of ours has it; nobody complains of it."""
    status = {"conditions": [{"type": "Programmed", "status": "True"}]}
    newer: Json = {
        "apiVersion": "projectcalico.org/v3", "kind": "GlobalNetworkSet", "metadata": {"name": "new"},
        "spec": {"nets": ["192.0.2.0/24"]}, "status": status,
    }  # fmt: skip
    asyncio.run(_put(dict(newer)))
    file = calico.write(manifest("GlobalNetworkSet", "new", "{nets: [198.51.100.0/24]}"))
    done = [calico("apply", "-f", file), calico("replace", "-f", file), calico("label", "gnetset", "new", "a=b")]
    found = calico.get("gnetset", "new")

    assert [ran.status for ran in done] == [0, 0, 0], done
    assert (found["spec"], found["status"]) == ({"nets": ["198.51.100.0/24"]}, status)
    assert calico("datastore", "check").status == 0


def test_labels(calico: Calico) -> None:
    """Set, set again, overwrite, remove: calicoctl's lines."""
    calico.apply(BOTH)
    said = [
        calico.ctl("label", "pool", "pods", *words).out
        for words in (["a=b"], ["a=b"], ["a=c", "--overwrite"], ["a", "--remove"])
    ]

    assert said == [
        "Successfully set label a on pool pods\n",
        "Successfully updated label a on pool pods\n",
        "Successfully updated label a on pool pods\n",
        "Successfully removed label a from pool pods\n",
    ]
    assert "labels" not in calico.get("pool", "pods")["metadata"]
    assert calico("label", "np", "web", "a=b", "-n", "shop").status == 0


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("pods", "a=c"), "failed to update label of pool pods, key a is already present. please use '--overwrite' to"),
        (("pods", "b", "--remove"), "cannot remove label of pool pods, key b does not exist"),
        (("pods", "b"), "invalid label b"),
        (("nope", "a=b"), "failed to get pool nope, error resource does not exist: IPPool(nope) with error: <nil>"),
        (("pods", "a b=c"), "failed to update pool pods, label not changed\nname part must consist of"),
        (("pods",), "accepts 3 arg(s), received 2"),
    ],
)
def test_labels_that_are_refused(calico: Calico, words: tuple[str, ...], line: str) -> None:
    """Each refusal in calicoctl's words, exit status 1."""
    calico.apply(POOL)
    assert calico("label", "pool", "pods", "a=b").status == 0
    ran = calico.ctl("label", "pool", *words)

    assert (ran.status, ran.err.startswith(line)) == (1, True), ran.err
