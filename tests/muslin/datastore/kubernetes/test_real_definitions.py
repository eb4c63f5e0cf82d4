"""With the definitions made of the models: what every cluster begins with, addresses, a mirror, an agent."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import ip_address, ip_interface
from random import Random
from typing import Any

import pytest

from muslin.conversion.endpoint_name import interface_of
from muslin.conversion.kinds import ApiGroup
from muslin.datastore.initialize import ensure_initialized
from muslin.datastore.ipam import run
from muslin.datastore.mirror import Mirror
from muslin.datastore.protocol import Change
from muslin.errors import BadInput
from muslin.ipam.assign import auto_assign
from muslin.ipam.assignment import AssignmentRequest
from muslin.ipam.blocks import Block
from muslin.ipam.release import release_by_handle
from muslin.net import Mac
from muslin.resources import load
from muslin.resources.crds import definitions
from muslin.resources.keys import Key
from runtime.agent import MIRRORED, Agent, Parts
from runtime.cni.endpoints import Endpoints
from runtime.cni.pod import Pod
from runtime.convergence import Kernel
from runtime.node_status import node_status_object, report
from runtime.registration import NodeIdentity, register
from tests.muslin.datastore.kubernetes.clusters import cleared, cluster, install, over, value
from tests.runtime.agent_world import SilentSpeaker, push_as_one
from tests.support.engines import Missing
from tests.support.fake_kernel import FakeKernel
from tests.support.fake_nftables import FilterPacket
from tests.support.kube_apiserver import KubeApiserver

pytestmark = pytest.mark.engines

HANDLES = "net."


@pytest.fixture(scope="module")
def real() -> Iterator[KubeApiserver]:
    """A server with the definitions of the models."""
    try:
        with cluster() as server:
            install(server, iter(definitions()))
            yield server
    except Missing as missing:
        pytest.skip(str(missing))


def test_a_cluster_begins_with_its_identity_and_tiers(real: KubeApiserver) -> None:
    """ClusterInformation and the built-in tiers are made once, by two at the same time, and completed later."""

    async def story(one: Any, two: Any) -> None:
        await asyncio.gather(
            *(ensure_initialized(store, version="v1", cluster_type=["muslin"]) for store in (one, two))
        )
        await ensure_initialized(two, version="v2", cluster_type=["bgp", "kdd"])
        information = (await one.get(Key("ClusterInformation", "default"))).value["spec"]
        assert information["calicoVersion"] == "v2"
        assert information["clusterType"] == "muslin,bgp,kdd"
        assert information["datastoreReady"] is True
        tiers = {entry.key.name: entry.value["spec"]["defaultAction"] for entry in (await one.list("Tier")).entries}
        assert tiers == {"default": "Deny", "kube-admin": "Pass", "kube-baseline": "Pass"}

    over(real, story, count=2)


def test_a_broken_rule_of_a_real_kind_is_bad_input(real: KubeApiserver) -> None:
    """The server's schema and CEL rules speak at the field, for spec and for status, and nothing is written."""
    pool = Key("IPPool", "p")

    async def story(one: Any) -> None:
        for spec, where in (
            ({"cidr": "192.0.2.0/24", "blockSize": "x"}, "IPPool p  spec.blockSize"),
            ({"cidr": "192.0.2.0/24", "ipipMode": "Always", "vxlanMode": "Always"}, "IPPool p  spec"),
        ):
            with pytest.raises(BadInput) as refused:
                await one.create(pool, value(pool, spec=spec))
            assert where in {problem.where for problem in refused.value.problems}
        assert (await one.list("IPPool")).entries == ()

    over(real, story)


async def _claim(store: Any, host: str, count: int, given: dict[str, str]) -> None:
    pool: Any = load(
        {
            "apiVersion": "projectcalico.org/v3",
            "kind": "IPPool",
            "metadata": {"name": "pods"},
            "spec": {"cidr": "198.51.100.0/25", "blockSize": 28},
        }
    )
    for number in range(count):
        handle = f"{HANDLES}{host}-{number}"
        request = AssignmentRequest(host, 1, handle, datetime.now(UTC), [pool])
        for address in (await run(store, auto_assign(request))).addresses:
            assert str(address.ip) not in given, "given twice"
            given[str(address.ip)] = handle


async def _books(store: Any) -> dict[str, str]:
    held: dict[str, str] = {}
    for entry in (await store.list("IPAMBlock")).entries:
        block = Block.read(entry.value)
        for ordinal, index in enumerate(block.allocations):
            handle = None if index is None else block.attributes[index].handle
            if handle is not None:
                held[str(block.address(ordinal))] = handle
    return held


