"""`muslin init`: the file of facts, from what kubeadm or Kubernetes knows and from what a person answers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from blueprints import catalogue, draft, facts, found
from muslin import yaml
from muslin.cli.blueprint import only_document, read_text
from muslin.cli.init_cluster import facts_of_cluster, facts_of_text
from muslin.cli.init_questions import Questions
from muslin.cli.printing import printable
from muslin.errors import BadInput, Failed, Problem

__all__ = ["init"]


@click.command()
@click.option("--from-kubeadm", metavar="FILE", help="Take ranges and names from a kubeadm configuration.")
@click.option("--from-cluster", is_flag=True, help="Ask a Kubernetes API server for nodes and ranges; reads only.")
@click.option("--context", metavar="NAME", help="With --from-cluster: context of the kubeconfig.")
@click.option("--out", "path", type=click.Path(path_type=Path), default=Path("cluster.yaml"), show_default=True)
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@click.option("--defaults", is_flag=True, help="Do not ask: take the defaults. Nodes must be known then.")
def init(
    *, from_kubeadm: str | None, from_cluster: bool, context: str | None, path: Path, force: bool, defaults: bool
) -> None:
    r"""Write the file of facts that `explain` and `render` read. Asks for what is not known; Enter takes the default.

    \b
    muslin init                              ask for everything
    muslin init --from-kubeadm kubeadm.yaml  take ranges from there, ask for more
    muslin init --from-cluster --defaults    take nodes and ranges that run

    Exit status: 0 written, 1 the file could not be written or the API server did not answer, 2 what was read or
    answered is wrong.
    """
    if path.exists() and not force:
        raise BadInput(Problem("there is a file of this name already", str(path), "give --force, or another --out"))
    known: dict[str, Any] = {}
    if from_cluster:
        known = found.merged(known, asyncio.run(facts_of_cluster(context)))
    if from_kubeadm is not None:
        known = found.merged(known, facts_of_text(read_text(from_kubeadm), from_kubeadm))
    asked = {**known, **Questions(known, ask=not defaults).answers()}
    try:
        whole = facts.load(draft.document(asked), file=str(path))
    except BadInput:
        _write(path, draft.text(asked))
        click.echo(f"what was read and answered is kept in {printable(str(path))}: correct it there", err=True)
        raise _with_places(path, asked) from None
    if as_it_runs := draft.kept(whole):
        asked["overrides"] = as_it_runs
        whole = facts.load(draft.document(asked), file=str(path))
    asked["blueprint"] = draft.fitting(whole)
    _write(path, draft.text(asked))
    name = printable(str(path))
    click.echo(f"{name} is written; next:\n  muslin explain {name}\n  muslin render {name} --out .")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        what = f"the file can't be written: {error.strerror}"
        raise Failed(Problem(what, str(path), "check the folder and its rights")) from error


def _with_places(path: Path, asked: Mapping[str, Any]) -> BadInput:
    """Everything that is wrong with the file that was written, where it stands in it."""
    document = only_document(yaml.load(draft.text(asked).encode(), str(path)), str(path))
    try:
        catalogue.decide_document(document.value, document.places, str(path))
    except BadInput as wrong:
        return wrong
    raise AssertionError("what was refused is not any more")
