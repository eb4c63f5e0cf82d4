"""What can't be used of an object is told at its place; what can't be read at all ends a watch with the reason."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from muslin.conversion.kinds import ApiGroup, api_path
from muslin.datastore.kubernetes.nodes import Nodes
from muslin.datastore.kubernetes.watching import MergedWatch
from muslin.datastore.mirror import Mirror
from muslin.datastore.protocol import Change, Revision
from muslin.errors import Failed
from muslin.resources.keys import Key
from tests.muslin.datastore.kubernetes.clusters import cleared, over
from tests.support.kube_apiserver import KubeApiserver

ODD = Key("Node", "odd")
_WRONG = {"projectcalico.org/IPv4Address": "not-an-address", "projectcalico.org/ASNumber": "64496"}


@pytest.mark.engines
def test_an_annotation_that_is_wrong_is_told_in_get_list_watch_and_mirror(server: KubeApiserver) -> None:
    """With the object and the path; the rest of the node is used."""

    async def story(one: Any) -> None:
        start = (await one.list("Node")).revision
        body = {"metadata": {"name": "odd", "annotations": _WRONG}}
        assert server.request("POST", "/api/v1/nodes", body).status == 201
        (problem,) = (await one.get(ODD)).problems
        assert "Node odd" in problem.where
        assert "IPv4Address" in problem.where
        (listed,) = [entry for entry in (await one.list("Node")).entries if entry.key == ODD]
        assert listed.problems == (problem,)
        async for event in one.watch({"Node"}, start):
            if isinstance(event, Change) and event.key == ODD:
                assert event.problems == (problem,)
                break
        mirror = Mirror(one, ["Node"])
        mirror.start()
        await mirror.in_sync()
        assert mirror.problems[ODD] == (problem,)
        assert ODD in mirror.snapshot.resources
        await mirror.close()
        assert server.request("DELETE", "/api/v1/nodes/odd").status == 200

    over(server, story)


@pytest.mark.engines
def test_a_reference_that_is_wrong_in_an_older_object_is_told(server: KubeApiserver) -> None:
    """Metadata in the annotation of the older form that nobody can read: the object is there, and says why."""
    cleared(server, "IPPool")
    metadata = {"name": "half", "annotations": {"projectcalico.org/metadata": "{"}}
    body = {"apiVersion": ApiGroup.V1.value, "kind": "IPPool", "metadata": metadata, "spec": {"cidr": "192.0.2.0/24"}}
    assert server.request("POST", api_path(ApiGroup.V1, "IPPool"), body).status == 201

    async def story(one: Any) -> None:
        (problem,) = (await one.get(Key("IPPool", "half"))).problems
        assert "IPPool half" in problem.where

    over(server, story, group=ApiGroup.V1)
    cleared(server, "IPPool")


def test_a_watch_that_breaks_in_a_way_nobody_thought_of_ends_with_the_reason() -> None:
    """Whoever watches is told, instead of waiting for ever."""

    class Broken:
        async def page(self, _: str, **__: Any) -> dict[str, Any]:
            return {"metadata": {"resourceVersion": "5"}, "items": []}

        async def watch(self, _: str, **__: Any) -> AsyncIterator[Any]:
            raise ZeroDivisionError("nobody thought of this")
            yield

    async def main() -> None:
        client: Any = Broken()
        async for _ in MergedWatch(client, [Nodes(client)], Revision("5")).changes():
            pass

    with pytest.raises(Failed, match="nobody thought of this"):
        asyncio.run(asyncio.wait_for(main(), 10))
