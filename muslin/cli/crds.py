"""`muslin crds`: the definitions that make Kubernetes serve our kinds, as YAML for `kubectl apply`."""

from __future__ import annotations

import json
from typing import Any

import click

from muslin.errors import BadInput, Problem
from muslin.resources.admission import admission_objects
from muslin.resources.crd_kinds import CUSTOM_KINDS
from muslin.resources.crds import definition
from muslin.resources.registry import kind_by_alias
from muslin.yaml.write import dump_documents

__all__ = ["crds"]


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
    objects = [definition(kind) for kind in map(_kind, kinds)] if kinds else all_objects(admission)
    if output == "json":
        listed = {"apiVersion": "v1", "kind": "List", "items": objects}
        click.echo(json.dumps(listed, indent=2, ensure_ascii=False))
    else:
        click.echo(dump_documents(objects), nl=False)


def all_objects(admission: str) -> list[dict[str, Any]]:
    """Every definition, and the admission policies in this version or none."""
    definitions = [definition(kind) for kind in CUSTOM_KINDS]
    return definitions if admission == "none" else definitions + admission_objects(admission)


def _kind(word: str) -> str:
    kind = kind_by_alias(word)
    if kind is None or kind not in CUSTOM_KINDS:
        what = f"there is no kind {word!r}" if kind is None else f"{kind} has no definition"
        raise BadInput(Problem(what, "KIND", f"use one of {', '.join(CUSTOM_KINDS)}"))
    return kind
