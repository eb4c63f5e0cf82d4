"""What else a definition gives: tables, short names, status apart from spec, defaults, fields that stay."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import pytest

from muslin.resources import dump, load
from muslin.resources.crd_kinds import CUSTOM_KINDS
from muslin.resources.crds import GROUP, definitions
from muslin.resources.registry import KINDS
from tests.engines.verdicts import CASES, path_of
from tests.support.engines import wait_until
from tests.support.kube_apiserver import KubeApiserver

pytestmark = pytest.mark.engines

Create: TypeAlias = Callable[[str, dict[str, Any]], str]

_TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
_MERGE = "application/merge-patch+json"


@pytest.fixture(scope="module")
def server(kube_apiserver: KubeApiserver) -> KubeApiserver:
    """The API server with all definitions."""
    for each in definitions():
        kube_apiserver.install(each)
    return kube_apiserver


@pytest.fixture
def create(server: KubeApiserver) -> Iterator[Create]:
    """Creates pools, which are gone after the test, and gives their paths."""
    paths: list[str] = []

    def make(name: str, spec: dict[str, Any]) -> str:
        obj = {"apiVersion": f"{GROUP}/v3", "kind": "IPPool", "metadata": {"name": name}, "spec": spec}
        answer = server.request("POST", path_of("IPPool", ""), obj)
        assert answer.status == 201, answer
        paths.append(f"{path_of('IPPool', '')}/{name}")
        return paths[-1]

    yield make
    for path in paths:
        server.request("DELETE", path)


def test_short_names_are_what_people_type(server: KubeApiserver) -> None:
    """Discovery tells each kind with its names, and no short name stands for two kinds."""
    told = {
        each["kind"]: (each["name"], tuple(each.get("shortNames", ())), each["namespaced"])
        for each in server.request("GET", f"/apis/{GROUP}/v3")["resources"]
        if "/" not in each["name"]
    }

    assert told == {
        kind: (KINDS[kind].plural, custom.short_names, KINDS[kind].namespaced) for kind, custom in CUSTOM_KINDS.items()
    }
    short = [name for custom in CUSTOM_KINDS.values() for name in custom.short_names]
    assert len(set(short)) == len(short)


def test_a_table_shows_what_a_kind_is_about(server: KubeApiserver, create: Create) -> None:
    """`kubectl get` shows our columns with an object's values."""
    path = create("shown", {"cidr": "192.0.2.0/24", "vxlanMode": "Always", "natOutgoing": True})
    table = server.request("GET", path, accept=_TABLE)
    columns = [(each["name"], each["priority"]) for each in table["columnDefinitions"]]

    assert columns == [("Name", 0), *((each.name, int(each.wide)) for each in CUSTOM_KINDS["IPPool"].columns)]
    assert table["rows"][0]["cells"][:5] == ["shown", "192.0.2.0/24", None, "Always", True]


@pytest.mark.parametrize("kind", CUSTOM_KINDS)
def test_every_column_points_at_a_field(server: KubeApiserver, kind: str) -> None:
    """No column is of a field that the kind has not: each path is found in the schema that the server has."""
    name = f"{KINDS[kind].plural}.{GROUP}"
    crd = server.request("GET", f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}")
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    lost = []
    for column in CUSTOM_KINDS[kind].columns:
        at = schema
        for step in column.path.removeprefix(".").split("[")[0].split("."):
            if at.get("x-kubernetes-preserve-unknown-fields") or at is schema["properties"]["metadata"]:
                break
            at = at["properties"].get(step)
            if at is None:
                lost.append(column.path)
                break

    assert lost == []


def test_status_is_written_apart_from_spec(server: KubeApiserver, create: Create) -> None:
    """A write of the object leaves status alone, a write of status leaves spec alone."""
    path = create("apart", {"cidr": "198.51.100.0/24"})
    condition = {"type": "Allocatable", "status": "True", "reason": "OK"}
    change = {"spec": {"disabled": True}, "status": {"conditions": [condition]}}
    by_spec = server.request("PATCH", path, change, content_type=_MERGE)
    change = {"spec": {"disabled": False}, "status": {"conditions": [condition]}}
    by_status = server.request("PATCH", f"{path}/status", change, content_type=_MERGE)

    assert ("status" in by_spec, by_spec["spec"]["disabled"]) == (False, True)
    assert by_status["spec"]["disabled"] is True
    assert by_status["status"]["conditions"][0]["reason"] == "OK"


