"""`ipam`: usage, holders, checks, reports, releases, settings, splitting; with addresses as agents give them out."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any

import pytest

from muslin.datastore.embedded import EmbeddedDatastore
from muslin.datastore.protocol import Datastore
from muslin.ipam.blocks import Attribute, Block
from muslin.ipam.names import block_key, handle_key
from muslin.net import parse_prefix
from muslin.resources.keys import Key
from tests.muslin.cli.calico import POOL, Calico, manifest

_PREFIX = parse_prefix("10.48.0.0/26")
_NOW = datetime(2026, 1, 2, tzinfo=UTC)


async def _filled(store: Datastore) -> None:
    """A block of node1 with four addresses: used, leaked, borrowed by node2, cooling; and a handle of nobody."""
    block = Block.new(_PREFIX, "host:node1", _NOW)
    for number, holder in enumerate((
        Attribute("k8s-pod-network.1", {"node": "node1", "pod": "web", "namespace": "shop"}),
        Attribute("k8s-pod-network.2", {"node": "node1", "pod": "gone", "namespace": "shop"}),
        Attribute("k8s-pod-network.3", {"node": "node2", "pod": "guest", "namespace": "shop"}),
    ), 1):  # fmt: skip
        assigned = block.assigned_address(ip_address(f"10.48.0.{number}"), holder)
        assert assigned is not None
        block = assigned
        name = handle_key(holder.handle or "").name
        spec = {"handleID": holder.handle, "block": {str(_PREFIX): 1}, "deleted": False}
        await store.create(Key("IPAMHandle", name), {"kind": "IPAMHandle", "metadata": {"name": name}, "spec": spec})
    block = block.released([4], _NOW)
    await store.create(block_key(_PREFIX), block.json())
    orphan = {"handleID": "old", "block": {}, "deleted": False}
    await store.create(Key("IPAMHandle", "old"), {"kind": "IPAMHandle", "metadata": {"name": "old"}, "spec": orphan})


def _in_store(work: Callable[[Datastore], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        store = EmbeddedDatastore.open(os.environ["MUSLIN_DATASTORE"])
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(run())


@pytest.fixture
def books(calico: Calico) -> Calico:
    """A cluster with a pool, a block, endpoints of two of its addresses, and one address that no pool has."""

    def endpoint(name: str, address: str) -> str:
        return manifest(
            "WorkloadEndpoint", f"node1-k8s-{name}-eth0",
            f"{{node: node1, orchestrator: k8s, pod: {name}, endpoint: eth0, interfaceName: cali{name}, "
            f"ipNetworks: [{address}/32]}}", "shop",
        )  # fmt: skip

    calico.apply("---\n".join([
        POOL, manifest("Node", "node1", "{ipv4VXLANTunnelAddr: 10.48.0.9}"), endpoint("web", "10.48.0.1"),
        endpoint("guest", "10.48.0.3"), endpoint("stray", "192.0.2.77"),
        manifest("IPReservation", "kept", "{reservedCIDRs: [10.48.0.2/32, 10.48.0.32/28, 203.0.113.0/24]}"),
    ]))  # fmt: skip
    _in_store(_filled)
    return calico


def test_usage_of_pools_and_blocks(books: Calico) -> None:
    """In use, reserved (in the pool only) and free; what is both in use and reserved counts for both."""
    assert (
        books("ipam", "show", "--show-blocks").out
        == """\
