"""`muslin get`: resources as tables, YAML or JSON, straight from a datastore."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

import click

from muslin.cli.columns import columns_of
from muslin.cli.options import datastore_option, open_datastore
from muslin.cli.tables import plain_table
from muslin.datastore.protocol import Entry, NotFound
from muslin.errors import BadInput, Failed, Problem
from muslin.resources import KINDS, kind_by_alias
from muslin.resources.keys import Key
from muslin.yaml.write import dump_documents

__all__ = ["get"]

_FORMATS = ("ps", "wide", "yaml", "json")


@click.command()
@click.argument("kind")
@click.argument("names", nargs=-1)
@click.option("-o", "--output", type=click.Choice(_FORMATS), default="ps", show_default=True, help="How to print.")
@click.option("-n", "--namespace", help="Of namespaced kinds. Default: `default`.")
@click.option("-A", "--all-namespaces", is_flag=True, help="Of namespaced kinds: every namespace.")
@datastore_option
def get(
    kind: str, names: tuple[str, ...], output: str, namespace: str | None, *, all_namespaces: bool, datastore: str
) -> None:
    r"""Show resources of KIND, all or those with NAMES.

    KIND is singular, plural or short, in any case: ippool, pool, gnp, policies, node, wep ...

    \b
    muslin get ippools -o wide
    muslin get networkpolicy -A
    muslin get gnp default-deny -o yaml
    """
    name_of_kind = kind_by_alias(kind)
    if name_of_kind is None:
        known = ", ".join(sorted(name.lower() for name in KINDS))
        raise BadInput(Problem(f"{kind!r} is not a kind of resource", "KIND", f"one of {known}"))
    info = KINDS[name_of_kind]
    _check_scope(name_of_kind, namespaced=info.namespaced, namespace=namespace, everywhere=all_namespaces, names=names)
    scope = None if all_namespaces or not info.namespaced else (namespace or "default")
    entries = asyncio.run(_read(datastore, name_of_kind, scope, names))
    values = [entry.value for entry in entries]
    if output == "json":
        click.echo(json.dumps(values[0] if len(names) == 1 else _listing(name_of_kind, values), indent=2))
    elif output == "yaml":
        click.echo(dump_documents(values), nl=False)
    else:
        columns = columns_of(name_of_kind, wide=output == "wide", namespace=all_namespaces)
        rows = [[column.cell(value) for column in columns] for value in values]
        click.echo(plain_table([column.heading for column in columns], rows))


def _check_scope(kind: str, *, namespaced: bool, namespace: str | None, everywhere: bool, names: Sequence[str]) -> None:
    if not namespaced and (namespace or everywhere):
        flag = "--all-namespaces" if everywhere else "--namespace"
        raise BadInput(Problem(f"{kind} has no namespace", flag, "leave the flag out"))
    if everywhere and names:
        raise BadInput(
            Problem("a name needs one namespace", "--all-namespaces", "use --namespace NAME, or leave the names out")
        )


async def _read(path: str, kind: str, namespace: str | None, names: Sequence[str]) -> list[Entry]:
    async with open_datastore(path) as store:
        if not names:
            listing = await store.list(kind, namespace=namespace)
            return list(listing.entries)
        found: list[Entry] = []
        missing: list[Problem] = []
        for name in names:
            try:
                found.append(await store.get(Key(kind, name, namespace)))
            except NotFound as error:
                missing.extend(error.problems)
        if missing:
            raise Failed(missing)
        return found


def _listing(kind: str, values: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"apiVersion": "projectcalico.org/v3", "kind": f"{kind}List", "items": list(values)}
