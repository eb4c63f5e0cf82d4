"""`ipam check`: compares the books about addresses with who uses them, and says what does not fit."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median_high
from typing import Any

import click

from muslin.cli.ipam_books import blocks_of, pool_prefix
from muslin.cli.options import Reach, reaching
from muslin.cli.printing import printable
from muslin.cli.stored import mapping_at, mappings_at, text_at, value_at
from muslin.cli.version_gate import CALICO_VERSION
from muslin.cli.wording import Ended
from muslin.datastore.initialize import CLUSTER_INFORMATION
from muslin.datastore.protocol import Datastore, Json, NotFound
from muslin.errors import Problem
from muslin.ipam.findings import Allocation, Findings, Handle, Using, findings_of, used_by_nodes, used_by_workloads
from muslin.resources.keys import Key

__all__ = ["check", "report_of", "services_of"]

_SHOWN_NODES = 20
_MANAGED = ("projectcalico.org/ipv4pools", "projectcalico.org/ipv6pools", "projectcalico.org/loadBalancerIPs")


@click.command()
@click.option("--show-all-ips", is_flag=True, help="Print every address that is looked at.")
@click.option("--show-problem-ips", is_flag=True, help="Print every address with which something is wrong.")
@click.option("-o", "--output", metavar="FILE", help="Write a report there, for `ipam release --from-report`.")
@click.option("--kubeconfig", metavar="FILE", help="Of the cluster, where the datastore is another: for its services.")
@reaching
def check(
    *, show_all_ips: bool, show_problem_ips: bool, output: str | None, kubeconfig: str | None, reach: Reach
) -> None:
    r"""Check the books about addresses: leaked ones, unknown ones, handles without any, blocks that make no sense.

    \b
    muslin datastore migrate lock
    muslin ipam check -o report.json
    muslin ipam release --from-report report.json

    Exit status 0 whatever is found: the last line says how much it is.
    """
    click.echo("Checking IPAM for inconsistencies...\n")
    found, information, revision = asyncio.run(_look(reach, kubeconfig))
    for line in _told(found, everything=show_all_ips, problems=show_all_ips or show_problem_ips):
        click.echo(printable(line))
    if output is not None:
        report = report_of(found, information, revision)
        try:
            Path(output).write_text(json.dumps(report, indent=2) + "\n", "utf-8")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            problem = Problem(f"the report can't be written: {reason}", output, "give a file in a folder that is there")
            raise Ended(f"open {output}: {reason}", problem) from error


def report_of(found: Findings, information: Json, revision: str) -> dict[str, Any]:
    """The report as calicoctl writes it."""
    allocations: dict[str, list[dict[str, Any]]] = {}
    for allocation in found.allocations:
        allocations.setdefault(str(allocation.address), []).append(allocation.to_json())
    report: dict[str, Any] = {
        "version": CALICO_VERSION,
        "clusterGUID": text_at(information, "spec", "clusterGUID"),
        "datastoreLocked": value_at(information, "spec", "datastoreReady") is False,
        "clusterInformationRevision": revision,
        "clusterType": text_at(information, "spec", "clusterType"),
        "allocations": allocations,
    }
    if found.leaked_handles:
        report["leakedHandles"] = [handle.to_json() for handle in found.leaked_handles]
    return report


async def _look(reach: Reach, kubeconfig: str | None) -> tuple[Findings, Json, str]:
    async with reach.store() as store:
        information = await store.get(CLUSTER_INFORMATION)
        blocks, unreadable = await blocks_of(store)
        pools = [
            prefix
            for entry in (await store.list("IPPool")).entries
            if value_at(entry.value, "spec", "disabled") is not True and (prefix := pool_prefix(entry.value))
        ]
        nodes = used_by_nodes((await store.list("Node")).entries)
        services = await services_of(store, kubeconfig)
        workloads = used_by_workloads((await store.list("WorkloadEndpoint")).entries)
        handles = [
            Handle(text_at(entry.value, "spec", "handleID") or entry.key.name,
                   text_at(entry.value, "metadata", "uid") or None, str(entry.revision))
            for entry in (await store.list("IPAMHandle")).entries
        ]  # fmt: skip
        found = findings_of(
            blocks, unreadable=unreadable, pools=pools, nodes=nodes, services=services, workloads=workloads,
            handles=handles, now=datetime.now(UTC),
        )  # fmt: skip
        return found, information.value, str(information.revision)


async def services_of(store: Datastore, kubeconfig: str | None) -> list[Using] | None:
    """Addresses that services of type LoadBalancer have from us; None where there is no Kubernetes to ask."""
    client = getattr(store, "client", None)
    own = None
    if client is None and kubeconfig is not None:
        from muslin.kubernetes.client import KubernetesClient  # noqa: PLC0415 - only with this flag
        from muslin.kubernetes.finding import find_access  # noqa: PLC0415

        client = own = await KubernetesClient.connect(find_access(kubeconfig=kubeconfig))
    if client is None:
        return None
    try:
        try:
            settings = (await store.get(Key("KubeControllersConfiguration", "default"))).value
        except NotFound:
            settings = {}
        found: list[Using] = []
        more: str | None = None
        while True:
            listed = await client.page("/api/v1/services", continue_=more)
            found += [using for each in mappings_at(listed, "items") for using in _of_service(each, settings)]
            more = text_at(listed, "metadata", "continue") or None
            if more is None:
                return found
    finally:
        if own is not None:
            await own.close()


def _of_service(service: Json, settings: Json) -> Iterable[Using]:
    if text_at(service, "spec", "type") != "LoadBalancer":
        return
    wanted = text_at(settings, "spec", "controllers", "loadBalancer", "assignIPs") or "AllServices"
    kind = text_at(service, "spec", "loadBalancerClass")
    asked = any(name in mapping_at(service, "metadata", "annotations") for name in _MANAGED)
    if kind not in ("", "calico") or (wanted != "AllServices" and not asked and kind != "calico"):
        return
    name = text_at(service, "metadata", "name")
    for each in mappings_at(service, "status", "loadBalancer", "ingress"):
        if using := Using.of(text_at(each, "ip"), name):
            yield using


def _told(found: Findings, *, everything: bool, problems: bool) -> Iterable[str]:
    yield "Loading all IPAM blocks..."
    yield f"Found {len(found.blocks) + len(found.invalid)} IPAM blocks."
    for block in found.blocks:
        yield f" IPAM block {block.prefix} affinity={block.affinity or '<none>'}:"
        if everything:
            yield from (_of_allocation(each) for each in found.allocations if each.block is block)
    yield f"IPAM blocks record {len(found.allocations)} allocations."
    yield ""
    yield "Loading all IPAM pools..."
    yield from (f"  {prefix}" for prefix in found.pools)
    yield f"Found {len(found.pools)} active IP pools."
    yield ""
    yield "Loading all nodes."
    yield from _users(found.nodes, show=everything)
    yield f"Found {len(found.nodes)} node tunnel IPs."
    yield ""
    yield "Loading all service load balancer IPs."
    if found.services is None:
        yield "No Kubernetes to ask for services; give --kubeconfig."
    else:
        yield from _users(found.services, show=everything)
        yield f"Found {len(found.services)} service load balancer."
    yield ""
    yield "Loading all workload endpoints."
    yield from _users(found.workloads, show=everything)
    yield f"Found {len(found.workloads)} workload IPs."
    yield f"Workloads and nodes are using {len(found.in_use)} IPs."
    yield ""
    yield "Loading all handles"
    yield f"Looking for top (up to {_SHOWN_NODES}) nodes by allocations..."
    counts = sorted(found.by_node.items(), key=lambda each: (-each[1], each[0]))
    yield from (f"  {node} has {count} allocations" for node, count in counts[:_SHOWN_NODES])
    if counts:
        yield f"Node with most allocations has {counts[0][1]}; median is {median_high(found.by_node.values())}"
    yield ""
    yield "Scanning for IPs that are allocated but not actually in use..."
    if problems:
        yield from (f"  {each.address} leaked; attrs {each.attributes}" for each in found.leaked)
    yield f"Found {len(found.leaked)} IPs that are allocated in IPAM but not actually in use."
    yield "Scanning for IPs that are in use by a workload or node but not allocated in IPAM..."
    if problems:
        yield from (f"  {address} has multiple owners." for address, owners in found.in_use.items() if len(owners) > 1)
        for address in found.outside:
            for owner in found.in_use[address]:
                yield f"  {address} in use by {owner} is not in any active IP pool."
        for address in found.unallocated:
            for owner in found.in_use[address]:
                yield f"  {address} in use by {owner} and in active IPAM pool but has no IPAM allocation."
    yield f"Found {len(found.outside)} in-use IPs that are not in active IP pools."
    told = "in-use IPs that are in active IP pools but have no corresponding IPAM allocation"
    yield f"Found {len(found.unallocated)} {told}."
    yield ""
    yield "Scanning for IPAM handles with no matching IPs..."
    if everything:
        yield from (f"  {handle.name} doesn't have any active IPs." for handle in found.leaked_handles)
    good = found.handle_count - len(found.leaked_handles)
    yield f"Found {len(found.leaked_handles)} handles with no matching IPs (and {good} handles with matches)."
    yield "Scanning for IPs with missing handle..."
    if problems:
        yield from (f"  {handle} is in use in a block but doesn't exist." for handle in found.missing_handles)
    yield f"Found {len(found.missing_handles)} handles mentioned in blocks with no matching handle resource."
    yield "Scanning for invalid blocks..."
    if problems:
        yield from (f"  {problem.where}: {problem.what}" for problem in found.invalid)
    yield f"Found {len(found.invalid)} invalid blocks."
    yield f"Check complete; found {found.problem_count} problems."


def _users(users: Iterable[Using], *, show: bool) -> Iterable[str]:
    return (f"  {using.address} belongs to {using.owner}" for using in users) if show else ()


def _of_allocation(allocation: Allocation) -> str:
    return f"  {allocation.address} allocated; attrs {allocation.attributes}"
