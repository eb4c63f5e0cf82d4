"""The client against a real kube-apiserver: what the API's documentation promises is what we see."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from muslin.kubernetes.access import Pem, User
from muslin.kubernetes.client import METADATA_ONLY, TABLE, KubernetesClient, PatchType
from muslin.kubernetes.errors import (
    AlreadyExists,
    Conflict,
    Distrusted,
    Expired,
    Forbidden,
    Invalid,
    NotFound,
    Unauthorized,
)
from muslin.kubernetes.finding import find_access
from muslin.kubernetes.pace import Limits
from tests.support.kube_apiserver import KubeApiserver

pytestmark = pytest.mark.engines

_FREE = Limits(qps=0)


def _run(server: KubeApiserver, do: Callable[[KubernetesClient], Awaitable[None]], **access: Any) -> None:
    async def main() -> None:
        found = replace(find_access(kubeconfig=str(server.kubeconfig)), **access)
        client = await KubernetesClient.connect(found, limits=_FREE)
        try:
            await do(client)
        finally:
            await client.close()

    asyncio.run(main())


def _map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def test_an_objects_life(kube_apiserver: KubeApiserver, namespace: str) -> None:
    """Created, read, replaced at its revision only, patched in every way, deleted only as it is."""
    path = f"/api/v1/namespaces/{namespace}/configmaps"

    async def do(client: KubernetesClient) -> None:
        made = await client.create(path, _map("a", x="1"))
        with pytest.raises(AlreadyExists):
            await client.create(path, _map("a"))
        second = await client.replace(f"{path}/a", {**made, "data": {"x": "2"}}, field_manager="tests")
        with pytest.raises(Conflict):
            await client.replace(f"{path}/a", {**made, "data": {"x": "3"}})
        await client.patch(f"{path}/a", {"data": {"y": "1"}}, how=PatchType.MERGE)
        await client.patch(f"{path}/a", {"data": {"z": "1"}}, how=PatchType.STRATEGIC)
        change = [{"op": "test", "path": "/data/x", "value": "2"}, {"op": "remove", "path": "/data/y"}]
        third = await client.patch(f"{path}/a", change, how=PatchType.JSON)
        with pytest.raises(Invalid):
            await client.patch(f"{path}/a", change, how=PatchType.JSON)
        with pytest.raises(Conflict):
            await client.patch(
                f"{path}/a", {"metadata": {"resourceVersion": second["metadata"]["resourceVersion"]}, "data": {}},
                how=PatchType.MERGE,
            )  # fmt: skip
        dry = await client.patch(f"{path}/a", {"data": {"dry": "1"}}, how=PatchType.MERGE, dry_run=True)
        now = await client.get(f"{path}/a")

        assert dry["data"] == {"x": "2", "z": "1", "dry": "1"}
        assert now == third
        assert now["data"] == {"x": "2", "z": "1"}

        with pytest.raises(Conflict):
            await client.delete(f"{path}/a", uid="00000000-0000-0000-0000-000000000000")
        with pytest.raises(Conflict):
            await client.delete(f"{path}/a", resource_version=second["metadata"]["resourceVersion"])
        await client.delete(f"{path}/a", uid=made["metadata"]["uid"])
        with pytest.raises(NotFound):
            await client.get(f"{path}/a")
        with pytest.raises(NotFound):
            await client.delete(f"{path}/a")

    _run(kube_apiserver, do)


def test_applied_fields_have_managers(kube_apiserver: KubeApiserver, namespace: str) -> None:
    """Another manager's field is a conflict that names it; force takes it; a field left out goes away."""
    path = f"/api/v1/namespaces/{namespace}/configmaps/a"

    async def do(client: KubernetesClient) -> None:
        await client.apply(path, _map("a", x="1", y="1"), field_manager="one")
        with pytest.raises(Conflict) as caught:
            await client.apply(path, _map("a", x="2"), field_manager="two")

        assert ".data.x" in caught.value.problems[0].where
        assert 'conflict with "one"' in caught.value.problems[0].what

        dry = await client.apply(path, _map("a", x="9"), field_manager="two", force=True, dry_run=True)
        taken = await client.apply(path, _map("a", x="2"), field_manager="two", force=True)
        left = await client.apply(path, _map("a"), field_manager="one")

        assert (dry["data"]["x"], taken["data"], left["data"]) == ("9", {"x": "2", "y": "1"}, {"x": "2"})

    _run(kube_apiserver, do)


