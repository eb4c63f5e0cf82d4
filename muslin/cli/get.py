"""`muslin get`: resources as tables, YAML or JSON, straight from a datastore."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

from muslin.cli.columns import Look, chosen_columns, columns_of
from muslin.cli.kinds import ShownKind, kind_named
from muslin.cli.options import datastore_option, open_datastore
from muslin.cli.stored import text_at
from muslin.cli.tables import plain_table
from muslin.datastore.protocol import Datastore, Json, NotFound
from muslin.errors import BadInput, Failed, Problem
from muslin.resources.keys import Key

__all__ = ["get"]

_FORMATS = ("ps", "wide", "yaml", "json")
_CUSTOM = "custom-columns="
_NOT_EXPORTED = ("namespace", "uid", "resourceVersion", "creationTimestamp", "deletionTimestamp", "generation")


@click.command()
@click.argument("kind")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "-o", "--output", metavar="FORMAT", default="ps", show_default=True,
    help="ps, wide, yaml, json, or custom-columns=HEADING,HEADING.",
)  # fmt: skip
@click.option("-n", "--namespace", help="Of namespaced kinds. Default: `default`.")
@click.option("-A", "--all-namespaces", is_flag=True, help="Of namespaced kinds: every namespace.")
@click.option("--export", is_flag=True, help="With NAMEs: without what a datastore adds, ready for another one.")
@datastore_option
def get(
    kind: str,
    names: tuple[str, ...],
    output: str,
    namespace: str | None,
    *,
    all_namespaces: bool,
    export: bool,
    datastore: str,
) -> None:
    r"""Show resources of KIND: all, or those with these NAMEs.

    KIND is singular, plural or short, in any case: ippool, pool, gnp, policies, node, wep ... and of the reconciler:
    reconcilerstatus, reconcilerledger. Objects are shown as they are stored, also those that break a rule.

    \b
    muslin get ippools -o wide
    muslin get networkpolicy -A
    muslin get gnp default-deny -o yaml --export
    muslin get nodes -o custom-columns=NAME,ASN

    Exit status 1 if a NAME does not exist; those that do are shown all the same.
    """
    shown = kind_named(kind)
    _check_format(output)
    _check_scope(shown, namespace=namespace, everywhere=all_namespaces, names=names)
    if export and not names:
        raise BadInput(Problem("only named objects can be exported", "--export", "give their names"))
    scope = None if all_namespaces or not shown.namespaced else (namespace or "default")
    read = asyncio.run(_read(datastore, shown, scope, names))
    values = [_exported(value) for value in read.values] if export else read.values
    if output in ("json", "yaml"):
        if values or not names:
            click.echo(_text(_as_printed(shown, names, values, read.revision), output), nl=False)
    elif values or not names:
        with_namespace = shown.namespaced and (all_namespaces or namespace is not None)
        columns = (
            chosen_columns(shown.name, output.removeprefix(_CUSTOM).split(","))
            if output.startswith(_CUSTOM)
            else columns_of(shown.name, wide=output == "wide", namespace=with_namespace)
        )
        rows = [[column.cell(value, read.look) for column in columns] for value in values]
        click.echo(plain_table([column.heading for column in columns], rows))
    if read.missing:
        raise Failed(read.missing)


def _check_format(output: str) -> None:
    if output in _FORMATS or output.startswith(_CUSTOM):
        return
    fix = f"use one of {', '.join(_FORMATS)}, {_CUSTOM}HEADING,HEADING"
    if output.startswith(("go-template", "go-template-file")):
        fix = "use -o json and a tool such as jq"
    raise BadInput(Problem(f"there is no output format {output!r}", "--output", fix))


def _check_scope(kind: ShownKind, *, namespace: str | None, everywhere: bool, names: Sequence[str]) -> None:
    if not kind.namespaced and (namespace is not None or everywhere):
        flag = "--all-namespaces" if everywhere else "--namespace"
        raise BadInput(Problem(f"{kind.name} has no namespace", flag, "leave the flag out"))
    if everywhere and namespace is not None:
        raise BadInput(Problem("one namespace and every namespace at once", "--all-namespaces", "give one of the two"))
    if everywhere and names:
        raise BadInput(
            Problem("a name needs one namespace", "--all-namespaces", "use --namespace NAME, or leave the names out")
        )
    if namespace == "":
        raise BadInput(Problem("the namespace is empty", "--namespace", "name one, or use --all-namespaces"))


_PLAIN = Look()


@dataclass(frozen=True, slots=True)
class _Read:
    """What one look at the datastore gave."""

    values: Sequence[Json]
    missing: tuple[Problem, ...] = ()
    revision: str = ""
    look: Look = _PLAIN


async def _read(path: str, kind: ShownKind, namespace: str | None, names: Sequence[str]) -> _Read:
    async with open_datastore(path) as store:
        look = await _look(store) if kind.name == "Node" else _PLAIN
        if not names:
            listing = await store.list(kind.name, namespace=namespace)
            return _Read([entry.value for entry in listing.entries], revision=listing.revision, look=look)
        found: list[Json] = []
        missing: list[Problem] = []
        for name in names:
            try:
                found.append((await store.get(Key(kind.name, name, namespace))).value)
            except NotFound:
                key = Key(kind.name, name, namespace)
                missing.append(Problem(f"{key} does not exist", str(key), f"see `muslin get {kind.name.lower()}`"))
        return _Read(found, tuple(missing), look=look)


async def _look(store: Datastore) -> Look:
    try:
        value = (await store.get(Key("BGPConfiguration", "default"))).value
    except NotFound:
        return _PLAIN
    return Look(text_at(value, "spec", "asNumber") or _PLAIN.cluster_as)


def _exported(value: Json) -> Json:
    metadata = value.get("metadata")
    kept = {name: held for name, held in metadata.items() if name not in _NOT_EXPORTED} if metadata else {}
    return {**value, "metadata": kept}


def _as_printed(kind: ShownKind, names: Sequence[str], values: Sequence[Json], revision: str) -> Any:
    """As calicoctl gives them: one named object alone, several as a list, no names as a List object."""
    if len(names) == 1:
        return values[0]
    if names:
        return list(values)
    return {
        "apiVersion": kind.api_version,
        "kind": f"{kind.name}List",
        "metadata": {"resourceVersion": revision},
        "items": list(values),
    }


def _text(value: Any, output: str) -> str:
    if output == "json":
        return json.dumps(value, indent=2, default=str) + "\n"
    from muslin.yaml.write import dump  # noqa: PLC0415 - only here

    if isinstance(value, Mapping):
        return dump(value)
    # an item of a YAML list is the object's own text, two columns to the right
    texts = ["\n  ".join(dump(each).rstrip("\n").split("\n")) for each in value]
    return "".join(f"- {text}\n" for text in texts)
