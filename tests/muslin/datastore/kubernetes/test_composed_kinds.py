"""Kinds that have no CRD: core Nodes, Pods, Namespaces and ServiceAccounts, and Kubernetes' own policies."""

from __future__ import annotations

from typing import Any

import pytest

from muslin.datastore.kubernetes import NotSupported
from muslin.datastore.protocol import AlreadyExists, Bookmark, Change, Conflict, NotFound
from muslin.resources.keys import Key
from tests.muslin.datastore.kubernetes.clusters import over, value
from tests.support.kube_apiserver import KubeApiserver

pytestmark = pytest.mark.engines

ROUTER = {"ipv4Address": "192.0.2.7/24", "asNumber": 64497}


def _node(server: KubeApiserver, name: str) -> None:
    core = {"metadata": {"name": name, "labels": {"zone": "a"}, "annotations": {"other.example/x": "y"}}}
    assert server.request("POST", "/api/v1/nodes", core).status in (201, 409)


def _pod(server: KubeApiserver, namespace: str, name: str, **spec: Any) -> None:
    given = {"nodeName": "n1", "containers": [{"name": "c", "image": "registry.example/x"}], **spec}
    answer = server.request("POST", f"/api/v1/namespaces/{namespace}/pods", {"metadata": {"name": name}, "spec": given})
    assert answer.status == 201, answer


def test_a_node_is_written_as_annotations_of_the_core_node(server: KubeApiserver) -> None:
    """An update writes what only Calico knows, by compare-and-swap, and leaves the core Node's own alone."""
    _node(server, "node-w")
    key = Key("Node", "node-w")

    async def story(one: Any, two: Any) -> None:
        first = await one.get(key)
        assert first.value["metadata"]["labels"] == {"zone": "a"}
        wanted = {**first.value, "spec": {**first.value["spec"], "bgp": ROUTER}}
        second = await one.update(key, wanted, first.revision)
        with pytest.raises(Conflict) as conflict:
            await two.update(key, wanted, first.revision)
        same = await two.update(key, second.value, second.revision)

        assert second.value["spec"]["bgp"] == ROUTER
        assert conflict.value.current == second == same == await two.get(key)

    over(server, story, count=2)
    core = server.request("GET", "/api/v1/nodes/node-w")["metadata"]
    assert core["annotations"]["projectcalico.org/IPv4Address"] == "192.0.2.7/24"
    assert core["annotations"]["other.example/x"] == "y"
    assert core["labels"] == {"zone": "a"}


def test_nodes_come_and_go_with_kubelet(server: KubeApiserver) -> None:
    """Creating one that is there says so; creating and deleting one otherwise says who does that."""
    _node(server, "node-k")

    async def story(one: Any) -> None:
        with pytest.raises(AlreadyExists):
            await one.create(Key("Node", "node-k"), value(Key("Node", "node-k")))
        with pytest.raises(NotSupported, match="operation Create is not supported on Node nobody"):
            await one.create(Key("Node", "nobody"), value(Key("Node", "nobody")))
        with pytest.raises(NotSupported, match="operation Delete is not supported on Node node-k"):
            await one.delete(Key("Node", "node-k"))
        with pytest.raises(NotFound):
            await one.update(Key("Node", "nobody"), value(Key("Node", "nobody")), "1")
        for name in ("..", "a/b", "a%2fb", ""):
            with pytest.raises(NotFound):
                await one.get(Key("Node", name))

    over(server, story)


def test_an_endpoint_is_a_pod_with_a_node(server: KubeApiserver) -> None:
    """Pods without a node or on the host's network have none; a write becomes annotations, a delete empties them."""
    namespace = server.new_namespace()
    _pod(server, namespace, "web-0")
    _pod(server, namespace, "host", hostNetwork=True)
    _pod(server, namespace, "waits", nodeName="")
    key = Key("WorkloadEndpoint", "n1-k8s-web--0-eth0", namespace)
    spec = {"ipNetworks": ["192.0.2.9/32"], "containerID": "c1", "node": "n1"}

    async def story(one: Any, two: Any) -> None:
        listed = await one.list("WorkloadEndpoint", namespace=namespace)
        assert [entry.key for entry in listed.entries] == [key]
        with pytest.raises(AlreadyExists) as exists:
            await one.create(key, value(key, spec=spec))
        written = await one.update(key, value(key, spec=spec), exists.value.current.revision)
        assert written.value["spec"]["ipNetworks"] == ["192.0.2.9/32"]
        assert written.value["spec"]["containerID"] == "c1"
        with pytest.raises(Conflict) as late:
            await two.update(key, value(key, spec=spec), exists.value.current.revision)
        assert late.value.current == written
        assert await two.delete(key, written.revision) == written
        left = await one.get(key)
        assert "ipNetworks" not in left.value["spec"]
        assert left.value["spec"]["containerID"] == "c1"
        for name in ("n1-k8s-host-eth0", "n1-k8s-waits-eth0", "n2-k8s-web--0-eth0", "n1-cni-x-eth0", "web-0"):
            with pytest.raises(NotFound):
                await one.get(Key("WorkloadEndpoint", name, namespace))
        missing = Key("WorkloadEndpoint", "n1-k8s-none-eth0", namespace)
        with pytest.raises(NotSupported, match="its pod must exist"):
            await one.create(missing, value(missing, spec=spec))

    over(server, story, count=2)
    annotations = server.request("GET", f"/api/v1/namespaces/{namespace}/pods/web-0")["metadata"]["annotations"]
    assert annotations["cni.projectcalico.org/podIP"] == annotations["cni.projectcalico.org/podIPs"] == ""