def test_status_is_written_by_its_own_path(kube_apiserver: KubeApiserver, namespace: str) -> None:
    """A patch of `/status` changes status (and annotations) of a pod, and not its spec."""
    pods = f"/api/v1/namespaces/{namespace}/pods"
    pod = {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c", "image": "example.org/c"}]},
    }  # fmt: skip

    async def do(client: KubernetesClient) -> None:
        await client.create(pods, pod)
        patch = {
            "metadata": {"annotations": {"cni.projectcalico.org/podIP": "192.0.2.5/32"}},
            "status": {"podIP": "192.0.2.5"},
            "spec": {"containers": [{"name": "c", "image": "example.org/other"}]},
        }
        patched = await client.patch(f"{pods}/p/status", patch, how=PatchType.STRATEGIC)

        assert patched["status"]["podIP"] == "192.0.2.5"
        assert patched["metadata"]["annotations"] == {"cni.projectcalico.org/podIP": "192.0.2.5/32"}
        assert patched["spec"]["containers"][0]["image"] == "example.org/c"

        await client.delete(f"{pods}/p", grace_seconds=0)

    _run(kube_apiserver, do)


def test_pages_are_of_one_instant(kube_apiserver: KubeApiserver, namespace: str) -> None:
    """What is written between two pages is not in the later one, and a watch from the list brings it."""
    path = f"/api/v1/namespaces/{namespace}/configmaps"

    async def do(client: KubernetesClient) -> None:
        names = [f"m{number:03}" for number in range(25)]
        await asyncio.gather(*(client.create(path, _map(name)) for name in names))
        first = await client.page(path, limit=10)
        revision, after = first["metadata"]["resourceVersion"], first["metadata"]["continue"]
        await client.create(path, _map("m999"))
        seen = [item["metadata"]["name"] for item in first["items"]]
        while after:
            page = await client.page(path, limit=10, continue_=after)
            assert page["metadata"]["resourceVersion"] == revision
            seen += [item["metadata"]["name"] for item in page["items"]]
            after = page["metadata"].get("continue")

        assert seen == names

        watch = client.watch(path, resource_version=revision)
        event = await anext(watch)
        await watch.aclose()  # type: ignore[attr-defined]

        assert (event.type, event.object["metadata"]["name"]) == ("ADDED", "m999")

    _run(kube_apiserver, do)


def test_a_watch_brings_every_change_once_and_in_order(kube_apiserver: KubeApiserver, namespace: str) -> None:
    """300 writes by several writers, among them objects over 64 KiB: the watch is the history of revisions."""
    path = f"/api/v1/namespaces/{namespace}/configmaps"

    async def do(client: KubernetesClient) -> None:
        start = (await client.page(path, limit=1))["metadata"]["resourceVersion"]
        written: list[int] = []

        async def writer(number: int) -> None:
            made = await client.create(path, _map(f"w{number}", big="x" * (100_000 if number % 4 == 0 else 10)))
            written.append(int(made["metadata"]["resourceVersion"]))
            for turn in range(13):
                made = await client.patch(f"{path}/w{number}", {"data": {"n": str(turn)}}, how=PatchType.MERGE)
                written.append(int(made["metadata"]["resourceVersion"]))

        async def reader() -> list[tuple[str, int]]:
            seen: list[tuple[str, int]] = []
            async for event in client.watch(path, resource_version=start):
                if event.type != "BOOKMARK":
                    seen.append((str(event.type), int(event.resource_version)))
                if [kind for kind, _ in seen].count("DELETED") == 20:
                    return seen
            raise AssertionError

        reading = asyncio.create_task(reader())
        await asyncio.gather(*(writer(number) for number in range(20)))
        await asyncio.gather(*(client.delete(f"{path}/w{number}") for number in range(20)))
        seen = await asyncio.wait_for(reading, 60)

        revisions = [revision for _, revision in seen]
        assert revisions == sorted(set(revisions))
        assert sorted(written) == [revision for kind, revision in seen if kind != "DELETED"]
        assert [kind for kind, _ in seen].count("ADDED") == 20

    _run(kube_apiserver, do)


