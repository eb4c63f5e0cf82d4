"""What does not fit together in a datastore is found, told by its reason, and repaired where that is safe."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from muslin.datastore.check import check, look, repair
from muslin.datastore.initialize import ensure_initialized
from muslin.datastore.ipam import run
from muslin.datastore.lock import set_ready
from muslin.datastore.memory import MemoryDatastore
from muslin.datastore.opening import opened
from muslin.datastore.protocol import Datastore
from muslin.datastore.settings import EmbeddedSettings
from muslin.ipam.assign import auto_assign
from muslin.ipam.assignment import AssignmentRequest
from muslin.ipam.blocks import Block
from muslin.ipam.names import affinity_key, tunnel_attributes, tunnel_handle
from muslin.resources import load
from muslin.resources.keys import Key
from muslin.semantics.inconsistency import Reason
from tests.muslin.cli.running import Run
from tests.muslin.datastore.migration.cases import NOW, key_value

Break = Callable[[Any], Awaitable[None]]
POOL = key_value("IPPool", "pods", spec={"cidr": "198.51.100.0/26", "blockSize": 28, "nodeSelector": "all()",
                                         "allowedUses": ["Workload", "Tunnel"]})  # fmt: skip


async def sound(store: Datastore) -> None:
    """A cluster of two nodes with a tunnel address each and a pod on the first: all fits."""
    await ensure_initialized(store)
    await store.create(*POOL)
    await store.create(*key_value("Profile", "kns.shop", spec={}))
    pool: Any = load((await store.get(POOL[0])).value)
    for number, node in enumerate(("node1", "node2"), 1):
        request = AssignmentRequest(
            node, 1, tunnel_handle("vxlanTunnelAddress", node), NOW + timedelta(seconds=number), [pool],
            attributes=tunnel_attributes("vxlanTunnelAddress", node),
        )  # fmt: skip
        (given,) = (await run(store, auto_assign(request))).addresses
        spec = {"bgp": {"ipv4Address": f"192.0.2.{number}/24"}, "ipv4VXLANTunnelAddr": str(given.ip)}
        await store.create(*key_value("Node", node, spec=spec))
    await assigned(store, "net.pod1")
    held = (await store.get(Key("IPAMHandle", "net.pod1"))).value["spec"]["block"]
    block = Block.read((await store.get(Key("IPAMBlock", next(iter(held)).replace(".", "-").replace("/", "-")))).value)
    address = block.address(block.held_by("net.pod1")[0])
    spec = {"node": "node1", "orchestrator": "k8s", "pod": "web", "endpoint": "eth0", "interfaceName": "cali1",
            "ipNetworks": [f"{address}/32"], "profiles": ["kns.shop"]}  # fmt: skip
    await store.create(*key_value("WorkloadEndpoint", "node1-k8s-web-eth0", "shop", spec=spec))


async def assigned(store: Datastore, handle: str, node: str = "node1") -> None:
    """An address for a handle on a node."""
    pool: Any = load((await store.get(POOL[0])).value)
    request = AssignmentRequest(node, 1, handle, NOW, [pool], attributes={"node": node, "pod": "x", "namespace": "y"})
    assert (await run(store, auto_assign(request))).addresses


async def changed(store: Datastore, kind: str, name: str, namespace: str | None = None, **spec: Any) -> None:
    """Write over fields of an object's spec."""
    entry = await store.get(Key(kind, name, namespace))
    await store.update(entry.key, {**entry.value, "spec": {**entry.value["spec"], **spec}}, entry.revision)


async def block_of(store: Datastore, node: str) -> Block:
    """A node's block."""
    for entry in (await store.list("IPAMBlock")).entries:
        if entry.value["spec"].get("affinity") == f"host:{node}":
            return Block.read(entry.value)
    raise AssertionError(node)


async def _leak(store: Any) -> None:
    await assigned(store, "net.gone")


