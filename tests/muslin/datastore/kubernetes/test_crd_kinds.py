"""Kinds that are CRDs, in both forms: status, deletion in two steps, names that old releases gave, unknown fields."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from muslin.conversion.kinds import CRD_KINDS, ApiGroup, api_path
from muslin.datastore.kubernetes import KubernetesDatastore
from muslin.datastore.protocol import AlreadyExists, Change, Conflict, NotFound
from muslin.resources.keys import Key
from reconciler.ledger import Ledger, Owned
from tests.muslin.datastore.kubernetes.clusters import cleared, cluster, definitions, install, over, value
from tests.support.kube_apiserver import KubeApiserver

pytestmark = pytest.mark.engines

both_forms = pytest.mark.parametrize("group", list(ApiGroup), ids=["v1", "v3"])


@both_forms
def test_every_kind_is_kept(server: KubeApiserver, group: ApiGroup) -> None:
    """Each kind is created, read, listed, changed and deleted under its own address."""
    cleared(server, *CRD_KINDS, namespaces=("x",))

    async def story(one: Any) -> None:
        for kind, stored in CRD_KINDS.items():
            key = Key(kind, "default", "x" if stored.namespaced else None)
            made = await one.create(key, value(key, spec={"a": 1}))
            assert (await one.list(kind)).entries == (made,)
            changed = await one.update(key, {**made.value, "spec": {"a": 2}}, made.revision)
            assert changed.value["kind"] == kind
            assert changed.value["apiVersion"] == "projectcalico.org/v3"
            assert await one.delete(key, changed.revision) == changed
            assert (await one.list(kind)).entries == ()

    over(server, story, group=group)


def test_the_reconcilers_books_are_kept(server: KubeApiserver) -> None:
    """Its ledger is written and found again by another process; who writes on old knowledge is refused."""
    key = Key("IPPool", "p")

    async def story(one: Any, two: Any) -> None:
        ledger = await Ledger.load(one, "main")
        for owned in (Owned(None, {"spec": 1}, "abc"), Owned({"spec": 1}, None, "abc")):
            await ledger.change({key: owned}, accepted="abc")
            again = await Ledger.load(two, "main")
            assert (again.owned, again.accepted) == ({key: owned}, "abc")
        await again.change({key: None})
        with pytest.raises(Conflict):
            await ledger.change({key: Owned({"spec": 3})})

    over(server, story, count=2)


@both_forms
def test_status_is_written_with_its_object(server: KubeApiserver, group: ApiGroup) -> None:
    """Create and update write spec and status, whatever address the CRD has for it; without status it stays."""
    cleared(server, "CalicoNodeStatus")
    key = Key("CalicoNodeStatus", "n1")

    async def story(one: Any, two: Any) -> None:
        made = await one.create(key, value(key, spec={"node": "n1"}, status={"round": 1}))
        assert (made.value["spec"], made.value["status"]) == ({"node": "n1"}, {"round": 1})
        both = await one.update(key, {**made.value, "spec": {"node": "n2"}, "status": {"round": 2}}, made.revision)
        assert (both.value["spec"], both.value["status"]) == ({"node": "n2"}, {"round": 2})
        with pytest.raises(Conflict) as late:
            await two.update(key, {**made.value, "status": {"round": 9}}, made.revision)
        assert late.value.current == both == await two.get(key)
        same = await one.update(key, both.value, both.revision)
        assert same == both
        bare = {name: part for name, part in both.value.items() if name != "status"}
        if group is ApiGroup.V3:
            assert (await one.update(key, {**bare, "spec": {"node": "n3"}}, both.revision)).value["status"] == {
                "round": 2
            }

    over(server, story, count=2, group=group)


@both_forms
@pytest.mark.parametrize("kind", ["BlockAffinity", "IPAMBlock", "IPAMHandle"])
def test_an_object_of_ipam_goes_in_two_steps(server: KubeApiserver, group: ApiGroup, kind: str) -> None:
    """It is marked, then removed. Who finds a marked one ends its deletion; a list shows it; a new one can be made."""
    cleared(server, kind)
    key = Key(kind, "192-0-2-0-26")

    async def story(one: Any, two: Any) -> None:
        start = (await one.list(kind)).revision
        made = await one.create(key, value(key, spec={"cidr": "192.0.2.0/26", "deleted": False}))
        await one.delete(key, made.revision)
        steps = []
        async for event in two.watch({kind}, start):
            if isinstance(event, Change):
                steps.append(None if event.value is None else event.value["spec"]["deleted"])
                if event.value is None:
                    break
        assert steps == [False, True, None]

        made = await one.create(key, value(key, spec={"deleted": False}))
        marked = await one.update(key, {**made.value, "spec": {"deleted": True}}, made.revision)  # and dies
        assert (await two.list(kind)).entries == (marked,)
        with pytest.raises(NotFound):
            await two.get(key)
        assert (await two.list(kind)).entries == ()
        made = await one.create(key, value(key, spec={"deleted": False}))
        await one.update(key, {**made.value, "spec": {"deleted": True}}, made.revision)
        again = await two.create(key, value(key, spec={"deleted": False}))
        assert again.value["metadata"]["uid"] != made.value["metadata"]["uid"]
        with pytest.raises(Conflict):
            await one.delete(key, made.revision)
        assert await one.get(key) == again

    over(server, story, count=2, group=group)


@both_forms
def test_what_is_half_deleted_is_gone_for_every_writer(server: KubeApiserver, group: ApiGroup) -> None:
    """Who deletes it again, or writes what he read before, is told so; only its second step can be asked for."""
    kind = "IPAMHandle"
    cleared(server, kind)
    key = Key(kind, "h")

    async def story(one: Any, two: Any) -> None:
        writers: list[Callable[[Any], Awaitable[Any]]] = [
            lambda _: two.delete(key),
            lambda made: two.delete(key, made.revision),
            lambda made: two.update(key, value(key, spec={"deleted": False}), made.revision),
        ]
        for writes in writers:
            made = await one.create(key, value(key, spec={"deleted": False}))
            await one.update(key, {**made.value, "spec": {"deleted": True}}, made.revision)
            with pytest.raises(NotFound):
                await writes(made)
            assert (await two.list(kind)).entries == ()
        made = await one.create(key, value(key, spec={"deleted": False}))
        marked = await one.update(key, {**made.value, "spec": {"deleted": True}}, made.revision)
        assert await two.delete(key, marked.revision) == marked
        assert (await two.list(kind)).entries == ()

    over(server, story, count=2, group=group)


@both_forms
def test_a_field_of_a_newer_version_survives(server: KubeApiserver, group: ApiGroup) -> None:
    """What we do not know is sent back as it came, in the spec and beside it, and so are finalizers and owners."""
    cleared(server, "IPPool")
    key = Key("IPPool", "p")
    given: dict[str, Any] = {
        "spec": {"cidr": "192.0.2.0/24", "fromTheFuture": {"deep": [1, {"x": None}]}},
        "beside": {"it": True},
    }

    async def story(one: Any) -> None:
        made = await one.create(key, value(key, **given))
        changed = await one.update(key, {**made.value, "spec": {**made.value["spec"], "disabled": True}}, made.revision)
        assert changed.value["spec"] == {**given["spec"], "disabled": True}
        assert changed.value["beside"] == {"it": True}

    over(server, story, group=group)


def test_an_old_policy_keeps_the_name_it_is_stored_under(server: KubeApiserver) -> None:
    """What a release up to 3.28 wrote as `default.web` is read, changed and deleted as `web`; a move loses nothing."""
    cleared(server, "GlobalNetworkPolicy")
    path = api_path(ApiGroup.V1, "GlobalNetworkPolicy")
    body = {"apiVersion": "crd.projectcalico.org/v1", "kind": "GlobalNetworkPolicy", "spec": {"order": 1}}
    assert server.request("POST", path, {**body, "metadata": {"name": "default.web"}}).status == 201
    key = Key("GlobalNetworkPolicy", "web")

    async def story(one: Any, two: Any) -> None:
        found = await one.get(key)
        assert [entry.key for entry in (await one.list("GlobalNetworkPolicy")).entries] == [key]
        changed = await one.update(key, {**found.value, "spec": {"order": 2}}, found.revision)
        assert changed.value["metadata"]["uid"] == found.value["metadata"]["uid"]
        assert server.request("GET", f"{path}/default.web")["spec"] == {"order": 2}
        with pytest.raises(AlreadyExists):
            await one.create(Key("GlobalNetworkPolicy", "default.web"), value(key) | {"metadata": {}})

        recorded = {"projectcalico.org/metadata": json.dumps({"name": "web"})}
        moved = {**body, "metadata": {"name": "web", "annotations": recorded}, "spec": {"order": 2}}
        assert server.request("POST", path, moved).status == 201
        assert server.request("DELETE", f"{path}/default.web").status == 200
        last = await one.create(Key("GlobalNetworkPolicy", "last"), value(Key("GlobalNetworkPolicy", "last")))
        seen = []
        async for event in two.watch({"GlobalNetworkPolicy"}, changed.revision):
            if isinstance(event, Change):
                if event.revision == last.revision:
                    break
                seen.append((event.key, event.value is not None))
        assert seen == [(key, True)]
        assert (await one.get(key)).value["spec"] == {"order": 2}

        for stored, order, notes in (
            ("a", 1, {"projectcalico.org/metadata": '{"name":"a"}'}),
            ("default.a", 2, {}),
        ):
            both = {**body, "metadata": {"name": stored, "annotations": notes}, "spec": {"order": order}}
            assert server.request("POST", path, both).status == 201
        listed = (await one.list("GlobalNetworkPolicy")).entries
        assert (listed[0].key.name, listed[0].value["spec"]) == ("a", {"order": 1})
        assert len({entry.key for entry in listed}) == len(listed)

    over(server, story, count=2, group=ApiGroup.V1)


@pytest.mark.parametrize(
    ("groups", "used"),
    [((ApiGroup.V3,), ApiGroup.V3), ((ApiGroup.V1,), ApiGroup.V1), ((ApiGroup.V3, ApiGroup.V1), ApiGroup.V1)],
    ids=["v3", "v1", "both"],
)
@pytest.mark.slow
def test_the_crds_in_use_are_found(groups: tuple[ApiGroup, ...], used: ApiGroup) -> None:
    """Native CRDs where there are no older ones; before there are any, nothing is decided."""
    key = Key("IPPool", "p")

    async def story(server: KubeApiserver, one: KubernetesDatastore) -> None:
        assert (await one.list("IPPool")).entries == ()
        for group in groups:
            install(server, definitions(group))
        assert await one.api_group() is used
        await one.create(key, value(key))

    with cluster() as server:
        over(server, lambda one: story(server, one), group=None)
        assert server.request("GET", f"{api_path(used, 'IPPool')}/p").status == 200