def test_a_revision_from_long_ago_is_expired(kube_apiserver: KubeApiserver) -> None:
    """What was before the server knew a kind can't be watched: its own 410 ends the watch."""
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    names = {"plural": "relics", "singular": "relic", "kind": "Relic"}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    kube_apiserver.install(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "relics.example.org"},
            "spec": {"group": "example.org", "scope": "Cluster", "names": names, "versions": [version]},
        }
    )

    async def do(client: KubernetesClient) -> None:
        with pytest.raises(Expired, match="too old resource version"):
            await anext(client.watch("/apis/example.org/v1/relics", resource_version="1"))

    _run(kube_apiserver, do)


def test_a_continue_token_that_is_no_good_is_refused(kube_apiserver: KubeApiserver, namespace: str) -> None:
    """Rubbish is the caller's fault, not an expired list."""

    async def do(client: KubernetesClient) -> None:
        with pytest.raises(Exception, match="continue") as caught:
            await client.page(f"/api/v1/namespaces/{namespace}/configmaps", continue_="rubbish")
        assert not isinstance(caught.value, Expired)

    _run(kube_apiserver, do)


def test_what_the_server_has_is_found(kube_apiserver: KubeApiserver) -> None:
    """Groups with versions, resources with their scope; a group that is not there is NotFound."""

    async def do(client: KubernetesClient) -> None:
        versions = await client.group_versions()
        core, apps = await client.resources("v1"), await client.resources("apps/v1")
        with pytest.raises(NotFound):
            await client.resources("example.org/v9")

        assert {"v1", "apps/v1", "networking.k8s.io/v1"} <= versions
        assert (core["nodes"]["namespaced"], core["pods"]["namespaced"]) == (False, True)
        assert "deployments/scale" in apps

    _run(kube_apiserver, do)


def test_less_than_objects_can_be_asked_for(kube_apiserver: KubeApiserver, namespace: str) -> None:
    """A table, and metadata alone."""
    path = f"/api/v1/namespaces/{namespace}/configmaps"

    async def do(client: KubernetesClient) -> None:
        await client.create(path, _map("a", x="1"))
        table = await client.page(path, accept=TABLE)
        alone = await client.get(f"{path}/a", accept=METADATA_ONLY.format(""))
        listed = await client.page(path, accept=METADATA_ONLY.format("List"))

        assert (table["kind"], table["rows"][0]["cells"][0]) == ("Table", "a")
        assert "data" not in alone
        assert [item["metadata"]["name"] for item in listed["items"]] == ["a"]

    _run(kube_apiserver, do)


def test_who_may_not_and_who_is_nobody(kube_apiserver: KubeApiserver, namespace: str) -> None:
    """A user without a role is Forbidden by name; a wrong token is Unauthorized; no message holds the token."""

    async def forbidden(client: KubernetesClient) -> None:
        with pytest.raises(Forbidden, match="alice") as caught:
            await client.get(f"/api/v1/namespaces/{namespace}/secrets/x")
        assert kube_apiserver.user_token not in str(caught.value)

    async def unauthorized(client: KubernetesClient) -> None:
        with pytest.raises(Unauthorized) as caught:
            await client.get("/api/v1/namespaces")
        assert "wrong-token" not in str(caught.value)

    _run(kube_apiserver, forbidden, user=User(token=kube_apiserver.user_token))
    _run(kube_apiserver, unauthorized, user=User(token="wrong-token"))


