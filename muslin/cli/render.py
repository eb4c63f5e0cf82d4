"""`muslin render`: a blueprint's resources as YAML files, with the decisions as comments."""

from __future__ import annotations

from pathlib import Path

import click

from blueprints.emit import render as rendered
from muslin.cli.blueprint import decide
from muslin.cli.printing import printable
from muslin.errors import BadInput, Failed, Problem

__all__ = ["render", "write_files"]


@click.command()
@click.argument("cluster", metavar="CLUSTER.YAML")
@click.option("--out", "folder", type=click.Path(path_type=Path), help="Write files here. Default: print them.")
@click.option("--blueprint", help="Which blueprint. Default: the file's own, else the one that fits.")
@click.option("--group", "groups", multiple=True, help="Only this group of files, such as `network`. Repeatable.")
def render(cluster: str, folder: Path | None, blueprint: str | None, groups: tuple[str, ...]) -> None:
    r"""Write the resources that follow from CLUSTER.YAML, with the decisions as comments, and DECISIONS.md.

    Files that a blueprint does not write are left alone; those it writes are replaced. Groups of files are meant to be
    pushed one after the other: DECISIONS.md names them in order.

    \b
    muslin render cluster.yaml                    print everything
    muslin render cluster.yaml --group network    print one group
    muslin render cluster.yaml --out .            write files, then:
    muslin plan . --datastore lab.db
    git add . && git commit -m "the network as decided" && git push

    Exit status: 0 written, 1 a file could not be written, 2 the cluster file is wrong or refused.
    """
    decided = decide(cluster, blueprint)
    known = [group.name for group in decided.groups]
    unknown = [name for name in groups if name not in known]
    if unknown:
        raise BadInput(Problem(f"there is no group {unknown[0]!r}", "--group", f"one of {', '.join(known)}"))
    texts = rendered(decided, groups or None)
    if folder is None:
        for path, text in texts.items():
            click.echo(f"# ---- {path}\n{text}", nl=False)
        return
    for written in write_files(folder, dict(texts)):
        click.echo(printable(str(written)))


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
