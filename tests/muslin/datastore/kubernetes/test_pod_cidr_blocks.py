"""Blocks from the podCIDRs of nodes, where these and not Calico's IPAM give addresses."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from muslin import resources
from muslin.datastore.kubernetes import KubernetesDatastore, NotSupported
from muslin.datastore.protocol import AlreadyExists, Bookmark, Change, NotFound
from muslin.resources.keys import Key
from tests.muslin.datastore.kubernetes.clusters import settings
from tests.support.kube_apiserver import KubeApiserver

pytestmark = pytest.mark.engines

V4, V6 = Key("IPAMBlock", "198-51-100-0-26"), Key("IPAMBlock", "2001-db8--40-122")


def _over(server: KubeApiserver, story: Any) -> None:
    async def main() -> None:
        store = await KubernetesDatastore.open(replace(settings(server), use_pod_cidr=True))
        try:
            await asyncio.wait_for(story(store), 60)
        finally:
            await store.close()

    asyncio.run(main())


def test_each_pod_cidr_of_a_node_is_its_block(server: KubeApiserver) -> None:
    """Listed, read and watched, beside the nodes themselves; gone with its node. Nobody writes them."""

    async def story(store: Any) -> None:
        watch = store.watch({"Node", "IPAMBlock"}, (await store.list("IPAMBlock")).revision)
        body = {"metadata": {"name": "dual"}, "spec": {"podCIDRs": ["198.51.100.0/26", "2001:db8::40/122"]}}
        assert server.request("POST", "/api/v1/nodes", body).status == 201
        try:
            listed = [
                it for it in (await store.list("IPAMBlock")).entries if it.value["spec"]["affinity"] == "host:dual"
            ]
            assert [it.key for it in listed] == [V4, V6]
            assert await store.get(V6) == listed[1]
            for entry in listed:
                assert resources.load(dict(entry.value)).key == entry.key
            assert {await _next(watch) for _ in range(3)} == {(Key("Node", "dual"), True), (V4, True), (V6, True)}
            with pytest.raises(AlreadyExists):
                await store.create(V4, dict(listed[0].value))
            with pytest.raises(NotSupported):
                await store.delete(V4)
            with pytest.raises(NotSupported):
                await store.update(V4, dict(listed[0].value), listed[0].revision)
        finally:
            server.request("DELETE", "/api/v1/nodes/dual")
        assert {await _next(watch) for _ in range(3)} == {(Key("Node", "dual"), False), (V4, False), (V6, False)}
        with pytest.raises(NotFound):
            await store.get(V4)

    _over(server, story)


async def _next(watch: Any) -> tuple[Key, bool]:
    while True:
        event = await anext(watch)
        if isinstance(event, Change):
            return event.key, event.value is not None
        assert isinstance(event, Bookmark)