def test_profiles_are_namespaces_and_service_accounts(server: KubeApiserver) -> None:
    """All are listed at one instant, in whole or in pages, with the one that allows everything; none can be written."""
    namespace = server.new_namespace({"team": "blue"})
    server.request("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "robot"}})
    ours = [f"kns.{namespace}", f"ksa.{namespace}.robot", "projectcalico-default-allow"]

    async def story(one: Any) -> None:
        whole = await one.list("Profile")
        names = [entry.key.name for entry in whole.entries]
        assert names == sorted(names)
        assert [name for name in names if name in ours] == ours
        page, paged, revisions = await one.list("Profile", limit=2), [], set()
        while True:
            paged += page.entries
            revisions.add(page.revision)
            assert len(page.entries) <= 2
            if page.more is None:
                break
            page = await one.list("Profile", limit=2, after=page.more)
        assert len(revisions) == 1
        assert sorted(paged, key=lambda entry: entry.key.name) == list(whole.entries)
        for entry in whole.entries:
            if entry.key.name in ours:
                assert await one.get(entry.key) == entry
                with pytest.raises(NotSupported, match="operation Update is not supported on Profile"):
                    await one.update(entry.key, entry.value, entry.revision)
                with pytest.raises(NotSupported, match="operation Delete is not supported on Profile"):
                    await one.delete(entry.key)
        labels = (await one.get(Key("Profile", ours[0]))).value["spec"]["labelsToApply"]
        assert labels["pcns.team"] == "blue"
        for name in ("kns.nowhere", "ksa.nowhere.x", "ksa.x", "kns.", "kns.a/b", "other"):
            with pytest.raises(NotFound):
                await one.get(Key("Profile", name))
        with pytest.raises(NotSupported, match="operation Create is not supported on Profile other"):
            await one.create(Key("Profile", "other"), value(Key("Profile", "other")))
        assert (await one.list("Profile", namespace="x")).entries == ()

    over(server, story)


def test_a_watch_of_composed_kinds_goes_on_where_it_stood(server: KubeApiserver) -> None:
    """One watch of pods, namespaces and service accounts; a new one from any of its revisions misses nothing."""

    async def story(one: Any) -> None:
        kinds = ("Profile", "WorkloadEndpoint")
        start = (await one.list("Profile")).revision
        namespace = server.new_namespace()
        server.request("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "robot"}})
        _pod(server, namespace, "one")
        server.request("DELETE", f"/api/v1/namespaces/{namespace}/serviceaccounts/robot")
        server.request("DELETE", f"/api/v1/namespaces/{namespace}/pods/one", {"gracePeriodSeconds": 0})
        wanted = {
            f"kns.{namespace}": [True],
            f"ksa.{namespace}.robot": [True, False],
            "n1-k8s-one-eth0": [True, True, False],  # marked, then gone
        }
        seen: dict[str, list[bool]] = {}
        position = start
        while seen != wanted:
            async for event in one.watch(kinds, position):
                if isinstance(event, Bookmark) or namespace not in f"{event.key.name} {event.key.namespace}":
                    position = event.revision
                    continue
                assert isinstance(event, Change)
                seen.setdefault(event.key.name, []).append(event.value is not None)
                position = event.revision
                break  # and begin again from there

    over(server, story)


def test_policies_of_kubernetes_are_kinds_of_their_own(server: KubeApiserver) -> None:
    """A NetworkPolicy of Kubernetes is read as a policy of order 1000, and not among Calico's of the same name."""
    namespace = server.new_namespace()
    policy = {
        "metadata": {"name": "web"},
        "spec": {"podSelector": {"matchLabels": {"app": "web"}}, "ingress": [{"ports": [{"port": 80}]}]},
    }
    path = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies"
    assert server.request("POST", path, policy).status == 201
    key = Key("KubernetesNetworkPolicy", "web", namespace)

    async def story(one: Any) -> None:
        listed = (await one.list("KubernetesNetworkPolicy", namespace=namespace)).entries
        assert [entry.key for entry in listed] == [key]
        assert listed[0].value["spec"]["order"] == 1000
        assert (await one.get(key)).value == listed[0].value
        assert (await one.list("NetworkPolicy", namespace=namespace)).entries == ()
        assert (await one.list("KubernetesClusterNetworkPolicy")).entries == ()
        with pytest.raises(NotSupported, match="write it with kubectl"):
            await one.delete(key)
        with pytest.raises(NotFound):
            await one.get(Key("KubernetesClusterNetworkPolicy", "x"))

    over(server, story)


def test_a_kind_that_only_other_stores_keep_has_no_objects(server: KubeApiserver) -> None:
    """It lists empty and can be watched beside others; creating one says what to do instead."""
    key = Key("LiveMigration", "vm", "x")

    async def story(one: Any) -> None:
        listing = await one.list("LiveMigration")
        assert (listing.entries, listing.more) == ((), None)
        assert isinstance(await anext(one.watch({"LiveMigration"}, listing.revision)), Bookmark)
        assert isinstance(await anext(one.watch({"LiveMigration", "Node"}, listing.revision)), Bookmark)
        with pytest.raises(NotFound):
            await one.get(key)
        with pytest.raises(NotSupported, match="KubeVirt"):
            await one.create(key, value(key))

    over(server, story)