+----------+--------------+-----------+------------+--------------+--------------+
| GROUPING |     CIDR     | IPS TOTAL | IPS IN USE | IPS RESERVED |   IPS FREE   |
+----------+--------------+-----------+------------+--------------+--------------+
| IP Pool  | 10.48.0.0/16 | 65536     | 4 (0%)     | 17 (0%)      | 65516 (100%) |
| Block    | 10.48.0.0/26 | 64        | 4 (6%)     | 17 (27%)     | 44 (69%)     |
+----------+--------------+-----------+------------+--------------+--------------+
"""
    )


def test_who_holds_an_address(books: Calico) -> None:
    """Held, free, cooling down and in no block at all."""
    assert books("ipam", "show", "--ip", "10.48.0.1").out == (
        "IP 10.48.0.1 is in use\nHandle ID: k8s-pod-network.1\nActive Owner Attributes:\n"
        "  namespace: shop\n  node: node1\n  pod: web\n"
    )
    for address in ("10.48.0.20", "10.48.0.4", "192.0.2.1"):
        assert books("ipam", "show", "--ip", address).out == f"{address} is not assigned\n"


def test_borrowed_addresses(books: Calico) -> None:
    """Only those of another node's block, with what they were given to."""
    ran = books("ipam", "show", "--show-borrowed")

    assert [line.split("|")[1:-1] for line in ran.out.splitlines() if "10.48" in line] == [
        [" 10.48.0.3 ", " node2          ", " 10.48.0.0/26 ", " node1       ", " pod  ", " shop/guest   "]
    ]


def test_a_check_counts_what_does_not_fit(books: Calico) -> None:
    """One leaked address, one outside the pools, a tunnel's without allocation, a handle of nobody."""
    ran = books("ipam", "check", "--show-problem-ips")

    assert ran.status == 0
    for line in (
        "IPAM blocks record 4 allocations.",
        "Found 3 workload IPs.",
        "  10.48.0.2 leaked; attrs Main:k8s-pod-network.2 Extra:namespace=shop,node=node1,pod=gone",
        "Found 1 IPs that are allocated in IPAM but not actually in use.",
        "  192.0.2.77 in use by Workload(shop/node1-k8s-stray-eth0) is not in any active IP pool.",
        "Found 1 in-use IPs that are not in active IP pools.",
        "  10.48.0.9 in use by Node(node1) and in active IPAM pool but has no IPAM allocation.",
        "Found 1 handles with no matching IPs (and 3 handles with matches).",
        "Found 0 handles mentioned in blocks with no matching handle resource.",
        "Found 0 invalid blocks.",
        "Check complete; found 4 problems.",
    ):
        assert line in ran.out.splitlines()


def test_the_report_has_calicoctls_form(books: Calico) -> None:
    """Keys, flags only where they are true, and what the handle was when it was seen."""
    file = books.folder / "report.json"
    books("datastore", "migrate", "lock")
    books("ipam", "check", "-o", file)
    report = json.loads(file.read_text())

    assert set(report) == {
        "version", "clusterGUID", "datastoreLocked", "clusterInformationRevision", "clusterType", "allocations",
        "leakedHandles",
    }  # fmt: skip
    assert report["datastoreLocked"] is True
    assert isinstance(report["allocations"]["10.48.0.2"][0].pop("sequenceNumber"), int)
    assert report["allocations"]["10.48.0.2"] == [
        {"ip": "10.48.0.2", "handle": "k8s-pod-network.2", "pod": "gone", "namespace": "shop",
         "node": "node1", "inUse": False, "owners": None}
    ]  # fmt: skip
    assert report["allocations"]["10.48.0.3"][0]["borrowed"] is True
    assert report["allocations"]["10.48.0.4"][0]["coolingDown"] is True
    assert report["allocations"]["10.48.0.1"][0]["owners"] == ["Workload(shop/node1-k8s-web-eth0)"]
    assert [set(each) for each in report["leakedHandles"]] == [{"ID", "UID", "Revision"}]


def test_releasing_what_a_report_calls_leaked(books: Calico) -> None:
    """The leaked address is free afterwards, used ones stay, the handle of nobody is gone, the second time nothing."""
    file = books.folder / "report.json"
    books("datastore", "migrate", "lock")
    books("ipam", "check", "-o", file)
    first = books.ctl("ipam", "release", "--from-report", file)
    second = books.ctl("ipam", "release", "--from-report", file)

    assert (first.status, first.err) == (0, "")
    assert first.out.splitlines() == [
        "Releasing 1 old IPs...",
        "Released 1 IPs successfully",
        "Deleting 1 handles...",
        "Key: '.' = Deleted OK; 'x' = skip, handle missing/changed.",
        ".",
        "Released 1 handles; 0 skipped; 0 errors.",
        "You may now unlock the data store.",
    ]
    assert "Released 0 IPs successfully" in second.out
    assert "Released 0 handles; 1 skipped; 0 errors." in second.out
    assert books("ipam", "show", "--ip", "10.48.0.2").out == "10.48.0.2 is not assigned\n"
    assert books("ipam", "show", "--ip", "10.48.0.1").out.startswith("IP 10.48.0.1 is in use")


