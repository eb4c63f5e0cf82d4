"""An agent over a datastore in memory and a fake kernel, on virtual time: what its surroundings do to it."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from muslin.datastore.protocol import Revision
from muslin.resources import load
from muslin.resources.keys import Key
from muslin.resources.node import Node
from muslin.semantics.routes import node_address
from tests.runtime.agent_world import CLIENT, World, allow, run
from tests.support.clusters import workload


def test_the_applied_revision_is_reported_after_the_kernel_has_it() -> None:
    """Once the status names a revision, packets are judged by it."""

    async def body(world: World) -> None:
        revision = await world.put(allow("dns", 53))
        assert world.passes(80)
        async for _ in world.store.watch(["CalicoNodeStatus"], Revision(str(revision))):
            if await world.reported() >= revision:
                break
        assert not world.passes(80)

    run(body)


@pytest.mark.slow
def test_more_routes_than_a_report_can_hold_keep_nothing_else_from_being_told() -> None:
    """20,000 prefixes of a peer, as many as it may announce: the applied revision is reported all the same."""
    routes = {ip_network((0x0A300000 + index, 32)): ip_address("192.0.2.9") for index in range(20_000)}

    async def body(world: World) -> None:
        world.speaker.routes = routes
        revision = await world.put(allow("dns", 53))
        await asyncio.sleep(2)
        status = (await world.store.get(Key("CalicoNodeStatus", "node-a"))).value
        assert await world.reported() >= revision
        assert 0 < len(status["status"]["routes"]["routesV4"]) < len(routes)

    run(body)


def test_an_object_that_cannot_be_read_is_told_once_and_stops_nobody() -> None:
    """A wrong object is a line in the log with place and fix; the others go on being enforced."""

    async def body(world: World) -> None:
        wrong = {"apiVersion": "projectcalico.org/v3", "kind": "NetworkPolicy", "spec": {"selektor": "all()"}}
        key = Key("NetworkPolicy", "wrong", "default")
        await world.store.create(key, {**wrong, "metadata": {"name": "wrong", "namespace": "default"}})
        await world.put(allow("dns", 53))
        await asyncio.sleep(1)
        assert (world.passes(53), world.passes(80)) == (True, False)

    world = run(body)

    told = [fields for event, fields in world.log if event == "object ignored"]
    assert [fields["object"] for fields in told] == ["NetworkPolicy default/wrong"]
    assert "selector" in told[0]["fix"]


@pytest.mark.parametrize(
    "hostile",
    [
        {"spec": {"bgp": {"ipv4Address": "10.48.0.1/16", "asNumber": 64500}}},
        {"spec": [], "metadata": {"name": "node-a"}},
        {"spec": {"bgp": [], "addresses": [7, {"address": "198.51.100.1", "type": "ExternalIP"}]}},
        {"apiVersion": 1},
        None,
    ],
)
def test_a_node_keeps_its_own_address_in_the_datastore(hostile: dict[str, Any] | None) -> None:
    """Whoever writes the node's own object, or deletes it: it is put right, told once, and pods go on."""

    async def body(world: World) -> None:
        key = Key("Node", "node-a")
        current = await world.store.get(key)
        if hostile is None:
            await world.store.delete(key)
        else:
            await world.store.update(key, {**current.value, **hostile}, current.revision)
        await asyncio.sleep(5)
        node = load((await world.store.get(key)).value)
        assert isinstance(node, Node)
        assert node_address(node, 4) == ip_address("192.0.2.1")
        assert world.passes(53)

    assert [event for event, _ in run(body).log if event == "put right"] == ["put right"]


@pytest.mark.parametrize(
    "hostile", [{"status": [1]}, {"status": {"bgp": 5}, "spec": 7}, {"metadata": {"annotations": [1]}}, {"kind": None}]
)
def test_a_status_that_somebody_spoilt_is_written_anew(hostile: dict[str, Any]) -> None:
    """The agent goes on whatever stands where it reports, and the next report replaces it."""

    async def body(world: World) -> None:
        key = Key("CalicoNodeStatus", "node-a")
        current = await world.store.get(key)
        value = {**current.value, **hostile, "kind": "CalicoNodeStatus"}
        await world.store.update(key, value, current.revision)
        revision = await world.put(allow("dns", 53))
        await asyncio.sleep(5)
        assert await world.reported() == revision
        assert isinstance((await world.store.get(key)).value["status"], dict)

    run(body)


def test_what_may_not_be_in_force_is_told_once_and_changes_nothing() -> None:
    """A workload with a node's address or a pod's gets nothing; the log says each once, with place and fix."""

    async def body(world: World) -> None:
        before = world.kernel.routes.writes
        await world.put(workload("evil", "192.0.2.1", interfaceName="cali3"))
        await world.put(workload("twin", str(CLIENT), interfaceName="cali2"))
        await asyncio.sleep(200)
        assert world.kernel.routes.writes == before
        assert world.passes(53)

    told = [fields for event, fields in run(body).log if event == "left out"]
    assert sorted(fields["where"].split("  ")[0] for fields in told) == [
        "WorkloadEndpoint default/evil", "WorkloadEndpoint default/twin", "WorkloadEndpoint default/twin",
    ]  # fmt: skip
    assert all(fields["what"] and fields["fix"] for fields in told)


def test_a_datastore_that_is_away_changes_nothing_and_is_told_with_its_age() -> None:
    """An hour without it: packets are judged as before, the log says since when, and then what was missed counts."""

    async def body(world: World) -> None:
        await world.put(allow("dns", 53))
        await asyncio.sleep(2)
        before = world.kernel.routes.writes
        world.away = True
        world.client.drop_watches()
        await asyncio.sleep(1)
        await world.put(allow("web", 80))
        await asyncio.sleep(3600)
        assert (world.passes(53), world.passes(80), world.passes(443)) == (True, False, False)
        assert world.kernel.routes.writes == before
        world.away = False
        await asyncio.sleep(30)
        assert (world.passes(53), world.passes(80), world.passes(443)) == (True, True, False)

    log = run(body).log
    told = [
        fields["datastore_silent_s"] for event, fields in log if "datastore_silent_s" in fields and event == "failed"
    ]
    back = [fields["datastore_silent_s"] for event, fields in log if event == "datastore answers again"]
    assert told == sorted(told)
    assert told[0] < 10
    assert told[-1] > 3000
    assert 1 < len(told) < 200
    assert len(back) == 1
    assert 3600 <= back[0] <= 3640


def test_an_agent_that_starts_without_a_datastore_leaves_the_kernel_alone() -> None:
    """What the agent before it put in force stays, for as long as it takes, and is then taken over."""

    async def body(world: World) -> None:
        await world.put(allow("dns", 53))
        await asyncio.sleep(2)
        world.away = True
        world.client.drop_watches()
        second = asyncio.ensure_future(world.agent().run())
        before = world.kernel.routes.writes
        await asyncio.sleep(600)
        assert (world.passes(53), world.passes(80)) == (True, False)
        assert world.kernel.routes.writes == before
        world.away = False
        await asyncio.sleep(30)
        await world.put(allow("web", 80))
        await asyncio.sleep(5)
        assert (world.passes(53), world.passes(80)) == (True, True)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)

    run(body)
