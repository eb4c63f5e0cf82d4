"""What is in etcd is Calico's, and what Calico and others left there is read as it is."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from muslin.datastore.protocol import AlreadyExists, Bookmark, Change, Forbidden, NotFound, NotSupported
from muslin.errors import BadInput
from muslin.resources.keys import Key
from tests.muslin.datastore.etcd.members import opened
from tests.muslin.datastore.suite.drivers import over, pool, value
from tests.support.etcd_server import EtcdServer

pytestmark = pytest.mark.engines("etcd")
_RESOURCES = "/calico/resources/v3/projectcalico.org/"
_DEFAULT = Key("Profile", "projectcalico-default-allow")


class _Raw:
    """etcd's own gateway: what others read and write."""

    def __init__(self, server: EtcdServer) -> None:
        self._server = server

    def put(self, key: str, text: str) -> None:
        """Write as another program would."""
        encoded = {"key": base64.b64encode(key.encode()).decode(), "value": base64.b64encode(text.encode()).decode()}
        self._server.call("/v3/kv/put", encoded)

    def all(self) -> dict[str, Any]:
        """Everything there is."""
        found = self._server.call("/v3/kv/range", {"key": "AA==", "range_end": "AA=="}).get("kvs", [])
        return {base64.b64decode(kv["key"]).decode(): json.loads(base64.b64decode(kv["value"])) for kv in found}


def _over(story: Callable[[Any, _Raw], Awaitable[None]]) -> None:
    async def main(server: EtcdServer) -> None:
        async with opened(server.endpoint) as store:
            await asyncio.wait_for(story(store, _Raw(server)), 20)

    with EtcdServer() as server:
        asyncio.run(main(server))


def test_policies_keep_their_name_in_an_annotation_that_nobody_sees() -> None:
    """Stored with it, read without; other annotations stay; an update keeps it."""
    key = Key("NetworkPolicy", "web", "shop")

    async def story(store: Any, raw: _Raw) -> None:
        mine = value(key, order=1)
        mine["metadata"]["annotations"] = {"team": "blue"}
        made = await store.create(key, mine)
        changed = await store.update(key, made.value, made.revision)
        there = raw.all()[f"{_RESOURCES}networkpolicies/shop/web"]

        assert there["metadata"]["annotations"] == {"team": "blue", "projectcalico.org/metadata": '{"name":"web"}'}
        assert there["metadata"]["uid"] == made.value["metadata"]["uid"]
        assert "resourceVersion" not in there["metadata"]
        assert changed.value["metadata"]["annotations"] == {"team": "blue"}

    _over(story)


def test_a_policy_of_an_old_release_is_found_changed_watched_and_deleted_under_its_name() -> None:
    """It is at `default.web`; a second one of that name can't be created; its deletion names it as it was shown."""
    key = Key("GlobalNetworkPolicy", "web")

    async def story(store: Any, raw: _Raw) -> None:
        text = json.dumps({**value(Key(key.kind, "default.web"), order=1), "apiVersion": "projectcalico.org/v3"})
        raw.put(f"{_RESOURCES}globalnetworkpolicies/default.web", text)
        found = await store.get(key)
        assert [entry.key for entry in (await store.list(key.kind)).entries] == [key]
        with pytest.raises(AlreadyExists):
            await store.create(key, value(key))
        changed = await store.update(key, {**found.value, "spec": {"order": 2}}, found.revision)
        assert list(raw.all()) == [f"{_RESOURCES}globalnetworkpolicies/default.web"]
        watch = store.watch({key.kind}, changed.revision)
        assert isinstance(await anext(watch), Bookmark)
        await store.delete(key)
        gone = await anext(watch)

        assert (gone.key, gone.value) == (key, None)
        assert raw.all() == {}

    _over(story)


def test_every_list_of_profiles_has_the_one_that_allows_everything() -> None:
    """In its place, on one page only, never in etcd; it can be read and not be changed."""

    async def story(store: Any, raw: _Raw) -> None:
        names = ["kns.a", "kns.b", "zzz"]
        for name in names:
            await store.create(Key("Profile", name), value(Key("Profile", name)))
        everything = [entry.key.name for entry in (await store.list("Profile")).entries]
        for limit in (1, 2, 3, 4):
            page = await store.list("Profile", limit=limit)
            paged = list(page.entries)
            while page.more is not None:
                assert len(page.entries) == limit
                page = await store.list("Profile", limit=limit, after=page.more)
                paged += page.entries
            assert [entry.key.name for entry in paged] == everything
        entry = await store.get(_DEFAULT)

        assert everything == ["kns.a", "kns.b", _DEFAULT.name, "zzz"]
        assert entry.value["spec"] == {"ingress": [{"action": "Allow"}], "egress": [{"action": "Allow"}]}
        with pytest.raises(AlreadyExists):
            await store.create(_DEFAULT, value(_DEFAULT))
        for call in (store.update(_DEFAULT, entry.value, entry.revision), store.delete(_DEFAULT)):
            with pytest.raises(Forbidden):
                await call
        assert len(raw.all()) == len(names)

    _over(story)