def test_only_what_all_reports_call_leaked_is_released(books: Calico) -> None:
    """An address that came back into use between two reports stays."""
    first, second = books.folder / "1.json", books.folder / "2.json"
    books("datastore", "migrate", "lock")
    books("ipam", "check", "-o", first)
    later = json.loads(first.read_text())
    later["allocations"]["10.48.0.2"][0]["inUse"] = True
    later["leakedHandles"][0]["Revision"] = "changed"
    second.write_text(json.dumps(later))
    ran = books("ipam", "release", "--from-report", first, "--from-report", second)

    assert "Report didn't contain any leaked IPs to clean up." in ran.out
    assert "Report didn't contain any handles to clean up." in ran.out


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"clusterGUID": "0" * 32}, "mismatched cluster GUID. Refusing to release"),
        ({"version": "v3.1.0"}, "was produced using a different version (v3.1.0) of calicoctl. Refusing to release"),
        ({"clusterInformationRevision": "1"}, "the provided reports are all stale"),
    ],
)
def test_reports_that_do_not_fit(books: Calico, change: dict[str, str], line: str) -> None:
    """Another cluster's is refused even with --force; another version's and stale ones are told apart."""
    file = books.folder / "report.json"
    books("datastore", "migrate", "lock")
    books("ipam", "check", "-o", file)
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    ran = books.ctl("ipam", "release", "--from-report", file)
    forced = books.ctl("ipam", "release", "--from-report", file, "--force")

    assert (ran.status, line in ran.err.splitlines()[0]) == (1, True), ran.err
    assert (forced.status == 0) is ("version" in change)


def test_an_unlocked_datastore_and_reports_that_are_none(books: Calico) -> None:
    """Without the lock nothing is released; files that are no reports are refused with their name."""
    file = books.folder / "report.json"
    books("ipam", "check", "-o", file)
    unlocked = books.ctl("ipam", "release", "--from-report", file)

    assert unlocked.err.splitlines()[0] == (
        "data store is not locked. Either lock the data store, or re-run with --force"
    )
    for content in (b"", b"[1]", b'{"allocations": {"x": [{"ip": "x", "inUse": false}]}}', b"\xff", b"[" * 100000):
        file.write_bytes(content)
        ran = books("ipam", "release", "--from-report", file, "--force")
        assert (ran.status in (1, 2), "Traceback" in ran.err) == (True, False)


def test_releasing_one_address(books: Calico) -> None:
    """Once; then it is not assigned, which is calicoctl's error."""
    done, again = (books.ctl("ipam", "release", "--ip", "10.48.0.2") for _ in range(2))

    assert (done.status, done.out) == (0, "Successfully released IP address 10.48.0.2\n")
    assert (again.status, again.err.splitlines()[0]) == (1, "IP address 10.48.0.2 is not assigned")
    assert books("ipam", "release").status == 2
    assert books("ipam", "release", "--ip", "here").status == 2


def test_settings(calico: Calico) -> None:
    """What is named is set and told, the rest stays; rules between settings hold."""
    ran = calico("ipam", "configure", "--strictaffinity", "true", "--max-blocks-per-host", "3",
                 "--ip-cooldown-seconds", "30", "--kubevirt-ip-persistence", "Disabled")  # fmt: skip
    refused = calico.ctl("ipam", "configure", "--strictaffinity", "false")
    shown = calico("ipam", "show", "--show-configuration").out

    assert ran.out.splitlines() == [
        "Successfully set StrictAffinity to: true",
        "Successfully set MaxBlocksPerHost to: 3",
        "Successfully set KubeVirtVMAddressPersistence to: Disabled",
        "Successfully set IPCooldownSeconds to: 30",
    ]
    assert refused.err.splitlines()[0] == "error: maxBlocksPerHost can only be set when strictAffinity is true"
    assert [word in shown for word in ("| true ", "| 3 ", "| Disabled", "| 30 ")] == [True] * 4