async def _addresses(*opened: Any) -> None:
    given: dict[str, str] = {}
    claims = (_claim(store, f"node-{i}", 20, given) for i, store in enumerate(opened))
    await asyncio.gather(*claims)
    assert len(given) == 20 * len(opened)
    assert await _books(opened[0]) == given
    handles = await opened[0].list("IPAMHandle")
    assert {entry.key.name for entry in handles.entries} == set(given.values())
    await asyncio.gather(
        *(
            run(opened[i % len(opened)], release_by_handle(handle, datetime.now(UTC)))
            for i, handle in enumerate(given.values())
        )
    )
    assert await _books(opened[0]) == {}
    assert (await opened[0].list("IPAMHandle")).entries == ()


def test_addresses_are_given_once_on_native_definitions(real: KubeApiserver) -> None:
    """Four nodes claim twenty addresses each at once: eighty different ones, the books agree, all come back."""
    over(real, _addresses, count=4, within_s=120)


@pytest.mark.slow
def test_addresses_are_given_once_on_the_older_definitions(server: KubeApiserver) -> None:
    """The same in the older form."""
    cleared(server, "IPAMBlock", "IPAMHandle", "BlockAffinity")
    over(server, _addresses, count=4, group=ApiGroup.V1, within_s=120)


def test_a_node_finds_its_place(real: KubeApiserver) -> None:
    """Registering writes the core Node's annotations once; the report's status is written; a mirror shows all of it."""
    core = {"metadata": {"name": "n1", "labels": {"kubernetes.io/hostname": "n1"}}}
    assert real.request("POST", "/api/v1/nodes", core).status == 201
    namespace = real.new_namespace({"team": "blue"})
    pod = {
        "metadata": {"name": "web"},
        "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "r.example/x"}]},
    }
    assert real.request("POST", f"/api/v1/namespaces/{namespace}/pods", pod).status == 201

    async def story(one: Any, two: Any) -> None:
        identity = NodeIdentity("n1", ip_interface("192.0.2.7/24"), {"rack": "r1"})
        entry = await register(one, identity)
        assert await register(two, identity) == entry
        mirror = Mirror(two, MIRRORED)
        mirror.start()
        await mirror.in_sync()
        assert not mirror.problems
        node: Any = mirror.snapshot.resources[Key("Node", "n1")]
        assert str(node.spec.bgp.ipv4_address) == "192.0.2.7/24"
        assert node.metadata.labels["rack"] == "r1"
        assert Key("WorkloadEndpoint", "n1-k8s-web-eth0", namespace) in mirror.snapshot.resources
        assert Key("Profile", f"kns.{namespace}") in mirror.snapshot.resources
        assert Key("Profile", "projectcalico-default-allow") in mirror.snapshot.resources
        for applied in ("1", "2"):
            await report(one, node_status_object("n1", [], [], applied, "2026-01-01T00:00:00Z"))
            status = (await two.get(Key("CalicoNodeStatus", "n1"))).value
            assert status["metadata"]["annotations"] == {"muslin/applied-revision": applied}
            assert status["status"]["bgp"]["numberEstablishedV4"] == 0
        changes = mirror.changes()
        await anext(changes)
        pool = Key("IPPool", "late")
        await one.create(pool, value(pool, spec={"cidr": "203.0.113.0/24"}))
        async for snapshot in changes:
            if pool in snapshot.resources:
                break
        await mirror.close()

    over(real, story, count=2)


def _filtered(kernel: FakeKernel, interfaces: list[str], port: int) -> bool:
    """Whether a packet from the client's interface to the server's passes."""
    addresses = ip_address("198.51.100.1"), ip_address("198.51.100.2")
    packet = FilterPacket(*addresses, 17, 4000, port, in_interface=interfaces[0], out_interface=interfaces[1])
    return kernel.verdict(packet)