def test_addresses_have_calicos_own_form() -> None:
    """Affinity, block, handle and configuration: key and JSON as Calico's library keeps them, and back the same."""
    spec: dict[str, Any] = {
        "cidr": "192.0.2.0/30", "affinity": "host:node-1", "allocations": [0, None, None, None],
        "unallocated": [1, 2, 3], "attributes": [{"handle_id": "h.1", "secondary": {"node": "node-1"}}],
        "sequenceNumber": 7, "sequenceNumberForAllocation": {"0": 6}, "deleted": False, "strictAffinity": False,
    }  # fmt: skip
    objects: dict[Key, dict[str, Any]] = {
        Key("IPAMBlock", "192-0-2-0-30"): spec,
        Key("BlockAffinity", "node-1-192-0-2-0-30"): {
            "state": "confirmed", "node": "node-1", "type": "host", "cidr": "192.0.2.0/30", "deleted": False,
        },
        Key("IPAMHandle", "h.1"): {"handleID": "h.1", "block": {"192.0.2.0/30": 1}, "deleted": False},
        Key("IPAMConfiguration", "default"): {
            "strictAffinity": False, "autoAllocateBlocks": True, "maxBlocksPerHost": 4,
        },
    }  # fmt: skip

    async def story(store: Any, raw: _Raw) -> None:
        for key, each in objects.items():
            made = await store.create(key, value(key, **each))
            assert {**each, **made.value["spec"]} == made.value["spec"]
            assert await store.get(key) == made
            with pytest.raises(AlreadyExists):
                await store.create(key, value(key, **each))
        there = raw.all()

        assert set(there) == {
            "/calico/ipam/v2/assignment/ipv4/block/192.0.2.0-30",
            "/calico/ipam/v2/host/node-1/ipv4/block/192.0.2.0-30",
            "/calico/ipam/v2/handle/h.1",
            "/calico/ipam/v2/config",
        }
        assert there["/calico/ipam/v2/host/node-1/ipv4/block/192.0.2.0-30"] == {"state": "confirmed", "deleted": False}
        with pytest.raises(BadInput):
            await store.create(Key("IPAMBlock", "192-0-2-4-30"), value(Key("IPAMBlock", "192-0-2-4-30"), **spec))
        for key in objects:
            assert [entry.key for entry in (await store.list(key.kind)).entries] == [key]
            assert (await store.delete(key)).key == key
        assert raw.all() == {}

    _over(story)


def test_a_handle_in_upper_case_is_found_by_its_lower_case_name() -> None:
    """Other programs write it as it comes; it is read, changed and deleted where it is."""
    key = Key("IPAMHandle", "lb-abc")

    async def story(store: Any, raw: _Raw) -> None:
        raw.put("/calico/ipam/v2/handle/lb-ABx", "{}")
        raw.put("/calico/ipam/v2/handle/lb-aBC", '{"block":{"192.0.2.0/30":1},"deleted":false}')
        found = await store.get(key)
        assert found.value["spec"]["handleID"] == "lb-aBC"
        await store.delete(key, found.revision)

        assert list(raw.all()) == ["/calico/ipam/v2/handle/lb-ABx"]
        with pytest.raises(NotFound):
            await store.get(key)

    _over(story)