@pytest.mark.parametrize(
    ("flag", "value", "line"),
    [
        ("--strictaffinity", "yes", "invalid value. Use true or false to set strictaffinity"),
        ("--max-blocks-per-host", "many", "invalid value for maxblockhost. Use a valid number"),
        ("--kubevirt-ip-persistence", "on", "invalid value for --kubevirt-ip-persistence. Use Enabled or Disabled"),
        ("--ip-cooldown-seconds", "1201", "invalid value for --ip-cooldown-seconds. Use a number from 0 to 1200"),
    ],
)
def test_settings_that_make_no_sense(calico: Calico, flag: str, value: str, line: str) -> None:
    """Told in calicoctl's words, before anything is written."""
    ran = calico.ctl("ipam", "configure", flag, value)

    assert (ran.status, ran.err.splitlines()[0]) == (1, line)
    assert calico.get("ipamconfig")["items"] == []


def test_splitting_a_pool(calico: Calico) -> None:
    """A locked datastore, a power of two, parts of equal size with the pool's settings; the old pool is gone."""
    calico.apply(manifest("IPPool", "pods", "{cidr: 10.48.0.0/16, natOutgoing: true}"))
    unlocked = calico.ctl("ipam", "split", "4", "--name", "pods")
    calico("datastore", "migrate", "lock")
    three = calico.ctl("ipam", "split", "3", "--name", "pods")
    ran = calico.ctl("ipam", "split", "4", "--cidr", "10.48.0.0/16")
    pools = calico.get("ippools")["items"]

    assert unlocked.err.splitlines()[0].startswith(
        "datastore is not locked. Run the `calicoctl datastore migrate lock`"
    )
    assert "number to split CIDR into is not a valid power of 2: 3" in three.err.splitlines()[0]
    assert ran.out.splitlines()[0] == "IP Pool pods was successfully split into 4 smaller pools."
    assert [(each["metadata"]["name"], each["spec"]["cidr"]) for each in pools] == [
        (f"split-pods-{index}", f"10.48.{index * 64}.0/18") for index in range(4)
    ]
    assert all(each["spec"]["natOutgoing"] and not each["spec"].get("disabled") for each in pools)


def test_a_pool_is_not_split_into_less_than_a_block(calico: Calico) -> None:
    """The rules of a pool hold for its parts in every datastore, and are asked before anything is changed."""
    calico.apply(manifest("IPPool", "pods", "{cidr: 10.48.0.0/26, blockSize: 28}"))
    calico("datastore", "migrate", "lock")
    before = calico.get("ippools")
    ran = calico.ctl("ipam", "split", "8", "--name", "pods")

    assert (ran.status, calico.get("ippools")) == (1, before)
    assert ran.err.splitlines()[0] == (
        "error using unsafe create to make split pool with cidr 10.48.0.0/29: error with field spec (IP pool size is "
        "too small for use with Calico IPAM. It must be equal to or greater than the block size.)"
    )
    assert "split-pods-0" in ran.err
    assert calico.ctl("ipam", "split", "4", "--name", "pods").status == 0


@pytest.mark.parametrize(
    "arguments", [("x", "--name", "a"), ("4",), ("4", "--name", "nope"), ("4", "--cidr", "192.0.2.0/24"), ()]
)
def test_splits_that_are_refused(calico: Calico, arguments: tuple[str, ...]) -> None:
    """No number, no pool, an unknown one: a message, no traceback."""
    calico("datastore", "migrate", "lock")
    ran = calico.ctl("ipam", "split", *arguments)

    assert (ran.status, "where:" in ran.err) == (1, True)