@pytest.mark.parametrize("kind", [kind for kind, custom in CUSTOM_KINDS.items() if custom.defaults])
def test_defaults_are_filled_in(server: KubeApiserver, kind: str, namespace: str) -> None:
    """Where nothing was set, the server writes the defaults of the definition, inside of what is there."""
    custom = CUSTOM_KINDS[kind]
    given = next(case.obj for case in CASES if case.kind == kind and case.server_accepts)
    spec = dict(given["spec"])
    for path in custom.defaults:
        spec.pop(path.split(".")[1], None)
    if kind == "KubeControllersConfiguration":
        spec["controllers"] = {"loadBalancer": {}, "migration": {}}
    metadata = dict(given["metadata"])
    inside = namespace if KINDS[kind].namespaced else ""
    if inside:
        metadata["namespace"] = inside
    obj = {**given, "metadata": metadata, "spec": spec}
    answer = server.request("POST", f"{path_of(kind, inside)}?dryRun=All", obj)

    assert answer.status == 201, answer
    for path, value in custom.defaults.items():
        found: Any = answer
        for step in path.split("."):
            found = found[step]
        assert (path, found) == (path, value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cidr": "203.0.113.0/25"}, "CIDR cannot be changed; follow IP pool migration guide to avoid corruption."),
        ({"blockSize": 27}, "Block size cannot be changed; follow IP pool migration guide to avoid corruption."),
    ],
)
def test_a_pool_keeps_what_its_blocks_depend_on(
    server: KubeApiserver, create: Create, change: dict[str, Any], message: str
) -> None:
    """Prefix and block size of a pool stay; another change goes through."""
    path = create("kept", {"cidr": "203.0.113.0/24", "blockSize": 26})
    refused = server.request("PATCH", path, {"spec": change}, content_type=_MERGE)
    accepted = server.request("PATCH", path, {"spec": {"natOutgoing": True}}, content_type=_MERGE)

    assert (refused.status, accepted.status) == (422, 200)
    assert message in refused["message"]


def test_a_newer_versions_field_is_pruned_with_a_word(server: KubeApiserver) -> None:
    """Without strict validation an unknown field is dropped; with it, it is told."""
    obj = {
        "apiVersion": f"{GROUP}/v3",
        "kind": "Tier",
        "metadata": {"name": "later"},
        "spec": {"order": 5, "fromTheFuture": True},
    }
    lax = server.request("POST", f"{path_of('Tier', '')}?dryRun=All&fieldValidation=Ignore", obj)
    strict = server.request("POST", f"{path_of('Tier', '')}?dryRun=All&fieldValidation=Strict", obj)

    assert (lax.status, lax["spec"]) == (201, {"order": 5, "defaultAction": "Deny"})
    assert strict.status == 400
    assert 'unknown field "spec.fromTheFuture"' in strict["message"]


@pytest.mark.parametrize("field", ["nodeSelector", "ipipMode", "allowedUses", "natOutgoing"])
def test_null_is_unset(server: KubeApiserver, field: str) -> None:
    """A field with nothing behind it counts as left out, for the server as for the models."""
    obj = {
        "apiVersion": f"{GROUP}/v3",
        "kind": "IPPool",
        "metadata": {"name": "empty"},
        "spec": {"cidr": "192.0.2.0/24", field: None},
    }
    answer = server.request("POST", f"{path_of('IPPool', '')}?dryRun=All&fieldValidation=Strict", obj)
    unset = dump(load(obj))["spec"]

    assert (answer.status, unset) == (201, {"cidr": "192.0.2.0/24"})
    assert answer["spec"].get(field) == CUSTOM_KINDS["IPPool"].defaults.get(f"spec.{field}")


def test_conditions_of_different_types_have_different_writers(server: KubeApiserver, create: Create) -> None:
    """Two writers that apply one condition each leave the other's alone."""
    path = create("shared", {"cidr": "203.0.113.0/24"})
    for writer, kind in (("one", "Allocatable"), ("two", "Other")):
        applied = {
            "apiVersion": f"{GROUP}/v3",
            "kind": "IPPool",
            "metadata": {"name": "shared"},
            "status": {"conditions": [{"type": kind, "status": "True", "reason": "OK"}]},
        }
        answer = server.request(
            "PATCH", f"{path}/status?fieldManager={writer}", applied, content_type="application/apply-patch+yaml"
        )
        assert answer.status == 200, answer

    assert [each["type"] for each in answer["status"]["conditions"]] == ["Allocatable", "Other"]


def test_explanations_reach_kubectl(server: KubeApiserver) -> None:
    """What `kubectl explain` reads has a sentence for a field of each kind's spec."""
    schemas: dict[str, Any] = {}

    def told() -> bool:
        schemas.update(server.request("GET", f"/openapi/v3/apis/{GROUP}/v3").get("components", {}).get("schemas", {}))
        return {f"org.projectcalico.v3.{kind}" for kind in CUSTOM_KINDS} <= set(schemas)

    wait_until(told, "the API server to publish the schemas", within_s=60)
    silent = [
        f"{kind}.{name}"
        for kind in CUSTOM_KINDS
        for name, field in schemas[f"org.projectcalico.v3.{kind}"]["properties"]["spec"]["properties"].items()
        if not field.get("description")
    ]

    assert silent == []
