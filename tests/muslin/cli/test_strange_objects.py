"""Objects of every wrong shape through every verb: a refusal with its place, never a fault of ours."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

import pytest

from muslin.datastore.embedded import EmbeddedDatastore
from muslin.resources.keys import Key
from tests.muslin.cli.calico import Calico, manifest

_V3 = "projectcalico.org/v3"
_STRANGE: dict[str, Any] = {
    "metadata is text": {"apiVersion": _V3, "kind": "Tier", "metadata": "x", "spec": {}},
    "metadata is a list": {"apiVersion": _V3, "kind": "Tier", "metadata": [1], "spec": {}},
    "no metadata": {"apiVersion": _V3, "kind": "Tier", "spec": {}},
    "name is a number": {"apiVersion": _V3, "kind": "Tier", "metadata": {"name": 5}, "spec": {}},
    "name is a map": {"apiVersion": _V3, "kind": "Tier", "metadata": {"name": {"a": 1}}, "spec": {}},
    "empty name": {"apiVersion": _V3, "kind": "Tier", "metadata": {"name": ""}, "spec": {}},
    "namespace is a list": {"apiVersion": _V3, "kind": "NetworkPolicy", "metadata": {"name": "a", "namespace": [1]}},
    "labels are a list": {"apiVersion": _V3, "kind": "Tier", "metadata": {"name": "a", "labels": ["x"]}, "spec": {}},
    "version is a map": {
        "apiVersion": _V3,
        "kind": "Tier",
        "metadata": {"name": "a", "resourceVersion": {}},
        "spec": {},
    },
    "spec is text": {"apiVersion": _V3, "kind": "IPPool", "metadata": {"name": "a"}, "spec": "none"},
    "spec is null": {"apiVersion": _V3, "kind": "IPPool", "metadata": {"name": "a"}, "spec": None},
    "cidr is a list": {"apiVersion": _V3, "kind": "IPPool", "metadata": {"name": "a"}, "spec": {"cidr": ["x"]}},
    "filters is text": {"apiVersion": _V3, "kind": "BGPPeer", "metadata": {"name": "a"}, "spec": {"filters": "x"}},
    "control characters": {"apiVersion": _V3, "kind": "Tier", "metadata": {"name": "a\x1b[2Jb"}, "spec": {}},
    "a slash": {"apiVersion": _V3, "kind": "Tier", "metadata": {"name": "../../a"}, "spec": {}},
    "kind is a list": {"apiVersion": _V3, "kind": ["Tier"], "metadata": {"name": "a"}},
    "version is a number": {"apiVersion": 3, "kind": "Tier", "metadata": {"name": "a"}},
    "a list of lists": [[[]]],
    "a list of text": ["a"],
    "items hold text": {"apiVersion": _V3, "kind": "TierList", "items": ["a"]},
    "a list kind without items": {"apiVersion": _V3, "kind": "TierList"},
    "of the reconciler": {
        "apiVersion": "reconciler.muslin/v1alpha1",
        "kind": "ReconcilerLedger",
        "metadata": {"name": "a"},
    },
}


@pytest.mark.parametrize("verb", ["create", "apply", "replace", "delete", "validate", "get"])
@pytest.mark.parametrize("case", _STRANGE)
def test_strange_files(calico: Calico, verb: str, case: str) -> None:
    """Both names give an answer with a sensible exit status; nothing strange is written."""
    file = calico.write(json.dumps(_STRANGE[case]), "strange.json")
    for ran in (calico(verb, "-f", file), calico.ctl(verb, "-f", file)):
        assert ran.status in (0, 1, 2)
        assert "fault of this program" not in ran.err
        assert "Traceback" not in ran.err
        assert "\x1b" not in ran.err + ran.out


async def _put(name: str, text: str) -> None:
    """Somebody writes text that is no object by hand into the datastore's file."""
    store = EmbeddedDatastore.open(os.environ["MUSLIN_DATASTORE"])
    try:
        await store.create(Key("Tier", name), {"kind": "Tier", "metadata": {"name": name}})
        store._writer.execute("UPDATE objects SET value = ? WHERE kind = 'Tier' AND name = ?", (text, name))
        store._writer.commit()
    finally:
        await store.close()