async def _unallocated(store: Any) -> None:
    spec = {"node": "node1", "orchestrator": "k8s", "pod": "b", "endpoint": "eth0", "interfaceName": "cali2",
            "ipNetworks": ["198.51.100.60/32"]}  # fmt: skip
    await store.create(*key_value("WorkloadEndpoint", "node1-k8s-b-eth0", "shop", spec=spec))


async def _outside(store: Any) -> None:
    await _unallocated(store)
    await changed(store, "WorkloadEndpoint", "node1-k8s-b-eth0", "shop", ipNetworks=["203.0.113.9/32"])


async def _twice(store: Any) -> None:
    there = (await store.get(Key("WorkloadEndpoint", "node1-k8s-web-eth0", "shop"))).value["spec"]["ipNetworks"]
    await _unallocated(store)
    await changed(store, "WorkloadEndpoint", "node1-k8s-b-eth0", "shop", ipNetworks=there)


async def _empty_handle(store: Any) -> None:
    await store.create(*key_value("IPAMHandle", "net.old", spec={"handleID": "net.old", "block": {
        "198.51.100.0/28": 1}, "deleted": False}))  # fmt: skip


async def _no_handle(store: Any) -> None:
    await store.delete(Key("IPAMHandle", "net.pod1"))


async def _miscount(store: Any) -> None:
    held = (await store.get(Key("IPAMHandle", "net.pod1"))).value["spec"]["block"]
    await changed(store, "IPAMHandle", "net.pod1", block={prefix: n + 3 for prefix, n in held.items()})


async def _no_affinity(store: Any) -> None:
    await store.delete(affinity_key("node1", (await block_of(store, "node1")).prefix))


async def _no_block(store: Any) -> None:
    spec = {"node": "node1", "cidr": "198.51.100.48/28", "state": "confirmed", "type": "host", "deleted": False}
    key = affinity_key("node1", ip_network("198.51.100.48/28"))
    await store.create(*key_value("BlockAffinity", key.name, spec=spec))


async def _anothers_block(store: Any) -> None:
    prefix = (await block_of(store, "node1")).prefix
    key = affinity_key("node2", prefix)
    spec = {"node": "node2", "cidr": str(prefix), "state": "pending", "type": "host", "deleted": False}
    await store.create(*key_value("BlockAffinity", key.name, spec=spec))


async def _gone(store: Any) -> None:
    """A node that is gone with its tunnel's address: that leaks, and then its block is nobody's."""
    await store.delete(Key("Node", "node2"))


async def _outside_block(store: Any) -> None:
    block = Block.new(ip_network("203.0.113.0/28"), "host:node1", NOW)
    await store.create(Key("IPAMBlock", "203-0-113-0-28"), block.json())
    spec = {"node": "node1", "cidr": "203.0.113.0/28", "state": "confirmed", "type": "host", "deleted": False}
    key = affinity_key("node1", block.prefix)
    await store.create(*key_value("BlockAffinity", key.name, spec=spec))


async def _unreadable_block(store: Any) -> None:
    prefix = (await block_of(store, "node2")).prefix
    await changed(store, "IPAMBlock", str(prefix).replace(".", "-").replace("/", "-"), allocations=[1, 2])


async def _tier(store: Any) -> None:
    spec = {"tier": "nowhere", "selector": "all()", "types": ["Ingress"]}
    await store.create(*key_value("GlobalNetworkPolicy", "a", spec=spec))


async def _peer(store: Any) -> None:
    spec = {"peerIP": "192.0.2.9", "asNumber": 64500, "node": "nobody", "filters": ["none"]}
    await store.create(*key_value("BGPPeer", "p", spec=spec))


async def _pools(store: Any) -> None:
    await store.create(*key_value("IPPool", "wide", spec={"cidr": "198.51.100.0/24"}))


async def _nonsense(store: Any) -> None:
    await store.create(*key_value("GlobalNetworkSet", "odd", spec={"nets": "not a list"}))