def test_what_others_wrote_wrongly_is_listed_and_hides_nothing() -> None:
    """No JSON, no object, no metadata, a wrong type, an empty affinity, a key that is none: told, or left alone."""
    bad = {
        f"{_RESOURCES}ippools/no-json": "{",
        f"{_RESOURCES}ippools/a-list": "[1]",
        f"{_RESOURCES}ippools/no-metadata": '{"spec":{}}',
        f"{_RESOURCES}ippools/odd": '{"metadata":5}',
        "/calico/ipam/v2/assignment/ipv4/block/192.0.2.0-30": '{"attributes":5}',
        "/calico/ipam/v2/host/node-1/ipv4/block/192.0.2.0-30": "",
    }
    alone = {
        f"{_RESOURCES}ippools/a/b": "{}",
        "/calico/ipam/v2/host/node-1": "{}",
        "/calico/felix/v2/no-region/host/node-1/status": "{}",
        "/calico/v1/Ready": "true",
    }

    async def story(store: Any, raw: _Raw) -> None:
        start = (await store.list("IPPool")).revision
        for key, text in (bad | alone).items():
            raw.put(key, text)
        made = await store.create(pool("zzz"), value(pool("zzz")))
        names = [entry.key.name for entry in (await store.list("IPPool")).entries]
        seen = []
        async for event in store.watch({"IPPool", "IPAMBlock", "BlockAffinity"}, start):
            if isinstance(event, Change):
                seen.append(event.key)
                if event.revision == made.revision:
                    break
        affinity = await store.get(Key("BlockAffinity", "node-1-192-0-2-0-30"))

        assert names == ["a-list", "no-json", "no-metadata", "odd", "zzz"]
        assert len((await store.list("IPAMBlock")).entries) == 1
        assert len(seen) == len(bad) + 1
        assert affinity.value["spec"] | {"state": ""} == {
            "state": "", "deleted": False, "node": "node-1", "type": "host", "cidr": "192.0.2.0/30",
        }  # fmt: skip

    _over(story)


def test_an_object_that_says_it_is_another_stands_under_its_own_key() -> None:
    """The key decides: it must not stand in for the other."""

    async def story(store: Any, raw: _Raw) -> None:
        raw.put(f"{_RESOURCES}ippools/a", json.dumps(value(pool("b"))))
        raw.put(f"{_RESOURCES}globalnetworkpolicies/a", json.dumps(value(Key("GlobalNetworkPolicy", "b"))))
        for kind in ("IPPool", "GlobalNetworkPolicy"):
            assert [entry.key for entry in (await store.list(kind)).entries] == [Key(kind, "a")]
            with pytest.raises(NotFound):
                await store.get(Key(kind, "b"))

    _over(story)


def test_pages_over_namespaces_are_in_the_order_of_namespaces() -> None:
    """`a` comes before `a-b`, although etcd has `a-b/x` before `a/x`."""
    keys = [Key("NetworkSet", name, space) for space in ("a", "a-b", "a.c", "b") for name in ("x", "x-y", "y")]

    async def story(store: Any, _: _Raw) -> None:
        for key in reversed(keys):
            await store.create(key, value(key))
        for limit in (None, 1, 4, 100):
            page = await store.list("NetworkSet", limit=limit)
            found = list(page.entries)
            while page.more is not None:
                page = await store.list("NetworkSet", limit=limit, after=page.more)
                found += page.entries
            assert [entry.key for entry in found] == keys

    _over(story)


def test_the_reconcilers_own_kinds_are_outside_calicos_keys() -> None:
    """Calico's tools must not stumble over them."""
    key = Key("ReconcilerLedger", "set")

    async def story(store: Any, raw: _Raw) -> None:
        made = await store.create(key, {**value(key), "apiVersion": "reconciler.muslin/v1alpha1"})
        assert [entry.key for entry in (await store.list(key.kind)).entries] == [key]
        assert await store.get(key) == made
        assert not [each for each in raw.all() if each.startswith("/calico/")]

    _over(story)


def test_policies_of_kubernetes_are_not_kept_in_etcd() -> None:
    """Lists are empty, nothing is found, a write says what to do instead."""
    key = Key("KubernetesNetworkPolicy", "web", "shop")

    async def main(store: Any) -> None:
        assert (await store.list(key.kind)).entries == ()
        assert (await store.list("KubernetesClusterNetworkPolicy")).entries == ()
        with pytest.raises(NotFound):
            await store.get(key)
        with pytest.raises(NotFound):
            await store.delete(key)
        with pytest.raises(NotSupported, match="NetworkPolicy"):
            await store.create(key, value(key))

    over("etcd", lambda store, _: main(store))


def test_a_name_that_is_no_text_is_not_found() -> None:
    """Half of a pair of surrogates is in no key of etcd."""

    async def main(store: Any) -> None:
        for key in (Key("IPPool", "\ud800"), Key("NetworkSet", "x", "\ud800"), Key("GlobalNetworkPolicy", "\ud800")):
            with pytest.raises(NotFound):
                await store.get(key)
            with pytest.raises(NotFound):
                await store.delete(key)
            with pytest.raises(BadInput):
                await store.create(key, value(key))

    over("etcd", lambda store, _: main(store))