@pytest.mark.parametrize(
    "text", ["no json", "[]", '"x"', '{"kind": "Tier", "metadata": 5}', '{"kind": "Tier", "spec": 7}']
)
def test_strange_objects_in_the_store(calico: Calico, text: str) -> None:
    """They are listed with the others; verbs on them end in words, and they can be deleted."""
    asyncio.run(_put("odd", text))
    for arguments in (
        ("get", "tiers"), ("get", "tiers", "-o", "wide"), ("get", "tier", "odd", "-o", "yaml", "--export"),
        ("get", "tiers", "-o", "go-template={{range .}}{{range .Items}}{{.Name}}{{end}}{{end}}"),
        ("patch", "tier", "odd", "-p", '{"spec":{"order":1}}'), ("label", "tier", "odd", "a=b"),
        ("ipam", "check"), ("delete", "tier", "odd"),
    ):  # fmt: skip
        ran = calico(*arguments)
        assert ran.status in (0, 1, 2)
        assert "fault of this program" not in ran.err, (arguments, ran.err)
        if arguments in (("get", "tiers"), ("get", "tiers", "-o", "wide")):
            assert ran.out.splitlines()[1].split()[0] == "odd"

    assert calico.get("tiers")["items"] == []


def test_what_is_no_object_is_told_once_with_its_place(calico: Calico) -> None:
    """`get` shows the others and warns on standard error, however often it was asked for; so does `datastore check`.

    By the name of calicoctl nothing is told unless warnings are asked for, as with calicoctl.
    """
    asyncio.run(_put("odd", "no json"))
    warning = "warning: what is stored here is no object: 'no json'\n  where: Tier odd\n  fix:   write Tier odd again"
    ran = calico("get", "tier", "odd", "odd", "-o", "yaml")
    listed = calico("get", "tiers")
    checked = calico("datastore", "check", "-o", "json")

    assert (ran.status, listed.status, checked.status) == (0, 0, 1)
    for each in (ran, listed):
        assert each.err.startswith(warning)
        assert each.err.count("warning") == 1
    assert "unreadable: no json" in ran.out
    (found,) = json.loads(checked.out)["problems"]
    assert (found["kind"], found["name"], found["reason"]) == ("Tier", "odd", "Unreadable")
    assert found["what"] == "what is stored here is no object: 'no json'"
    assert calico.ctl("get", "tiers").err == ""
    assert calico.ctl("get", "tiers", "-l", "warn").err.startswith(warning)


@pytest.mark.parametrize("kind", ["KubeControllersConfiguration", "Node", "Tier"])
def test_a_status_that_calicoctl_always_shows(calico: Calico, kind: str) -> None:
    """Kubernetes, and whoever wrote it before, may keep none; then it is shown empty, in each datastore."""
    spec = "{controllers: {}}" if kind.startswith("Kube") else "{}"
    calico.apply(manifest(kind, "one" if kind != "KubeControllersConfiguration" else "default", spec))

    async def without_status() -> None:
        store = EmbeddedDatastore.open(os.environ["MUSLIN_DATASTORE"])
        for entry in (await store.list(kind)).entries:
            value = {name: part for name, part in entry.value.items() if name != "status"}
            await store.update(entry.key, value, entry.revision)
        await store.close()

    asyncio.run(without_status())
    found = calico.get(kind)["items"]
    assert found
    assert all(each["status"] == {} for each in found)


def _written(calico: Calico, key: Key, value: dict[str, Any]) -> None:
    del calico  # it names the datastore

    async def write() -> None:
        store = EmbeddedDatastore.open(os.environ["MUSLIN_DATASTORE"])
        await store.create(key, value)
        await store.close()

    asyncio.run(write())


def test_a_patch_gives_an_object_the_version_that_it_lacks(calico: Calico) -> None:
    """Somebody wrote it without; what was wrong before stays, what is patched must be right, and no null is written."""
    key = Key("FelixConfiguration", "default")
    _written(calico, key, {"metadata": {"name": "default"}, "spec": {"bpfEnabled": "maybe", "newField": 1}})

    assert calico("patch", "felixconfig", "default", "-p", '{"spec": {"bpfLogLevel": "Loud"}}').status == 2
    assert calico("patch", "felixconfig", "default", "-p", '{"spec": {"bpfLogLevel": "Info"}}').status == 0
    (found,) = calico.get("felixconfig")["items"]
    assert (found["apiVersion"], found["kind"]) == (_V3, "FelixConfiguration")
    assert found["spec"] == {"bpfEnabled": "maybe", "newField": 1, "bpfLogLevel": "Info"}


def test_an_export_names_the_address_books_that_it_cannot_read(calico: Calico) -> None:
    """Nothing is left out without a word."""
    _written(calico, Key("IPAMHandle", "bad"), {"metadata": {"name": "bad"}, "spec": []})
    calico("datastore", "migrate", "lock")
    ran = calico.ctl("datastore", "migrate", "export")

    assert (ran.status, ran.out) == (1, "")
    assert ran.err.splitlines()[0] == "Error exporting handles: IPAMHandle bad can't be read: spec.handleID is missing"
    assert calico("delete", "ipamhandle", "bad").status == 0
    assert calico.ctl("datastore", "migrate", "export").status == 0