async def _unknown_field(store: Any) -> None:
    await store.create(*key_value("GlobalNetworkSet", "odd", spec={"nets": [], "newer": 1}))


async def _renamed(store: Any) -> None:
    """As somebody writes it into a file by hand."""
    await store.create(*key_value("GlobalNetworkSet", "odd", spec={"nets": []}))
    revision, text = store.history._objects[Key("GlobalNetworkSet", "odd")]
    store.history._objects[Key("GlobalNetworkSet", "odd")] = (revision, text.replace("odd", "even"))


CASES: dict[str, tuple[Break, set[Reason], bool]] = {
    "leak": (_leak, {Reason.ADDRESS_LEAKED}, True),
    "unallocated": (_unallocated, {Reason.ADDRESS_NOT_ALLOCATED}, False),
    "outside": (_outside, {Reason.ADDRESS_OUTSIDE_POOLS}, False),
    "twice": (_twice, {Reason.ADDRESS_USED_TWICE}, False),
    "empty handle": (_empty_handle, {Reason.HANDLE_EMPTY}, True),
    "no handle": (_no_handle, {Reason.HANDLE_MISSING}, True),
    "miscount": (_miscount, {Reason.HANDLE_MISCOUNTS}, True),
    "no affinity": (_no_affinity, {Reason.BLOCK_WITHOUT_AFFINITY}, True),
    "no block": (_no_block, {Reason.AFFINITY_WITHOUT_BLOCK}, True),
    "another's block": (_anothers_block, {Reason.AFFINITY_WITHOUT_BLOCK}, True),
    "node gone": (_gone, {Reason.ADDRESS_LEAKED, Reason.BLOCK_OF_GONE_NODE}, True),
    "block outside": (_outside_block, {Reason.BLOCK_OUTSIDE_POOLS}, False),
    "unreadable block": (_unreadable_block, {Reason.BLOCK_UNREADABLE, Reason.ADDRESS_NOT_ALLOCATED}, False),
    "tier": (_tier, {Reason.REFERENCE_DANGLES}, False),
    "peer": (_peer, {Reason.REFERENCE_DANGLES, Reason.NODE_GONE}, False),
    "pools": (_pools, {Reason.POOLS_OVERLAP}, False),
    "unreadable": (_nonsense, {Reason.UNREADABLE}, False),
    "another's name": (_renamed, {Reason.UNREADABLE}, False),
    "a newer field": (_unknown_field, {Reason.READ_IN_PART}, False),
}


@pytest.mark.parametrize("name", list(CASES))
def test_what_does_not_fit_is_found_and_repaired_where_that_is_safe(name: str) -> None:
    """One thing is broken: exactly its reasons are told, repairs end in a store where all fits, the rest is left."""
    broken, reasons, repairable = CASES[name]

    async def story() -> None:
        store = MemoryDatastore()
        await sound(store)
        assert (await look(store)).found == []
        await broken(store)
        seen = await check(store)
        assert {each.reason for each in seen.found} == reasons
        before = await everything(store)
        for _ in range(3):
            for _, error in await repair(store, (await look(store)).found):
                assert error is None
        after = await look(store)
        if repairable:
            assert after.found == []
        else:
            assert {each.reason for each in after.found} == reasons
            assert await everything(store) == before

    asyncio.run(story())


async def everything(store: Datastore) -> set[tuple[Key, str]]:
    """Every object's revision."""
    kinds = ("IPAMBlock", "IPAMHandle", "BlockAffinity", "Node", "WorkloadEndpoint", "GlobalNetworkPolicy", "IPPool")
    return {(entry.key, entry.revision) for kind in kinds for entry in (await store.list(kind)).entries}