def test_a_token_that_rotates_is_read_again(kube_apiserver: KubeApiserver, tmp_path: Path) -> None:
    """The server refuses the old one once; the request goes through with what the file says now."""
    token = tmp_path / "token"
    token.write_text("from-yesterday")

    async def do(client: KubernetesClient) -> None:
        with pytest.raises(Unauthorized):
            await client.get("/api/v1/namespaces/default")
        fresh = tmp_path / "..fresh"
        fresh.write_text(f"{kube_apiserver.admin_token}\n")
        os.replace(fresh, token)  # noqa: PTH105  as a kubelet does it

        assert (await client.get("/api/v1/namespaces/default"))["kind"] == "Namespace"

    _run(kube_apiserver, do, user=User(token_file=token))


def test_a_client_certificate_is_who_we_are(kube_apiserver: KubeApiserver) -> None:
    """The group in the certificate gives the rights; the same key without rights is Forbidden."""
    admin = kube_apiserver.authority.issue("certified", groups=("system:masters",))
    nobody = kube_apiserver.authority.issue("certified-nobody")

    async def may(client: KubernetesClient) -> None:
        assert (await client.get("/api/v1/namespaces/default"))["kind"] == "Namespace"

    async def may_not(client: KubernetesClient) -> None:
        with pytest.raises(Forbidden, match="certified-nobody"):
            await client.get("/api/v1/namespaces/default")

    for pair, do in ((admin, may), (nobody, may_not)):
        pems = (Pem(str(pair.cert), path=pair.cert), Pem("inline", data=pair.key.read_bytes()))
        _run(kube_apiserver, do, user=User(certificate=pems[0], key=pems[1]))


def test_a_server_of_another_authority_is_not_trusted(kube_apiserver: KubeApiserver, tmp_path: Path) -> None:
    """Nothing is sent to it; the name of the server counts, and both can be said in the access."""
    other = tmp_path / "other.crt"
    other.write_bytes(_other_authority(tmp_path))

    async def refused(client: KubernetesClient) -> None:
        with pytest.raises(Distrusted, match="not trusted"):
            await client.get("/version")

    async def fine(client: KubernetesClient) -> None:
        assert "gitVersion" in await client.get("/version")

    _run(kube_apiserver, refused, ca=Pem(str(other), path=other))
    _run(kube_apiserver, refused, tls_server_name="api.example.org")
    _run(kube_apiserver, fine, tls_server_name="kubernetes.default.svc")
    _run(kube_apiserver, fine, ca=None, insecure_skip_tls_verify=True)


def _other_authority(folder: Path) -> bytes:
    from tests.support.certificates import Authority  # noqa: PLC0415  only here

    return Authority(folder / "other").cert.read_bytes()


def test_a_watch_is_ended_by_the_server_and_goes_on(kube_apiserver: KubeApiserver, namespace: str) -> None:
    """With a time limit of a second each connection ends in order; no write between them is missed."""
    path = f"/api/v1/namespaces/{namespace}/configmaps"

    async def main() -> None:
        limits = replace(_FREE, watch_s=1, first_wait_s=0.01)
        client = await KubernetesClient.connect(find_access(kubeconfig=str(kube_apiserver.kubeconfig)), limits=limits)
        start = (await client.page(path))["metadata"]["resourceVersion"]
        written, seen = [], []

        async def write() -> None:
            for number in range(60):
                made = await client.create(path, _map(f"n{number}"))
                written.append(made["metadata"]["resourceVersion"])
                await asyncio.sleep(0.08)

        writing = asyncio.create_task(write())
        async for event in client.watch(path, resource_version=start):
            if event.type != "BOOKMARK":
                seen.append(event.resource_version)
            if len(seen) == 60:
                break
        await writing
        await client.close()

        assert seen == written

    asyncio.run(main())
