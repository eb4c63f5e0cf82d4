"""A node's own object, and its report: only what is its own is written, and nothing twice."""

from __future__ import annotations

from ipaddress import ip_interface

from muslin.datastore.memory import MemoryDatastore
from muslin.net import parse_address, parse_prefix
from muslin.resources.keys import Key
from runtime.node_status import APPLIED_REVISION, ReportedRoute, ReportedSession, node_status_object, report
from runtime.registration import NodeIdentity, register
from tests.support.virtual_time import run_virtual

_NODE = NodeIdentity("node-1", ip_interface("192.0.2.1/24"), {"rack": "r1"})
_KEY = Key("Node", "node-1")


def test_a_new_node_writes_its_address_and_labels() -> None:
    """The Node carries the BGP address with its length, and the labels handed in."""

    async def main() -> None:
        store = MemoryDatastore()

        value = (await register(store, _NODE)).value

        assert value["spec"]["bgp"]["ipv4Address"] == "192.0.2.1/24"
        assert value["metadata"]["labels"] == {"kubernetes.io/hostname": "node-1", "rack": "r1"}

    run_virtual(main())


def test_a_restart_writes_nothing() -> None:
    """Registering again leaves the revision as it is."""

    async def main() -> None:
        store = MemoryDatastore()
        first = await register(store, _NODE)

        again = await register(store, _NODE)

        assert again.revision == first.revision

    run_virtual(main())


def test_what_others_wrote_on_the_node_stays() -> None:
    """An AS number and a label that a person set survive the node's next start with a new address."""

    async def main() -> None:
        store = MemoryDatastore()
        entry = await register(store, _NODE)
        spec = entry.value["spec"]
        edited = {**entry.value, "spec": {**spec, "bgp": {**spec["bgp"], "asNumber": 64500}}}
        await store.update(_KEY, edited, entry.revision)

        moved = NodeIdentity("node-1", ip_interface("192.0.2.9/24"))
        value = (await register(store, moved)).value

        assert value["spec"]["bgp"] == {"ipv4Address": "192.0.2.9/24", "asNumber": 64500}
        assert value["metadata"]["labels"]["rack"] == "r1"

    run_virtual(main())


def test_a_report_counts_sessions_and_names_the_applied_revision() -> None:
    """The status has the numbers a gate asks for, and every route with who said it."""
    peer = parse_address("192.0.2.2")
    sessions = (
        ReportedSession(peer, "NodeMesh", "Established", "2026-01-01T00:00:00Z"),
        ReportedSession(parse_address("192.0.2.3"), "NodeMesh", "Connect", "2026-01-01T00:00:00Z"),
    )
    routes = (ReportedRoute(parse_prefix("198.51.100.0/26"), peer, "eth0", peer),)

    value = node_status_object("node-1", sessions, routes, "42", "2026-01-01T00:00:01Z")

    assert value["metadata"]["annotations"] == {APPLIED_REVISION: "42"}
    assert value["status"]["bgp"]["numberEstablishedV4"] == 1
    assert value["status"]["bgp"]["numberNotEstablishedV4"] == 1
    assert value["status"]["routes"]["routesV4"] == [
        {
            "type": "FIB",
            "destination": "198.51.100.0/26",
            "learnedFrom": {"sourceType": "NodeMesh", "peerIP": "192.0.2.2"},
            "gateway": "192.0.2.2",
            "interface": "eth0",
        }
    ]


def test_a_report_with_nothing_new_but_the_time_is_not_written() -> None:
    """The datastore is not woken by a clock."""

    async def main() -> None:
        store = MemoryDatastore()
        key = Key("CalicoNodeStatus", "node-1")
        await report(store, node_status_object("node-1", (), (), "7", "2026-01-01T00:00:00Z"))
        first = await store.get(key)

        await report(store, node_status_object("node-1", (), (), "7", "2026-01-01T00:00:09Z"))
        same = await store.get(key)
        await report(store, node_status_object("node-1", (), (), "8", "2026-01-01T00:00:10Z"))
        newer = await store.get(key)

        assert same.revision == first.revision
        assert newer.value["metadata"]["annotations"][APPLIED_REVISION] == "8"

    run_virtual(main())
