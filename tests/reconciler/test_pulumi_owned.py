"""Which objects are Pulumi's, and the patches by which they change hands."""

from __future__ import annotations

from typing import Any

import pytest

from muslin.datastore.protocol import Entry, Revision
from muslin.errors import Place
from muslin.resources.keys import Key
from reconciler.compare import canonical
from reconciler.ledger import Owned
from reconciler.manifests import Declared
from reconciler.plan import Why
from reconciler.planning import plan
from reconciler.pulumi_owned import handed_back, handed_over, is_pulumis

_TO = "muslin/default"
_NAMED = {"pulumi.com/patchFieldManager": "muslin"}


def _object(*managers: tuple[str, str, dict[str, Any]], **annotations: str) -> dict[str, Any]:
    managed = [
        {"manager": name, "operation": operation, "apiVersion": "projectcalico.org/v3", "fieldsV1": fields}
        for name, operation, fields in managers
    ]
    metadata = {"name": "x", "resourceVersion": "7", "annotations": annotations, "managedFields": managed}
    return {"kind": "IPPool", "metadata": metadata, "spec": {}}


@pytest.mark.parametrize(
    ("value", "pulumis"),
    [
        (_object(**_NAMED), True),
        (_object(("pulumi-kubernetes", "Update", {})), True),
        (_object(("pulumi-kubernetes-0a1b2c3d", "Apply", {})), True),
        (_object(("muslin", "Apply", {}), ("kubectl", "Update", {})), False),
        ({"metadata": None}, False),
        ({"metadata": {"managedFields": "x", "annotations": 3}}, False),
    ],
)
def test_pulumis(value: dict[str, Any], pulumis: bool) -> None:
    """An object is Pulumi's by its annotation or by its manager; whatever else stands there is no reason to fail."""
    assert is_pulumis(value) is pulumis


def test_over() -> None:
    """Both of Pulumi's managers become one entry of the reconciler's, with the fields of both; others stay."""
    value = _object(
        ("pulumi-kubernetes", "Update", {"f:spec": {"f:cidr": {}}}),
        ("kubectl", "Update", {"f:spec": {"f:disabled": {}}}),
        ("muslin", "Apply", {"f:spec": {"f:natOutgoing": {}}}),
        **_NAMED,
        own="kept",
    )
    patch = handed_over(value, _TO)

    assert patch[0] == {"op": "test", "path": "/metadata/resourceVersion", "value": "7"}
    assert [(each["manager"], each["operation"], each["fieldsV1"]) for each in patch[1]["value"]] == [
        (_TO, "Apply", {"f:spec": {"f:cidr": {}, "f:natOutgoing": {}}}),
        ("kubectl", "Update", {"f:spec": {"f:disabled": {}}}),
    ]
    assert patch[2:] == [{"op": "remove", "path": "/metadata/annotations/pulumi.com~1patchFieldManager"}]


_APPLIED = {"metadata": {"name": "x", "labels": {"a": "b"}}, "spec": {"cidr": "10.48.0.0/16", "assigned": {"by": "us"}}}


def test_back() -> None:
    """What the reconciler declares becomes an apply of its manager, and the annotation says whose the object is."""
    value = _object(
        ("muslin", "Update", {"f:spec": {"f:cidr": {}}}),
        ("calico-node", "Update", {"f:spec": {}}),
        (_TO, "Apply", {"f:spec": {"f:blockSize": {}}}),
    )
    patch = handed_back(value, _APPLIED, _TO)

    assert [(each["manager"], each["operation"]) for each in patch[1]["value"]] == [
        ("muslin", "Apply"), ("calico-node", "Update"),
    ]  # fmt: skip
    assert patch[1]["value"][0]["fieldsV1"] == {"f:spec": {"f:cidr": {}, "f:blockSize": {}}}
    assert patch[2:] == [
        {"op": "add", "path": "/metadata/annotations/pulumi.com~1patchFieldManager", "value": "muslin"}
    ]


def test_back_leaves_what_nobody_declares() -> None:
    """A field that a person wrote under the same name is not applied: Pulumi's first apply would remove it."""
    fields: dict[str, Any] = {
        "f:metadata": {"f:labels": {".": {}, "f:a": {}, "f:own": {}}},
        "f:spec": {"f:cidr": {}, "f:disabled": {}, "f:assigned": {"f:by": {}, "f:to": {}}},
    }
    managed = handed_back(_object(("muslin", "Update", fields)), _APPLIED, _TO)[1]["value"]

    assert {each["operation"]: each["fieldsV1"] for each in managed} == {
        "Apply": {
            "f:metadata": {"f:labels": {"f:a": {}}},
            "f:spec": {"f:cidr": {}, "f:assigned": {"f:by": {}}},
        },
        "Update": {
            "f:metadata": {"f:labels": {".": {}, "f:own": {}}},
            "f:spec": {"f:disabled": {}, "f:assigned": {"f:to": {}}},
        },
    }


def test_an_object_without_annotations_gets_them() -> None:
    """The way back makes room for the annotation where there is none at all."""
    value = _object(("muslin", "Update", {}))
    del value["metadata"]["annotations"]

    assert {"op": "add", "path": "/metadata/annotations", "value": {}} in handed_back(value, {}, _TO)


def test_twice_is_once() -> None:
    """Who has it already gets no patch, in either direction."""
    assert handed_over(_object((_TO, "Apply", {})), _TO) == []
    assert handed_back(_object(("muslin", "Apply", {}), **_NAMED), {}, _TO) == []


def test_status_stays_an_update() -> None:
    """What was written to a subresource cannot be applied, and stays what it is."""
    value = _object(("pulumi-kubernetes", "Update", {"f:status": {}}), **_NAMED)
    value["metadata"]["managedFields"][0]["subresource"] = "status"

    assert handed_over(value, _TO)[1]["value"][0]["operation"] == "Update"


def test_a_plan_leaves_pulumis_objects() -> None:
    """What Pulumi writes is neither taken over nor changed nor removed by the reconciler, which says so."""
    key, gone = Key("IPPool", "a"), Key("IPPool", "b")
    named = {"annotations": _NAMED}
    live = {each: Entry(each, {**_pool(each), "metadata": {"name": each.name, **named}}, Revision("1"))
            for each in (key, gone)}  # fmt: skip
    found = plan(
        "c1",
        {key: Declared(key, _pool(key, natOutgoing=True), Place("pools.yaml"))},
        live,
        {key: Owned(_pool(key)), gone: Owned(_pool(gone))},
        canonical=lambda entry: canonical(entry.value),
    )

    assert (found.steps, found.forget) == ((), (gone,))
    assert [(each.key, each.why) for each in found.blocked] == [(key, Why.OWNED_BY_PULUMI)]
    assert "muslin adopt" in found.blocked[0].problem.fix


def _pool(key: Key, **spec: Any) -> dict[str, Any]:
    value = {"apiVersion": "projectcalico.org/v3", "kind": "IPPool", "metadata": {"name": key.name}}
    return canonical({**value, "spec": {"cidr": "10.48.0.0/16", **spec}})
