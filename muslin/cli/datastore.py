"""`datastore`: locks a cluster's datastore, and takes its contents out of one and into another, as calicoctl does.

Further verbs of the group are entries of `DATASTORE_VERBS` and `MIGRATE_VERBS`.
"""

from __future__ import annotations

import asyncio
from typing import Any

import click

from muslin.cli.options import Reach, reaching
from muslin.cli.stored import mapping_at
from muslin.cli.verbs import LazyGroup
from muslin.cli.wording import Ended, reference_text
from muslin.datastore.initialize import CLUSTER_INFORMATION, ensure_initialized
from muslin.datastore.protocol import Conflict, Datastore
from muslin.errors import MuslinError, Problem, Unavailable

__all__ = ["DATASTORE_VERBS", "MIGRATE_VERBS", "datastore", "is_locked", "lock", "migrate", "set_ready", "unlock"]

DATASTORE_VERBS: dict[str, tuple[str, str]] = {
    "migrate": ("muslin.cli.datastore:migrate", "Lock, export, import, unlock."),
}
MIGRATE_VERBS: dict[str, tuple[str, str]] = {
    "lock": ("muslin.cli.datastore:lock", "Stop the cluster from working on what changes."),
    "unlock": ("muslin.cli.datastore:unlock", "Let it work again."),
    "export": ("muslin.cli.datastore_export:export", "Print everything that a datastore holds."),
    "import": ("muslin.cli.datastore_import:import_", "Write what was exported into another datastore."),
}
_TRIES = 5


@click.command(cls=LazyGroup, verbs=DATASTORE_VERBS)
def datastore() -> None:
    r"""Look after a datastore as a whole.

    \b
    muslin datastore migrate lock
    """


@click.command(cls=LazyGroup, verbs=MIGRATE_VERBS)
def migrate() -> None:
    r"""Take the contents of a datastore to another one: lock, export, import, look, unlock.

    \b
    muslin datastore migrate lock
    muslin datastore migrate export > everything.yaml
    muslin datastore migrate import -f everything.yaml --config new.cfg
    muslin datastore migrate unlock --config new.cfg
    """


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


async def set_ready(store: Datastore, *, ready: bool) -> None:
    """Write `datastoreReady` into the cluster's ClusterInformation. Raises Unavailable where others always win."""
    for _ in range(_TRIES):
        found = await store.get(CLUSTER_INFORMATION)
        spec: dict[str, Any] = dict(mapping_at(found.value, "spec"))
        if spec.get("datastoreReady") is ready:
            return
        try:
            await store.update(
                CLUSTER_INFORMATION, {**found.value, "spec": spec | {"datastoreReady": ready}}, found.revision
            )
        except Conflict:
            continue
        return
    raise Unavailable(Problem("ClusterInformation changes all the time", str(CLUSTER_INFORMATION), "try again"))


async def is_locked(store: Datastore) -> bool:
    """Whether somebody locked the datastore. Raises Ended where that can't be told."""
    try:
        found = await store.get(CLUSTER_INFORMATION)
    except MuslinError as error:
        said = f"Error retrieving ClusterInformation: {reference_text(error)}"
        raise Ended(f"error while checking if datastore was locked: {said}", error.problems) from error
    return mapping_at(found.value, "spec").get("datastoreReady") is False
