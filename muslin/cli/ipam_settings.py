"""`ipam configure` and `ipam split`: the settings of address management, and one pool made into several."""

from __future__ import annotations

import asyncio
from ipaddress import ip_network
from typing import Any

import click

from muslin.cli.client import checked
from muslin.cli.datastore import is_locked
from muslin.cli.documents import Given
from muslin.cli.options import Reach, reaching
from muslin.cli.stored import mapping_at, text_at, value_at
from muslin.cli.wording import Ended, reference_text
from muslin.datastore.protocol import AlreadyExists, Conflict, Datastore, Entry, Json, NotFound
from muslin.errors import MuslinError, Problem
from muslin.resources.keys import Key

__all__ = ["configure", "split"]

_KEY = Key("IPAMConfiguration", "default")
_TRUE, _FALSE = ("1", "t", "T", "TRUE", "true", "True"), ("0", "f", "F", "FALSE", "false", "False")
_TRIES = 5
_PROPERTIES = {
    "strictAffinity": "StrictAffinity",
    "maxBlocksPerHost": "MaxBlocksPerHost",
    "kubeVirtVMAddressPersistence": "KubeVirtVMAddressPersistence",
    "ipCooldownSeconds": "IPCooldownSeconds",
}
_LONGEST_NAME = 245


@click.command()
@click.option("--strictaffinity", metavar="true|false", help="Whether nodes take addresses of their own blocks only.")
@click.option("--max-blocks-per-host", metavar="NUMBER", help="How many blocks a node may have; needs strict affinity.")
@click.option(
    "--kubevirt-ip-persistence", metavar="Enabled|Disabled", help="Whether virtual machines keep their addresses."
)
@click.option("--ip-cooldown-seconds", metavar="NUMBER", help="How long a released address is not given out, 0..1200.")
@reaching
def configure(
    *,
    strictaffinity: str | None,
    max_blocks_per_host: str | None,
    kubevirt_ip_persistence: str | None,
    ip_cooldown_seconds: str | None,
    reach: Reach,
) -> None:
    r"""Change settings of address management; what is not named stays.

    \b
    muslin ipam configure --strictaffinity true --max-blocks-per-host 4

    Exit status: 0 changed, 1 the datastore refused it, 2 a value makes no sense.
    """
    wanted: dict[str, Any] = {}
    if strictaffinity is not None:
        if strictaffinity not in _TRUE + _FALSE:
            raise _refused(
                "invalid value. Use true or false to set strictaffinity", "--strictaffinity", "true or false"
            )
        wanted["strictAffinity"] = strictaffinity in _TRUE
    if max_blocks_per_host is not None:
        what = "invalid value for maxblockhost. Use a valid number"
        wanted["maxBlocksPerHost"] = _number(max_blocks_per_host, 1_000_000, what, "--max-blocks-per-host")
    if kubevirt_ip_persistence is not None:
        if kubevirt_ip_persistence not in ("Enabled", "Disabled"):
            what = "invalid value for --kubevirt-ip-persistence. Use Enabled or Disabled"
            raise _refused(what, "--kubevirt-ip-persistence", "Enabled or Disabled")
        wanted["kubeVirtVMAddressPersistence"] = kubevirt_ip_persistence
    if ip_cooldown_seconds is not None and ip_cooldown_seconds != "-1":
        what = "invalid value for --ip-cooldown-seconds. Use a number from 0 to 1200"
        wanted["ipCooldownSeconds"] = _number(ip_cooldown_seconds, 1200, what, "--ip-cooldown-seconds")
    if not wanted:
        raise _refused(
            "at least one configuration option must be specified", "ipam configure", "for example --strictaffinity true"
        )
    asyncio.run(_configure(reach, wanted))
    for field, value in wanted.items():
        shown = str(value).lower() if isinstance(value, bool) else value
        click.echo(f"Successfully set {_PROPERTIES[field]} to: {shown}")


async def _configure(reach: Reach, wanted: dict[str, Any]) -> None:
    async with reach.store() as store:
        for _ in range(_TRIES):
            try:
                found: Entry | None = await store.get(_KEY)
            except NotFound:
                found = None
            before = {} if found is None else mapping_at(found.value, "spec")
            spec = {"strictAffinity": False, "autoAllocateBlocks": True, **before, **wanted}
            _check(spec)
            metadata = {"name": "default"} if found is None else found.value.get("metadata", {})
            value = {"apiVersion": "projectcalico.org/v3", "kind": _KEY.kind, "metadata": metadata, "spec": spec}
            try:
                if found is None:
                    await store.create(_KEY, value)
                else:
                    await store.update(_KEY, {**found.value, **value}, found.revision)
            except (AlreadyExists, Conflict):
                continue
            return
        line = "error: the settings change all the time"
        raise Ended(line, Problem("somebody else changes the settings all the time", str(_KEY), "try again"))


def _check(spec: dict[str, Any]) -> None:
    if not spec["strictAffinity"] and not spec["autoAllocateBlocks"]:
        what = "cannot disable 'StrictAffinity' and 'AutoAllocateBlocks' at the same time"
        raise _refused(what, "--strictaffinity", "leave strict affinity on, or let blocks be claimed by themselves",
                       prefix="error: ")  # fmt: skip
    if spec.get("maxBlocksPerHost") and not spec["strictAffinity"]:
        what = "maxBlocksPerHost can only be set when strictAffinity is true"
        raise _refused(what, "--max-blocks-per-host", "add --strictaffinity true", prefix="error: ")


def _number(text: str, largest: int, what: str, where: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) <= largest):
        raise _refused(what, where, f"use a number from 0 to {largest}")
    return int(text)


