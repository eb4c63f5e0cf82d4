"""`datastore backup` and `datastore restore`: copies of the embedded datastore while it is in use."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from muslin.cli.options import Reach, reaching
from muslin.cli.printing import printable
from muslin.datastore.settings import EmbeddedSettings, KubernetesSettings
from muslin.errors import BadInput, Problem

__all__ = ["backup", "restore"]


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--overwrite", is_flag=True, help="Replace a file of this name.")
@reaching
def backup(file: Path, *, overwrite: bool, reach: Reach) -> None:
    r"""Copy the embedded datastore into FILE: of one instant, checked, whole or not at all. Nobody waits for it.

    \b
    muslin datastore backup /var/backups/muslin.db --datastore /var/lib/muslin/datastore.db

    Exit status: 0 copied, 1 the disk is full or the datastore is damaged, 2 wrong usage.
    """
    from muslin.datastore.backup import back_up  # noqa: PLC0415 - wrong usage is told before
    from muslin.datastore.opening import check  # noqa: PLC0415

    path = _path(reach)
    check(EmbeddedSettings(str(path)))
    copied = back_up(path, file, overwrite=overwrite)
    click.echo(printable(f"Copied {copied.objects} objects of revision {copied.revision} into {file}."))


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--yes", is_flag=True, help="Do not ask.")
@reaching
def restore(file: Path, *, yes: bool, reach: Reach) -> None:
    r"""Put what `backup` copied into FILE in force, in the place of all that the datastore holds now.

    Agents and the reconciler may run: they notice that they must read everything again. Which addresses are in use is
    restored as well: afterwards, `muslin datastore check` tells which pods are younger than the copy.

    \b
    muslin datastore restore /var/backups/muslin.db --datastore /var/lib/muslin/datastore.db

    Exit status: 0 in force, 1 the copy is damaged or the disk full, 2 wrong usage.
    """
    from muslin.datastore import backup as copies  # noqa: PLC0415 - wrong usage is told before

    path = _path(reach)
    held = copies.contents(file)
    if not yes:
        if not sys.stdin.isatty():
            raise BadInput(Problem("nobody is there to be asked", "--yes", "add it, to replace everything there"))
        click.confirm(printable(f"Replace everything in {path} by {held.objects} objects of {file}?"), abort=True)
    restored = copies.restore(file, path)
    click.echo(printable(f"{restored.objects} objects of {file} are in force in {path}."))


def _path(reach: Reach) -> Path:
    settings = reach.settings()
    if isinstance(settings, EmbeddedSettings):
        return Path(settings.path)
    if isinstance(settings, KubernetesSettings):
        fix = "back up the cluster's etcd, or take a copy: muslin datastore migrate export"
    else:
        fix = "etcdctl snapshot save, or take a copy: muslin datastore migrate export"
    raise BadInput(Problem("this is for the embedded datastore only", "--datastore", fix))
