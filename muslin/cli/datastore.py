"""`datastore`: locks a cluster's datastore, and takes its contents out of one and into another, as calicoctl does.

Further verbs of the group are entries of `DATASTORE_VERBS` and `MIGRATE_VERBS`.
"""

from __future__ import annotations

import asyncio

import click

from muslin.cli.options import Reach, reaching
from muslin.cli.stored import mapping_at
from muslin.cli.verbs import LazyGroup
from muslin.cli.wording import Ended, reference_text
from muslin.datastore.initialize import CLUSTER_INFORMATION, ensure_initialized
from muslin.datastore.lock import set_ready
from muslin.datastore.protocol import Datastore
from muslin.errors import BadInput, MuslinError, Problem

__all__ = ["DATASTORE_VERBS", "MIGRATE_VERBS", "datastore", "is_locked", "lock", "migrate", "unlock"]

DATASTORE_VERBS: dict[str, tuple[str, str]] = {
    "backup": ("muslin.cli.datastore_backup:backup", "Copy the embedded datastore, while it is in use."),
    "restore": ("muslin.cli.datastore_backup:restore", "Put a copy in force again, while it is in use."),
    "check": ("muslin.cli.datastore_check:check", "Find what does not fit together, and repair what is safe."),
    "migrate": ("muslin.cli.datastore:migrate", "Move everything to another datastore; lock, export, import, unlock."),
}
MIGRATE_VERBS: dict[str, tuple[str, str]] = {
    "lock": ("muslin.cli.datastore:lock", "Stop the cluster from working on what changes."),
    "unlock": ("muslin.cli.datastore:unlock", "Let it work again."),
    "export": ("muslin.cli.datastore_export:export", "Print everything that a datastore holds."),
    "import": ("muslin.cli.datastore_import:import_", "Write what was exported into another datastore."),
}


@click.command(cls=LazyGroup, verbs=DATASTORE_VERBS)
def datastore() -> None:
    r"""Look after a datastore as a whole.

    \b
    muslin datastore check
    muslin datastore backup today.db
    """


@click.command(cls=LazyGroup, verbs=MIGRATE_VERBS, invoke_without_command=True, no_args_is_help=True)
@click.option("--from", "source", metavar="DATASTORE", help="Where from.")
@click.option("--to", "target", metavar="DATASTORE", help="Where to: nothing of Calico's may be there.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be moved, and what has no place there.")
@click.option("--leave-behind", is_flag=True, help="Let go what has no place there.")
@click.pass_context
def migrate(
    context: click.Context, source: str | None, target: str | None, *, dry_run: bool, leave_behind: bool
) -> int | None:
    r"""Take the contents of a datastore to another one: in one go, or step by step as calicoctl does.

    A DATASTORE is a file (of the embedded datastore, a CalicoAPIConfig, a kubeconfig), embedded:FILE, etcd:URL,URL,
    kubernetes, or kubernetes:KUBECONFIG@CONTEXT. Both are locked meanwhile; at the end every object is compared, and
    the new one unlocked. It may be interrupted at any point: repeat the command.

    \b
    muslin datastore migrate --from lab.db --to etcd:http://192.0.2.10:2379 --dry-run
    muslin datastore migrate --from lab.db --to etcd:http://192.0.2.10:2379

    \b
    muslin datastore migrate lock
    muslin datastore migrate export > everything.yaml
    muslin datastore migrate import -f everything.yaml --config new.cfg
    muslin datastore migrate unlock --config new.cfg

    Exit status: 0 moved (also if it was before), 1 not all of it, 2 nothing was begun.
    """
    if context.invoked_subcommand is not None:
        if source is not None or target is not None:
            raise BadInput(Problem("--from and --to stand without another word", "migrate", "leave one of them out"))
        return None
    if source is None or target is None:
        missing = "--from" if source is None else "--to"
        raise BadInput(Problem(f"{missing} is missing", "migrate", "give both: where from, and where to"))
    from muslin.cli.datastore_move import move  # noqa: PLC0415 - the other verbs do without

    return move(source, target, leave_behind=leave_behind, dry_run=dry_run)


@click.command()
@reaching
def lock(reach: Reach) -> None:
    r"""Lock the datastore: nodes accept no new pods and no new configuration until `unlock`. Traffic goes on.

    It does not keep anybody from writing.

    \b
    muslin datastore migrate lock

    Exit status: 0 locked (also if it was before), 1 the datastore refused.
    """
    asyncio.run(_set(reach, ready=False))
    click.echo("Datastore locked.")


@click.command()
@reaching
def unlock(reach: Reach) -> None:
    r"""Unlock the datastore: nodes work again.

    \b
    muslin datastore migrate unlock

    Exit status: 0 unlocked (also if it was before), 1 the datastore refused.
    """
    asyncio.run(_set(reach, ready=True))
    click.echo("Datastore unlocked.")


async def _set(reach: Reach, *, ready: bool) -> None:
    async with reach.store() as store:
        try:
            await ensure_initialized(store)
        except MuslinError as error:
            line = f"Unable to initialize cluster information for the datastore migration: {reference_text(error)}"
            raise Ended(line, error.problems) from error
        try:
            await set_ready(store, ready=ready)
        except MuslinError as error:
            word = "unlocking" if ready else "locking"
            line = f"Error updating ClusterInformation for {word}: {reference_text(error)}"
            raise Ended(line, error.problems) from error


async def is_locked(store: Datastore) -> bool:
    """Whether somebody locked the datastore. Raises Ended where that can't be told."""
    try:
        found = await store.get(CLUSTER_INFORMATION)
    except MuslinError as error:
        said = f"Error retrieving ClusterInformation: {reference_text(error)}"
        raise Ended(f"error while checking if datastore was locked: {said}", error.problems) from error
    return mapping_at(found.value, "spec").get("datastoreReady") is False
