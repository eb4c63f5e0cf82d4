"""`ipam show`: how full pools and blocks are, who holds an address, which are borrowed, and the settings."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import click

from muslin.cli.ipam_books import Books, Usage, pool_prefix, read_books, usage_of
from muslin.cli.options import Reach, reaching
from muslin.cli.printing import printable
from muslin.cli.stored import text_at
from muslin.cli.tables import boxed_table
from muslin.cli.wording import Ended
from muslin.datastore.protocol import NotFound
from muslin.errors import Problem
from muslin.ipam.blocks import Attribute
from muslin.net import Address, parse_address
from muslin.resources.keys import Key

__all__ = ["SETTINGS", "address_of", "show"]

SETTINGS = {
    "StrictAffinity": ("strictAffinity", "false"),
    "AutoAllocateBlocks": ("autoAllocateBlocks", "true"),
    "MaxBlocksPerHost": ("maxBlocksPerHost", "0"),
    "KubeVirtVMAddressPersistence": ("kubeVirtVMAddressPersistence", "Enabled"),
    "IPCooldownSeconds": ("ipCooldownSeconds", "0"),
}
"""Mapping[property, (field, what it is where unset)]."""

_USAGE = ("GROUPING", "CIDR", "IPS TOTAL", "IPS IN USE", "IPS RESERVED", "IPS FREE")
_BORROWED = ("IP", "BORROWING-NODE", "BLOCK", "BLOCK OWNER", "TYPE", "ALLOCATED-TO")


@click.command()
@click.option("--ip", "address", metavar="ADDRESS", help="Who holds this address.")
@click.option("--show-blocks", is_flag=True, help="Also every block of every pool.")
@click.option("--show-borrowed", is_flag=True, help="Addresses of blocks that belong to another node.")
@click.option("--show-configuration", is_flag=True, help="The settings of address management.")
@reaching
def show(
    *, address: str | None, show_blocks: bool, show_borrowed: bool, show_configuration: bool, reach: Reach
) -> None:
    r"""Show how full the pools are, or one of the other things that the options name.

    \b
    muslin ipam show --show-blocks
    muslin ipam show --ip 10.48.0.17

    Exit status 0 also where an address is free. Blocks that can't be read are told, and the others shown.
    """
    wanted = None if address is None else address_of(address, "--ip")
    if show_configuration and wanted is None and not (show_blocks or show_borrowed):
        click.echo(asyncio.run(_settings(reach)))
        return
    books = asyncio.run(_books(reach))
    if wanted is not None:
        click.echo("\n".join(_told_of(books, wanted)))
    elif show_blocks or not show_borrowed:
        click.echo(_usage_table(books, with_blocks=show_blocks))
    else:
        _show_borrowed(books)
    for problem in books.unreadable:
        click.echo(printable(f"warning: {problem.what} ({problem.where})"), err=True)


def address_of(text: str, where: str) -> Address:
    """The address that a flag gives. Raises Ended."""
    try:
        return parse_address(text)
    except ValueError as error:
        line = f"invalid IP address: {text}"
        raise Ended(line, Problem(str(error), where, "for example 192.0.2.1"), input_=True) from error


async def _books(reach: Reach) -> Books:
    async with reach.store() as store:
        return await read_books(store)


async def _settings(reach: Reach) -> str:
    async with reach.store() as store:
        try:
            value = (await store.get(Key("IPAMConfiguration", "default"))).value
        except NotFound:
            value = {}
    rows = [[name, text_at(value, "spec", field, default=unset)] for name, (field, unset) in SETTINGS.items()]
    return boxed_table(("PROPERTY", "VALUE"), rows)


def _told_of(books: Books, address: Address) -> list[str]:
    """What is known of an address, as calicoctl says it."""
    for block in books.blocks:
        if address.version == block.prefix.version and address in block.prefix:
            holder = block.holder(address)
            if holder is None or holder.released_at is not None:
                break
            return [
                f"IP {address} is in use",
                printable(f"Handle ID: {holder.handle or '<none>'}"),
                *(_attributes("Active Owner Attributes", holder.secondary) or ["No Active Owner attributes defined"]),
                *_attributes("Alternate Owner Attributes", holder.alternate_owner),
            ]
    return [f"{address} is not assigned"]


def _attributes(title: str, given: Mapping[str, str]) -> list[str]:
    return [f"{title}:", *(printable(f"  {name}: {given[name]}") for name in sorted(given))] if given else []


def _usage_table(books: Books, *, with_blocks: bool) -> str:
    rows: list[list[str]] = []
    left = list(books.blocks)
    for entry in books.pools:
        prefix = pool_prefix(entry.value)
        if prefix is None:
            continue
        inside = [
            block for block in left if block.prefix.version == prefix.version and block.prefix.network_address in prefix
        ]
        left = [block for block in left if block not in inside]
        rows.append(_usage_row("IP Pool", usage_of(prefix, inside, books.reserved)))
        if with_blocks:
            rows += [_usage_row("Block", usage_of(block.prefix, [block], books.reserved)) for block in inside]
    if with_blocks:  # blocks of pools that are gone
        rows += [_usage_row("Block", usage_of(block.prefix, [block], books.reserved)) for block in left]
    return boxed_table(_USAGE, rows)


def _usage_row(kind: str, usage: Usage) -> list[str]:
    def part(count: int) -> str:
        return f"{count:.5g} ({100 * count / usage.total:.0f}%)"

    return [
        kind, str(usage.prefix), f"{usage.total:.5g}", part(usage.in_use), part(usage.reserved), part(usage.free),
    ]  # fmt: skip


def _show_borrowed(books: Books) -> None:
    rows: list[list[str]] = []
    unclassified = 0
    for block, _, address, holder in books.allocations():
        node, owner = holder.secondary.get("node"), (block.affinity or "").rpartition(":")[2]
        if node is None:
            unclassified += holder.released_at is None
        elif node != owner:
            rows.append([str(address), node, str(block.prefix), owner, *_allocated_to(holder)])
    click.echo(boxed_table(_BORROWED, rows))
    if unclassified:
        click.echo(f"\nNote: found {unclassified} IP allocations without an explicit node association. "
                   "Unable to determine if they are borrowed.")  # fmt: skip


def _allocated_to(holder: Attribute) -> tuple[str, str]:
    namespace = holder.secondary.get("namespace", "")
    for attribute, kind in (("vmi", "vmi"), ("pod", "pod")):
        if attribute in holder.secondary:
            return kind, f"{namespace}/{holder.secondary[attribute]}"
    return holder.secondary.get("type", ""), ""