def test_a_repair_leaves_alone_what_changed_since_it_was_seen() -> None:
    """An address that was given out anew, a handle that counts again: nothing is taken from who came meanwhile."""

    async def story() -> None:
        store = MemoryDatastore()
        await sound(store)
        await _leak(store)
        await _empty_handle(store)
        seen = (await look(store)).found
        await changed(store, "IPAMHandle", "net.old", block={"198.51.100.0/28": 2})
        block = await block_of(store, "node1")
        ordinal = block.held_by("net.gone")[0]
        name = str(block.prefix).replace(".", "-").replace("/", "-")
        numbers = {**block.sequences, ordinal: block.sequences[ordinal] + 1}
        await changed(store, "IPAMBlock", name, sequenceNumberForAllocation={str(k): v for k, v in numbers.items()})
        before = await everything(store)

        outcome = await repair(store, seen)

        assert len(outcome) == 2
        assert all(error is not None and "meanwhile" in error.problems[0].what for _, error in outcome)
        assert await everything(store) == before

    asyncio.run(story())


def test_what_was_under_way_during_one_look_is_not_told() -> None:
    """A handle is written before its block: who looks between the two sees a handle without addresses, once."""

    async def story() -> None:
        store = MemoryDatastore()
        await sound(store)
        await _empty_handle(store)
        looks = 0

        async def services(_: Datastore) -> None:
            nonlocal looks
            looks += 1
            if looks == 1:
                await store.delete(Key("IPAMHandle", "net.old"))

        assert (await check(store, services)).found == []
        assert looks == 2

    asyncio.run(story())


def test_an_address_of_a_load_balancer_or_a_machine_that_is_off_is_not_leaked() -> None:
    """Where nobody can ask for services, and for machines that keep their address, nothing is released."""

    async def story() -> None:
        store = MemoryDatastore()
        await sound(store)
        await assigned(store, "lb-abc")
        pool: Any = load((await store.get(POOL[0])).value)
        await run(store, auto_assign(AssignmentRequest("node1", 1, "net.vm", NOW, [pool],
                                                       attributes={"node": "node1", "vmi-name": "m"})))  # fmt: skip
        assert (await look(store)).found == []

    asyncio.run(story())


def _file(path: Path, *breaks: Break, locked: bool = True) -> str:
    async def story() -> None:
        async with opened(EmbeddedSettings(str(path)), make=True) as store:
            await sound(store)
            for each in breaks:
                await each(store)
            await set_ready(store, ready=not locked)

    asyncio.run(story())
    return str(path)


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `muslin` in this process."""
    monkeypatch.delenv("MUSLIN_DATASTORE", raising=False)
    return Run(capsys)


def test_the_command_tells_and_exits_with_what_it_found(tmp_path: Path, command: Run) -> None:
    """Status 0 where all fits, 1 where not; JSON says the same as the table."""
    assert command("datastore", "check", "--datastore", _file(tmp_path / "a.db")).status == 0
    file = _file(tmp_path / "b.db", _leak, _tier)
    table = command("datastore", "check", "--datastore", file)
    answer = command("datastore", "check", "--datastore", file, "-o", "json")

    assert (table.status, answer.status) == (1, 1)
    assert "AddressLeaked" in table.out
    assert "(--fix)" in table.out
    told = {each["reason"]: each["repairable"] for each in json.loads(answer.out)["problems"]}
    assert told == {"AddressLeaked": True, "ReferenceDangles": False}


def test_the_command_repairs_only_a_locked_store_and_only_when_told(tmp_path: Path, command: Run) -> None:
    """Unlocked is refused, so is asking where nobody is; with --yes it repairs, and looks again."""
    unlocked = command(
        "datastore", "check", "--fix", "--yes", "--datastore", _file(tmp_path / "a.db", _leak, locked=False)
    )
    file = _file(tmp_path / "b.db", _leak, _gone)
    unasked = command("datastore", "check", "--fix", "--datastore", file)
    done = command("datastore", "check", "--fix", "--yes", "--datastore", file)

    assert (unlocked.status, unasked.status, done.status) == (2, 2, 0)
    assert "migrate lock" in unlocked.err
    assert "--yes" in unasked.err
    assert "all fits together" in done.out
    assert command("datastore", "check", "--datastore", file).status == 0
