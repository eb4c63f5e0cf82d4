"""`datastore migrate --from --to`: everything of one datastore into another, whichever the two are."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from muslin.cli.printing import printable
from muslin.datastore import opening
from muslin.datastore.memory import MemoryDatastore
from muslin.datastore.migrate import migrate
from muslin.datastore.migrate_copy import Progress, born_as, uid_as
from muslin.datastore.migrate_marker import State
from muslin.datastore.migrate_objects import StoreType
from muslin.datastore.migrate_report import End, Left, Report
from muslin.datastore.naming import settings_named
from muslin.datastore.protocol import Datastore
from muslin.datastore.settings import DatastoreSettings, EmbeddedSettings, EtcdSettings, KubernetesSettings

__all__ = ["move"]

_SHOWN = 20
_TYPES = {
    EmbeddedSettings: StoreType.EMBEDDED, EtcdSettings: StoreType.ETCD, KubernetesSettings: StoreType.KUBERNETES,
}  # fmt: skip
_QPS, _BURST = 50.0, 200
"""An API server's usual bound for one client would make a large move take hours; it is used for nothing else now."""


def move(source: str, target: str, *, leave_behind: bool, dry_run: bool) -> int:
    """Move, and print what came of it; gives the exit status."""
    ends = [
        _end(settings_named(source, os.environ, "--from"), make=False, dry_run=dry_run),
        _end(settings_named(target, os.environ, "--to"), make=True, dry_run=dry_run),
    ]
    with _shown() as progress:
        report = asyncio.run(migrate(*ends, leave_behind=leave_behind, dry_run=dry_run, progress=progress))
    for line in _told(report, *ends):
        click.echo(printable(line))
    return 0 if report.complete and not (dry_run and report.losses and not leave_behind) else 1


def _end(settings: DatastoreSettings, *, make: bool, dry_run: bool) -> End:
    if isinstance(settings, KubernetesSettings) and settings.qps == KubernetesSettings().qps:
        settings = replace(settings, qps=_QPS, burst=_BURST)
    missing = isinstance(settings, EmbeddedSettings) and not Path(settings.path).exists()

    @contextlib.asynccontextmanager
    async def opened() -> AsyncIterator[Datastore]:
        if make and dry_run and missing:
            yield MemoryDatastore()  # to look at: empty, as the file would be
            return
        identity: Any = {"now": born_as, "new_uid": uid_as} if make else {}
        async with opening.opened(settings, make=make, **identity) as store:
            yield store

    return End(opening.named(settings), _TYPES[type(settings)], opened)


@contextlib.contextmanager
def _shown() -> Iterator[Progress | None]:
    """A line that moves on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return

    def tell(what: str, done: int, total: int) -> None:
        click.echo(f"\r\x1b[K{what}: {done} of {total}", err=True, nl=False)

    try:
        yield tell
    finally:
        click.echo("\r\x1b[K", err=True, nl=False)


def _told(report: Report, source: End, target: End) -> Iterator[str]:
    if report.state is State.DONE:
        yield f"This migration is complete: everything of {source.name} is in {target.name}, which is unlocked."
        return
    total = sum(report.found.values())
    would = "Would move" if report.dry else "Moved" if report.complete else "Found"
    yield f"{would} {total} objects from {source.name} to {target.name}:"
    yield from (f"  {kind}: {count}" for kind, count in report.found.items())
    if report.state is State.MINE and not report.dry:
        yield f"It had begun before: {sum(report.written.values())} objects were still to be written."
    if report.removed:
        yield f"Removed {len(report.removed)} objects that had been moved, and that the source no longer has."
    yield from _left_lines(report.left)
    if report.dry:
        yield "Nothing was changed."
    elif report.complete:
        yield f"Compared: every object is there. {target.name} is unlocked, {source.name} stays locked."
    else:
        yield from _wrong_lines(report)
        yield f"{target.name} and {source.name} stay locked. Put right what is told above, and repeat the command."


def _left_lines(left: list[Left]) -> Iterator[str]:
    for why, count in Counter(each.why for each in left).items():
        names = [str(each.key) for each in left if each.why is why]
        yield f"Left out {count}: {why.value}" + (":" if why.is_loss else "")
        if why.is_loss:
            yield from (f"  {name}" for name in names[:_SHOWN])
            if len(names) > _SHOWN:
                yield f"  and {len(names) - _SHOWN} more"


def _wrong_lines(report: Report) -> Iterator[str]:
    if report.refused:
        yield f"The destination refused {len(report.refused)} objects:"
    for key, error in list(report.refused.items())[:_SHOWN]:
        yield f"  {key}: {'; '.join(problem.what for problem in error.problems)}"
    if report.differences:
        yield f"Compared: {len(report.differences)} differences:"
    yield from (f"  {each.key}: {each.what}" for each in report.differences[:_SHOWN])
