"""Objects of any shape, as strangers write them: kept, listed and watched, and none hides another."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as tuned
from hypothesis import strategies as st

from muslin.conversion.kinds import ApiGroup, api_path
from muslin.datastore.kubernetes.endpoints import WorkloadEndpoints
from muslin.datastore.kubernetes.forms import Wrapped
from muslin.datastore.kubernetes.nodes import Nodes
from muslin.datastore.kubernetes.policies import cluster_network_policies, network_policies
from muslin.datastore.kubernetes.profiles import Profiles
from muslin.datastore.mirror import Mirror
from muslin.datastore.protocol import Change
from muslin.resources.keys import Key
from tests.muslin.datastore.kubernetes.clusters import cleared, over, value
from tests.support.kube_apiserver import KubeApiserver

SHAPES: list[Any] = [
    {}, {"spec": None}, {"spec": []}, {"spec": "text"}, {"spec": 7}, {"spec": {"cidr": {"a": [None]}}},
    {"spec": {"deleted": "perhaps", "cidr": 5}}, {"spec": {"x": {}}, "status": "odd"}, {"other": [[[]]]},
]  # fmt: skip
RECORDED = ["", "{", "[]", "null", '{"name": 5, "labels": [], "annotations": "x", "ownerReferences": [1]}', "\\ud800"]


@pytest.mark.engines
@pytest.mark.parametrize("group", list(ApiGroup), ids=["v1", "v3"])
def test_whatever_strangers_write_is_listed_and_watched(server: KubeApiserver, group: ApiGroup) -> None:
    """Every odd object comes with its name, in a list and in a watch, and good ones beside it; a mirror tells which."""
    cleared(server, "IPPool")
    path = api_path(group, "IPPool")
    good = Key("IPPool", "good")

    async def story(one: Any, two: Any) -> None:
        start = (await one.list("IPPool")).revision
        names = []
        for number, shape in enumerate(SHAPES):
            names.append(f"odd-{number}")
            body = {"apiVersion": group.value, "kind": "IPPool", "metadata": {"name": names[-1]}, **shape}
            assert server.request("POST", path, body).status == 201
        for number, text in enumerate(RECORDED):
            names.append(f"recorded-{number}")
            metadata = {"name": names[-1], "annotations": {"projectcalico.org/metadata": text}}
            body = {"apiVersion": group.value, "kind": "IPPool", "metadata": metadata, "spec": {}}
            assert server.request("POST", path, body).status == 201
        await one.create(good, value(good, spec={"cidr": "192.0.2.0/24"}))
        names.append("good")

        assert [entry.key.name for entry in (await one.list("IPPool")).entries] == sorted(names)
        seen: list[str] = []
        async for event in two.watch({"IPPool"}, start):
            if isinstance(event, Change):
                seen.append(event.key.name)
                if event.key == good:
                    break
        assert seen == names
        mirror = Mirror(two, ["IPPool"])
        mirror.start()
        await mirror.in_sync()
        assert good in mirror.snapshot.resources
        assert {key.name for key in mirror.problems} >= {"odd-2", "odd-3", "odd-4", "odd-5"}
        await mirror.close()
        for name in names:
            await one.delete(Key("IPPool", name))
        assert (await one.list("IPPool")).entries == ()

    over(server, story, count=2, group=group)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_PARTS = st.sampled_from(
    ["metadata", "spec", "status", "name", "namespace", "labels", "annotations", "uid", "resourceVersion", "nodeName"]
)
_OBJECT = st.dictionaries(_PARTS, _JSON | st.dictionaries(_PARTS, _JSON, max_size=5), max_size=5)


@tuned(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(_OBJECT)
def test_no_shape_of_an_object_breaks_a_view(raw: dict[str, Any]) -> None:
    """Every view reads every JSON object without raising."""
    client: Any = None
    views = (Nodes(client), WorkloadEndpoints(client), Profiles(client), network_policies(client))
    for view in (*views, cluster_network_policies(client)):
        for source in view.sources:
            source.read(dict(raw))
    Wrapped("IPPool").shown(dict(raw))
    Wrapped("NetworkPolicy").shown(dict(raw))
