"""`ipam release`: takes one address back, or everything that reports agree is leaked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from muslin.cli.ipam_show import address_of
from muslin.cli.options import Reach, reaching
from muslin.cli.printing import printable
from muslin.cli.stored import mapping_at, mappings_at, text_at, value_at
from muslin.cli.version_gate import CALICO_VERSION
from muslin.cli.wording import Ended, reference_text
from muslin.datastore.initialize import CLUSTER_INFORMATION
from muslin.datastore.ipam import run
from muslin.datastore.protocol import Conflict, Datastore, Entry, NotFound
from muslin.errors import BadInput, MuslinError, Problem
from muslin.ipam.names import handle_key
from muslin.ipam.release import Claim, release_ips
from muslin.net import Address, parse_address
from muslin.resources.keys import Key

__all__ = ["merged", "release"]


@click.command()
@click.option("--ip", "address", metavar="ADDRESS", help="The address to take back.")
@click.option(
    "--from-report", "reports", metavar="FILE", multiple=True,
    help="What `ipam check -o` wrote; of several only what all call leaked. Repeatable.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Also with another version's report, and an unlocked datastore.")
@reaching
def release(*, address: str | None, reports: tuple[str, ...], force: bool, reach: Reach) -> None:
    r"""Take an address back, so that another pod can have it, or all that reports call leaked.

    The pod that uses it is not asked: use this for what a pod left behind. A report must be of this cluster, and at
    least one of them as new as ClusterInformation.

    \b
    muslin ipam release --ip 10.48.0.17
    muslin ipam release --from-report an-hour-ago.json --from-report now.json

    Exit status 1 if the address is free, or a report does not fit; 2 if a report or an address makes no sense.
    """
    if reports:
        read = [_read_report(file) for file in reports]
        asyncio.run(_release_reported(reach, read, force=force))
        click.echo("You may now unlock the data store.")
    elif address is not None:
        wanted = address_of(address, "--ip")
        asyncio.run(_release_one(reach, wanted))
        click.echo(f"Successfully released IP address {wanted}")
    elif not reach.calicoctl:
        raise BadInput(Problem("nothing to release is named", "ipam release", "give --ip or --from-report"))


@dataclass(frozen=True, slots=True)
class Report:
    """A report and the file that it was in."""

    file: str
    value: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Leaked:
    """What all reports call leaked: addresses, and handles by ID."""

    claims: tuple[Claim, ...]
    handles: Mapping[str, Mapping[str, Any]]


def merged(reports: Sequence[Report]) -> Leaked:
    """What every one of the reports calls not in use, as the last one knows it. Raises BadInput."""
    claims: dict[Address, Claim] | None = None
    handles: dict[str, Mapping[str, Any]] | None = None
    for report in reports:
        found = {
            claim.address: claim
            for held in mapping_at(report.value, "allocations").values()
            for each in (held if isinstance(held, list) else ())
            if isinstance(each, Mapping) and each.get("inUse") is not True and each.get("coolingDown") is not True
            for claim in [_claim(each, report.file)]
        }
        claims = found if claims is None else {address: found[address] for address in claims if address in found}
        listed = {text_at(each, "ID"): each for each in mappings_at(report.value, "leakedHandles")}
        if handles is None:
            handles = listed
        else:
            handles = {
                name: listed[name]
                for name, former in handles.items()
                if name in listed and listed[name].get("Revision") == former.get("Revision")
            }
    return Leaked(tuple((claims or {}).values()), handles or {})


def _claim(each: Mapping[str, Any], file: str) -> Claim:
    sequence = each.get("sequenceNumber")
    try:
        address = parse_address(text_at(each, "ip"))
    except ValueError as error:
        raise BadInput(Problem(str(error), f"{file}  allocations", "make the report anew")) from error
    return Claim(address, text_at(each, "handle") or None, sequence if isinstance(sequence, int) else None)


def _read_report(file: str) -> Report:
    try:
        value = json.loads(Path(file).read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        line = f"open {file}: {str(reason)[:1].lower()}{str(reason)[1:]}" if isinstance(error, OSError) else str(error)
        problem = Problem(f"the report can't be read: {reason}", file, "give what `ipam check -o` wrote")
        raise Ended(line, problem, input_=True) from error
    if not isinstance(value, Mapping):
        raise Ended(f"{file} is no report", Problem("this is no report", file, "make it anew"), input_=True)
    return Report(file, value)


async def _release_one(reach: Reach, address: Address) -> None:
    async with reach.store() as store:
        done = await run(store, release_ips([Claim(address)], datetime.now(UTC)))
    if address in done.refused:
        reason = done.refused[address].value
        raise Ended(f"error: {reason}", Problem(reason, str(address), "see `muslin ipam check`"))
    if address in done.unallocated:
        line = f"IP address {address} is not assigned"
        raise Ended(line, Problem(line, "--ip", "see `muslin ipam show --show-blocks`"))


async def _release_reported(reach: Reach, reports: Sequence[Report], *, force: bool) -> None:
    async with reach.store() as store:
        _check_reports(reports, await store.get(CLUSTER_INFORMATION), force=force)
        leaked = merged(reports)
        if leaked.claims:
            await _release_claims(store, leaked.claims)
        else:
            click.echo("Report didn't contain any leaked IPs to clean up.")
        if leaked.handles:
            await _release_handles(store, leaked.handles)
        else:
            click.echo("Report didn't contain any handles to clean up.")


def _check_reports(reports: Sequence[Report], information: Entry, *, force: bool) -> None:
    """Whether the reports are of this cluster, this version and now. Raises Ended."""
    for report in reports:
        if text_at(report.value, "clusterGUID") != text_at(information.value, "spec", "clusterGUID"):
            line = f"cluster does not match the provided report ({report.file}): mismatched cluster GUID. "
            line += "Refusing to release"
            raise Ended(line, Problem("the report is of another cluster", report.file, "make one of this cluster"))
        version = text_at(report.value, "version")
        if version != CALICO_VERSION and not force:
            line = f"the provided report ({report.file}) was produced using a different version ({version}) of "
            line += "calicoctl. Refusing to release"
            problem = Problem(f"the report is of version {version}", report.file, "make it anew, or use --force")
            raise Ended(line, problem)
        if version != CALICO_VERSION:
            click.echo(
                "WARNING: Report was produced using a different version of calicoctl. Ignoring due to --force option"
            )
    if all(text_at(report.value, "clusterInformationRevision") != information.revision for report in reports):
        line = "the provided reports are all stale - at least one should be up-to-date. "
        line += "Please generate a new report while the data store is locked and try again"
        raise Ended(line, Problem("every report is stale", reports[-1].file, "lock the datastore, then check again"))
    if value_at(information.value, "spec", "datastoreReady") is not False:
        if not force:
            line = "data store is not locked. Either lock the data store, or re-run with --force"
            raise Ended(line, Problem("the datastore is not locked", str(CLUSTER_INFORMATION),
                                      "lock it: `muslin datastore migrate lock`; or use --force"))  # fmt: skip
        click.echo("WARNING: Data store is not locked. Ignoring due to --force option")


async def _release_claims(store: Datastore, claims: Sequence[Claim]) -> None:
    click.echo(f"Releasing {len(claims)} old IPs...")
    try:
        done = await run(store, release_ips(claims, datetime.now(UTC)))
    except MuslinError as error:
        told = f"An error occurred while releasing some IPs: {reference_text(error)}.  Problems are often caused by an "
        told += "out-of-date IPAM report.  Try regenerating the IPAM report and retry."
        click.echo(printable(told))
        return
    click.echo(f"Released {len(done.released)} IPs successfully")
    if done.unallocated:
        click.echo(f"{len(done.unallocated)} addresses marked as leaked in the report had already been cleaned up.")
    for address, why in done.refused.items():
        click.echo(f"{address} was left as it is: {why.value}")


async def _release_handles(store: Datastore, handles: Mapping[str, Mapping[str, Any]]) -> None:
    click.echo(f"Deleting {len(handles)} handles...")
    click.echo("Key: '.' = Deleted OK; 'x' = skip, handle missing/changed.")
    deleted = skipped = failed = 0
    for name, told in handles.items():
        try:
            done = await _delete_handle(store, handle_key(name), told)
        except MuslinError as error:
            failed += 1
            click.echo(printable(f"\nDeleting handle {name} failed: {reference_text(error)}.").replace("\\n", "\n"))
            continue
        deleted, skipped = deleted + done, skipped + (not done)
        click.echo("." if done else "x", nl=False)
    click.echo()
    click.echo(f"Released {deleted} handles; {skipped} skipped; {failed} errors.")


async def _delete_handle(store: Datastore, key: Key, told: Mapping[str, Any]) -> bool:
    """Delete the handle if it is as the report saw it; False if it changed or is gone."""
    try:
        found = await store.get(key)
        if found.revision != told.get("Revision"):
            return False
        uid = text_at(found.value, "metadata", "uid") or None
        if uid != told.get("UID"):
            return False
        await store.delete(key, found.revision)
    except (NotFound, Conflict):
        return False
    return True