def _refused(what: str, where: str, fix: str, *, prefix: str = "") -> Ended:
    return Ended(f"{prefix}{what}", Problem(what, where, fix), input_=True)


@click.command()
@click.argument("number")
@click.option("--cidr", default="", metavar="CIDR", help="Of the pool to split.")
@click.option("--name", default="", metavar="NAME", help="Of the pool to split.")
@reaching
def split(number: str, *, cidr: str, name: str, reach: Reach) -> None:
    r"""Make NUMBER pools of equal size of one; NUMBER is a power of two. Pods keep their addresses.

    \b
    muslin datastore migrate lock
    muslin ipam split 4 --name pods
    muslin datastore migrate unlock

    Exit status 1 if the datastore is not locked, or there is no such pool; 2 if it can't be split so.
    """
    if not (number.isascii() and number.isdigit() and len(number) < 10):
        what = f"error reading number to split IP pools into. {number} is not a valid number"
        raise _refused(what, "NUMBER", "for example 4")
    if not (cidr or name):
        what = "no name or CIDR provided. Provide a name or CIDR to denote the IP pool to split"
        raise _refused(what, "--name", "for example --name pods")
    pool, made = asyncio.run(_split(reach, int(number), cidr, name))
    click.echo(f"IP Pool {pool} was successfully split into {number} smaller pools.")
    for made_name, made_cidr in made:
        click.echo(f"Created {made_name} with CIDR {made_cidr}.")
    click.echo("Please refer to the documentation for final steps.")


async def _split(reach: Reach, number: int, cidr: str, name: str) -> tuple[str, list[tuple[str, str]]]:
    async with reach.store() as store:
        if not await is_locked(store):
            what = "datastore is not locked. Run the `calicoctl datastore migrate lock` command"
            problem = Problem("the datastore is not locked", "ClusterInformation default", "lock it first")
            raise Ended(f"{what} in order split the IP pools", problem)
        pool = await _pool(store, cidr, name)
        parts = _parts(text_at(pool.value, "spec", "cidr"), number)
        wanted = [(f"split-{pool.key.name[:_LONGEST_NAME]}-{index}", part) for index, part in enumerate(parts)]
        _check_part(_smaller(pool.value, *wanted[0]), parts[0])  # before anything changes; the others are of its size
        if value_at(pool.value, "spec", "disabled") is not True:
            spec = {**mapping_at(pool.value, "spec"), "disabled": True}
            pool = await store.update(pool.key, {**pool.value, "spec": spec}, pool.revision)
        for new, part in wanted:
            await _create_again(store, Key("IPPool", new), _smaller(pool.value, new, part), part)
        await store.delete(pool.key)
        return pool.key.name, wanted


def _smaller(pool: Json, name: str, part: str) -> dict[str, Any]:
    """One of the new pools: as the old one was before it was disabled."""
    kept = {held: it for held, it in mapping_at(pool, "metadata").items() if held in ("labels", "annotations")}
    spec = {**mapping_at(pool, "spec"), "cidr": part, "disabled": False}
    return {"apiVersion": "projectcalico.org/v3", "kind": "IPPool", "metadata": kept | {"name": name}, "spec": spec}


def _check_part(value: dict[str, Any], part: str) -> None:
    """The rules of a pool, as for one that is applied: a part may be smaller than a block."""
    try:
        checked(Given(value, f"IPPool {value['metadata']['name']}"))
    except MuslinError as error:
        line = f"error using unsafe create to make split pool with cidr {part}: {reference_text(error)}"
        raise Ended(line, error.problems, input_=True) from error


async def _create_again(store: Datastore, key: Key, value: dict[str, Any], part: str) -> None:
    """Create a pool; one that an interrupted run of ours made is success."""
    try:
        await store.create(key, value)
    except AlreadyExists as error:
        if text_at(error.current.value, "spec", "cidr") == part:
            return
        line = f"error using unsafe create to make split pool with cidr {part}: {reference_text(error)}"
        raise Ended(line, error.problems) from error
    except MuslinError as error:
        line = f"error using unsafe create to make split pool with cidr {part}: {reference_text(error)}"
        raise Ended(line, error.problems) from error


async def _pool(store: Datastore, cidr: str, name: str) -> Entry:
    if name:
        try:
            return await store.get(Key("IPPool", name))
        except NotFound as error:
            line = f"unable to find IP pool with name {name}: {reference_text(error)}"
            raise Ended(line, Problem(f"there is no IPPool {name}", "--name", "see `muslin get ippools`")) from error
    for entry in (await store.list("IPPool")).entries:
        if text_at(entry.value, "spec", "cidr") == cidr:
            return entry
    line = f"unable to find IP pool {name} covering the specified CIDR {cidr}"
    raise Ended(line, Problem(f"there is no IPPool {cidr}", "--cidr", "see `muslin get ippools`"))


def _parts(cidr: str, number: int) -> list[str]:
    power = number.bit_length() - 1
    if number < 2 or 1 << power != number:
        what = f"number to split CIDR into is not a valid power of 2: {number}"
    else:
        network = ip_network(cidr, strict=False)
        if network.prefixlen + power <= network.max_prefixlen and number <= 1 << 16:
            return [str(part) for part in network.subnets(prefixlen_diff=power)]
        what = f"the CIDR {cidr} is not large enough to be split into {number} parts"
    line = f"error splitting the CIDR {cidr} into {number} CIDRs: {what}"
    raise Ended(line, Problem(what, "NUMBER", "use 2, 4, 8 ... of which each part has room for a block"), input_=True)