def test_an_agent_enforces_what_the_api_says(real: KubeApiserver) -> None:
    """Pods and a policy on them reach the kernel of a node's agent, its report says so; a push is taken as one."""
    core = {"metadata": {"name": "n2", "labels": {"kubernetes.io/hostname": "n2"}}}
    assert real.request("POST", "/api/v1/nodes", core).status == 201
    namespace, kernel, log = real.new_namespace(), FakeKernel(), list[Any]()
    for name in ("client", "server"):
        containers = [{"name": "c", "image": "registry.example/x"}]
        pod = {
            "metadata": {"name": name, "labels": {"app": name}},
            "spec": {"nodeName": "n2", "containers": containers},
        }
        assert real.request("POST", f"/api/v1/namespaces/{namespace}/pods", pod).status == 201

    async def story(one: Any, two: Any) -> None:
        await ensure_initialized(one)
        start = (await one.list("CalicoNodeStatus")).revision
        links = []
        for number, name in enumerate(("client", "server"), start=1):
            key = Key("WorkloadEndpoint", f"n2-k8s-{name}-eth0", namespace)
            entry = await one.get(key)
            links.append(entry.value["spec"]["interfaceName"])
            kernel.routes.add_link(links[-1])
            networks = {"ipNetworks": [f"198.51.100.{number}/32"], "containerID": name}
            await one.update(key, value(key, spec=networks), entry.revision)
        agent = Agent(
            NodeIdentity("n2", ip_interface("192.0.2.2/24")),
            Parts(two, Kernel(kernel.nftables, kernel.routes, kernel.conntrack, list), SilentSpeaker()),
            now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
            random=Random(1),
            log=lambda event, **fields: log.append((event, fields)),
        )
        running = asyncio.ensure_future(agent.run())
        reports = one.watch({"CalicoNodeStatus"}, start)
        try:
            async for event in reports:
                if isinstance(event, Change) and event.key.name == "n2" and _filtered(kernel, links, 80):
                    break
            policy = Key("NetworkPolicy", "closed", namespace)
            spec = {"selector": "app == 'server'", "types": ["Ingress"]}
            await one.create(policy, value(policy, spec=spec))
            async for event in reports:
                if isinstance(event, Change) and event.key.name == "n2" and not _filtered(kernel, links, 80):
                    break
            await one.delete(policy)
            async for event in reports:
                if isinstance(event, Change) and event.key.name == "n2" and _filtered(kernel, links, 80):
                    break
            await push_as_one(one, namespace, lambda port: _filtered(kernel, links, port))
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        assert [entry for entry in log if entry[0] == "failed"] == []

    over(real, story, count=2)


def test_a_plugin_finds_again_what_it_wrote(real: KubeApiserver) -> None:
    """An endpoint written for a container has its MAC and addresses; one of another plugin's container has no MAC."""
    namespace = real.new_namespace()
    body = {"metadata": {"name": "web"}, "spec": {"nodeName": "n3", "containers": [{"name": "c", "image": "r/x"}]}}
    path = f"/api/v1/namespaces/{namespace}/pods"
    assert real.request("POST", path, body).status == 201
    pod, address, mac = Pod(namespace, "web"), ip_address("198.51.100.9"), Mac("02:00:00:00:00:09")

    async def story(one: Any, two: Any) -> None:
        mine, other = Endpoints(one, "n3"), Endpoints(two, "n3")
        interface = interface_of(namespace, "web")
        put = await mine.put(pod, "eth0", "c1", interface=interface, addresses=(address,), mac=mac)
        assert (put.interface, put.addresses, put.mac, put.container_id) == (interface, (address,), mac, "c1")
        assert await other.get(pod, "eth0") == put
        taken = {"metadata": {"annotations": {"cni.projectcalico.org/containerID": "c2"}}}
        merge = "application/merge-patch+json"
        assert real.request("PATCH", f"{path}/web/status", taken, content_type=merge).status == 200
        found = await other.get(pod, "eth0")
        assert found is not None
        assert (found.container_id, found.mac) == ("c2", None)
        await mine.delete(pod, "eth0", "c1")
        assert await other.get(pod, "eth0") == found
        await other.delete(pod, "eth0", "c2")
        await other.delete(pod, "eth0", "c2")
        left = await mine.get(pod, "eth0")
        assert left is not None
        assert left.addresses == ()

    over(real, story, count=2)


def test_a_block_that_the_rules_refuse_can_be_removed(real: KubeApiserver) -> None:
    """One from before the rules, which can't be marked as deleted any more, goes all the same."""
    (crd,) = (each for each in definitions() if each["spec"]["names"]["kind"] == "IPAMBlock")
    loose = copy.deepcopy(crd)
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    loose["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = schema
    key = Key("IPAMBlock", "192-0-2-0-26")

    async def story(one: Any) -> None:
        await asyncio.to_thread(real.install, loose)
        made = await one.create(key, value(key, spec={"cidr": 5}))
        await asyncio.to_thread(real.install, crd)
        probe = {**made.value, "metadata": {**made.value["metadata"], "labels": {"probe": "x"}}}
        while True:  # until the server refuses what it took before
            try:
                made = await one.update(key, probe, made.revision)
                probe["metadata"]["labels"] = {"probe": probe["metadata"]["labels"]["probe"] + "x"}
            except BadInput:
                break
        assert await one.delete(key, made.revision) == made
        assert key not in {entry.key for entry in (await one.list("IPAMBlock")).entries}

    over(real, story)
