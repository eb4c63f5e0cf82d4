"""`muslin render`: a blueprint's resources as YAML files, or what upstream Calico is installed with as decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import click

from blueprints.emit import DECISIONS_FILE, decisions_text
from blueprints.emit import render as rendered
from muslin.cli.blueprint import facts_and_decisions
from muslin.cli.printing import printable
from muslin.cli.render_stages import in_stage, left_over
from muslin.errors import BadInput, Failed, Problem

__all__ = ["render", "write_files"]

_TARGETS: Final = ("muslin", "operator", "manifests")
_ELSEWHERE: Final = {
    "pulumi": (
        "Pulumi's programs take the facts themselves and write no files",
        "run one of the stacks in stacks/, or use muslin.pulumi.ReferenceNetwork in a program of your own",
    ),
    "kubernetes": (
        "this version does not deploy Muslin's own agents on Kubernetes",
        "use --for operator or --for manifests, which run upstream Calico with the same decisions",
    ),
}
"""Mapping[target that somebody may look for, (why not, what instead)]."""


@click.command()
@click.argument("cluster", metavar="CLUSTER.YAML")
@click.option("--out", "folder", type=click.Path(path_type=Path), help="Write files here. Default: print them.")
@click.option("--blueprint", help="Which blueprint. Default: the file's own, else the one that fits.")
@click.option("--group", "groups", multiple=True, help="Only this group of files, such as `network`. Repeatable.")
@click.option(
    "--for",
    "target",
    metavar="TARGET",
    default="muslin",
    show_default=True,
    help="muslin: Calico's resources. operator, manifests: what upstream Calico is installed with.",
)
@click.option("--stage", type=int, help="Files as they are in this stage, where what runs must not change at once.")
@click.option("--calico-version", metavar="VERSION", help="Of upstream Calico, such as v3.32.1; for those two.")
def render(
    *,
    cluster: str,
    folder: Path | None,
    blueprint: str | None,
    groups: tuple[str, ...],
    target: str,
    stage: int | None,
    calico_version: str | None,
) -> None:
    r"""Write the resources that follow from CLUSTER.YAML, with the decisions as comments, and DECISIONS.md.

    Files that a blueprint does not write are left alone; those it writes are replaced. Groups of files are meant to be
    pushed one after the other: DECISIONS.md names them in order.

    With --for operator or --for manifests, write what upstream Calico is installed with instead: the resources are the
    same for both, and belong into another folder than these files.

    \b
    muslin render cluster.yaml                    print everything
    muslin render cluster.yaml --group network    print one group
    muslin render cluster.yaml --out .            write files, then:
    muslin plan . --datastore lab.db
    git add . && git commit -m "the network as decided" && git push
    muslin render cluster.yaml --for operator --out ../install

    Where the facts say what runs, and it must not change at once, files are written a stage at a time: --stage 1, push,
    wait for what DECISIONS.md says, --stage 2, and so on.

    Exit status: 0 written, 1 a file could not be written, 2 the cluster file is wrong or refused.
    """
    _known_target(target)
    if target == "muslin" and calico_version is not None:
        raise BadInput(Problem("resources are the same for every version", "--calico-version", "leave it out"))
    if target != "muslin" and stage is not None:
        raise BadInput(Problem("what upstream is installed with has no stages", "--stage", "leave it out"))
    texts = (
        _resources(cluster, blueprint, groups, stage, writing=folder is not None)
        if target == "muslin"
        else _upstream(target, cluster, blueprint, groups, calico_version)
    )
    if folder is None:
        for path, text in texts.items():
            click.echo(f"# ---- {path}\n{text}", nl=False)
        return
    for written in write_files(folder, dict(texts)):
        click.echo(printable(str(written)))
    if target == "muslin" and not groups:
        for stale in left_over(folder, texts):
            click.echo(f"warning: {printable(str(stale))} is not written any more; git rm it, or it holds on", err=True)


def _known_target(target: str) -> None:
    if target in _TARGETS:
        return
    what, fix = _ELSEWHERE.get(target, (f"there is no target {target!r}", f"one of {', '.join(_TARGETS)}"))
    raise BadInput(Problem(what, "--for", fix))


def _resources(
    cluster: str, blueprint: str | None, groups: tuple[str, ...], stage: int | None, *, writing: bool
) -> Mapping[str, str]:
    decided = in_stage(facts_and_decisions(cluster, blueprint)[1], stage, writing=writing)
    known = [group.name for group in decided.groups]
    unknown = [name for name in groups if name not in known]
    if unknown:
        raise BadInput(Problem(f"there is no group {unknown[0]!r}", "--group", f"one of {', '.join(known)}"))
    return rendered(decided, groups or None)


def _upstream(
    target: str, cluster: str, blueprint: str | None, groups: tuple[str, ...], version: str | None
) -> Mapping[str, str]:
    from blueprints.upstream import manifests, operator  # noqa: PLC0415 - only for these targets
    from blueprints.upstream.network import CALICO_VERSION, network  # noqa: PLC0415

    if groups:
        raise BadInput(Problem(f"--for {target} has no groups of files", "--group", "leave it out"))
    decided = network(*facts_and_decisions(cluster, blueprint), version=version or CALICO_VERSION, file=cluster)
    files = {"operator": operator.files, "manifests": manifests.files}[target](decided)
    of_files = replace(decided.blueprint, groups=(), procedures=())  # these are about resources
    return {DECISIONS_FILE: decisions_text(of_files), **files}


def write_files(folder: Path, texts: dict[str, str]) -> list[Path]:
    """Write each text to its path below the folder, which is made if needed. Raises Failed."""
    written = []
    for name, text in texts.items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise Failed(
                Problem(f"the file can't be written: {reason}", str(path), "check the folder and its rights")
            ) from error
        written.append(path)
    return written
