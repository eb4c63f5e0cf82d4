"""Moves everything from one datastore to another, whichever the two are, so that it may be killed and repeated.

Look at both; lock the source; claim the destination; copy kind by kind in the order of what needs what; list both anew
and compare; unlock the destination. Every step is compare-and-swap from what is there, so a repetition goes on where
the last one stopped. The source is only ever locked, never written otherwise, and stays locked at the end.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Final

from muslin.datastore import migrate_marker as marker
from muslin.datastore.initialize import CLUSTER_INFORMATION
from muslin.datastore.lock import spec_of
from muslin.datastore.migrate_copy import Progress, Way, compare, copy, everything, kinds_of
from muslin.datastore.migrate_marker import Cluster, State
from muslin.datastore.migrate_objects import StoreType, is_of_the_store
from muslin.datastore.migrate_report import End, Report
from muslin.datastore.protocol import Datastore, Entry, NotFound
from muslin.errors import BadInput, MuslinError, Problem

__all__ = ["migrate"]

_PASSES: Final = 3
"""A lock keeps nobody from writing: what the source's users still wrote during a pass is taken over by the next."""
_SHOWN: Final = 20


async def migrate(
    source: End, target: End, *, leave_behind: bool = False, dry_run: bool = False, progress: Progress | None = None
) -> Report:
    """Move everything.

    Args:
        source: where from; stays as it is, locked.
        target: where to; must have nothing of Calico's, or an interrupted run of the same migration.
        leave_behind: go on although some objects have no place there.
        dry_run: only look.
        progress: is told how far it is.

    Returns:
        What was done. Unless it is `complete`, the destination stays locked and the command is to be repeated.

    Raises:
        BadInput: the destination is in use, or something would be lost; nothing was moved.
        Unavailable: a store does not answer; repeat.
    """
    async with source.open() as from_, target.open() as to:
        way = Way(source, target, from_, to, Report(dry=dry_run), progress or _quietly)
        report = way.report
        await _look(way)
        if dry_run:
            return report
        _refuse_losses(report, leave_behind=leave_behind)
        cluster = await marker.lock_source(from_, lambda: uuid.uuid4().hex)
        try:
            report.state = await _claimed(way, cluster)
        except MuslinError:
            if cluster.was_ready:
                await marker.unlock_source(from_)
            raise
        if report.state is State.DONE:
            return report
        way = replace(way, still_ours=lambda: marker.check_claim(to, cluster))
        for _ in range(_PASSES):
            await copy(way)
            await compare(way)
            if not report.differences:
                break
        if report.complete:
            await marker.finish(to, cluster)
        return report


def _quietly(_what: str, _done: int, _total: int) -> None:
    """Tell nobody."""


async def _look(way: Way) -> None:
    """What there is to move, without writing anything."""
    here, there = await _information(way.from_), await _information(way.to)
    if here is not None and there is not None:
        guid = str(spec_of(here.value).get("clusterGUID") or "")
        way.report.state = marker.state_of(there.value, Cluster(marker.number_of(here.value), guid, here.value))
        if way.report.state is State.FREE and _uid(here) and _uid(here) == _uid(there):
            what = "both ends are the same datastore, or one is a copy of the other"
            raise BadInput(Problem(what, f"{way.source.name}, {way.target.name}", "name another destination"))
    if way.report.state is State.FREE:
        await _refuse_full(way)
    await way.to_move("looking")


def _refuse_losses(report: Report, *, leave_behind: bool) -> None:
    losses = report.losses
    if not losses or leave_behind:
        return
    fix = "delete it or give it a place there, or let it go with --leave-behind"
    problems = [Problem(f"{each.key} would be lost: {each.why.value}", str(each.key), fix) for each in losses[:_SHOWN]]
    if len(losses) > _SHOWN:
        problems.append(Problem(f"and {len(losses) - _SHOWN} more objects would be lost", "the source", fix))
    raise BadInput(problems)


async def _refuse_full(way: Way) -> None:
    """What is there already would be mixed with what comes. Raises BadInput."""
    for kind in await kinds_of(way.to, way.target.type):
        async for entry in everything(way.to, kind):
            if not is_of_the_store(entry.key, way.target.type, way.source.type):
                fix = "move into a datastore that has nothing of Calico's; `muslin get` shows what is there"
                raise BadInput(Problem(f"the destination is in use: there is {entry.key}", way.target.name, fix))


async def _claimed(way: Way, cluster: Cluster) -> State:
    """Make the destination ours. Raises BadInput where it is in use."""
    found = await _information(way.to)
    state = marker.state_of(None if found is None else found.value, cluster)
    if state is State.ANOTHERS:
        what = "the destination holds an unfinished migration of another cluster"
        raise BadInput(Problem(what, way.target.name, "repeat that one to its end, or empty the destination"))
    if state is State.FREE:
        await _refuse_full(way)
    if state is not State.DONE:
        await marker.claim(way.to, cluster, found, kubernetes=way.target.type is StoreType.KUBERNETES)
    return state


async def _information(store: Datastore) -> Entry | None:
    try:
        return await store.get(CLUSTER_INFORMATION)
    except NotFound:
        return None


def _uid(entry: Entry) -> object:
    metadata = entry.value.get("metadata")
    return metadata.get("uid") if isinstance(metadata, dict) else None
