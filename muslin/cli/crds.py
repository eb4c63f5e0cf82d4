"""`muslin crds` and `muslin schema`: our kinds as Kubernetes and as editors want to be told of them."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

import click

from muslin.errors import BadInput, Problem
from muslin.resources.admission import admission_objects
from muslin.resources.crd_kinds import CUSTOM_KINDS
from muslin.resources.crds import definition, definitions
from muslin.resources.json_schema import json_schema
from muslin.resources.registry import KINDS, kind_by_alias
from muslin.yaml.write import dump_documents

__all__ = ["crds", "schema"]


@click.command()
@click.argument("kinds", metavar="[KIND]...", nargs=-1)
@click.option(
    "--admission",
    type=click.Choice(["v1", "v1beta1", "none"]),
    default="v1",
    show_default=True,
    help="Version of the admission policies after the definitions; they are not printed with KIND.",
)
@click.option("-o", "--output", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True)
def crds(kinds: tuple[str, ...], admission: str, output: str) -> None:
    r"""Print the CustomResourceDefinitions of projectcalico.org/v3, and the admission policies beside them.

    Without KIND all of them are printed. The policies fill in what a policy's author may leave out (its directions, its
    tier's label) and keep the built-in tiers. They need Kubernetes 1.36; clusters that are older take v1beta1, where it
    is enabled, or none. Node, WorkloadEndpoint and Profile have no definition: they are views of Kubernetes' own
    objects.

    \b
    muslin crds | kubectl apply --server-side -f -
    muslin crds --admission none > crds.yaml
    muslin crds ippool tier

    Exit status: 0 printed, 2 there is no such kind.
    """
    objects = [definition(_kind(word, CUSTOM_KINDS)) for word in kinds] if kinds else _all_objects(admission)
    if output == "json":
        listed = {"apiVersion": "v1", "kind": "List", "items": objects}
        click.echo(json.dumps(listed, indent=2, ensure_ascii=False))
    else:
        click.echo(dump_documents(objects), nl=False)


@click.command()
@click.argument("kinds", metavar="[KIND]...", nargs=-1)
def schema(kinds: tuple[str, ...]) -> None:
    r"""Print a JSON Schema of manifests, for editors: completion, explanations, and mistakes marked as they are made.

    Without KIND it is one schema for all of them; a file may hold several kinds. It knows fields, types and values.
    Rules over several fields are in the explanations alone: `muslin validate` checks them. KIND `cluster` is the file
    of facts that `muslin explain` reads.

    \b
    muslin schema > muslin.schema.json
    muslin schema ippool bgppeer
    muslin schema cluster > cluster.schema.json

    \b
    In a manifest, for the YAML language server (VS Code, Neovim, Helix, ...):
    # yaml-language-server: $schema=./muslin.schema.json

    Exit status: 0 printed, 2 there is no such kind.
    """
    if [word.lower() for word in kinds] == ["cluster"]:
        from blueprints.schema import facts_schema  # noqa: PLC0415 - nobody else pays for it

        click.echo(json.dumps(facts_schema(), indent=1, ensure_ascii=False))
        return
    chosen = [_kind(word, KINDS) for word in kinds] or None
    click.echo(json.dumps(json_schema(chosen), indent=1, ensure_ascii=False))


def _all_objects(admission: str) -> list[dict[str, Any]]:
    from muslin.datastore.kubernetes.own_kinds import own_definitions  # noqa: PLC0415 - the client is not for the others

    found = definitions() + own_definitions()
    return found if admission == "none" else found + admission_objects(admission)


def _kind(word: str, known: Collection[str]) -> str:
    kind = kind_by_alias(word)
    if kind is None or kind not in known:
        what = f"there is no kind {word!r}" if kind is None else f"{kind} has no definition"
        raise BadInput(Problem(what, "KIND", f"use one of {', '.join(known)}"))
    return kind
