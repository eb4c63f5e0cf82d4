"""`muslin history`: what reconcilers have done to a cluster, when, and whose commit it was."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from muslin.cli.options import Reach, reaching
from muslin.cli.printing import printable, short_commit
from muslin.cli.tables import plain_table

if TYPE_CHECKING:
    from reconciler.operating.history import Record

__all__ = ["history"]


@click.command()
@click.option("--set", "set_name", metavar="NAME", default="default", show_default=True, help="Whose history.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many of the latest records.")
@click.option("--object", "wanted", metavar="KIND NAME", help="Only of this object, for example 'IPPool pods'.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@reaching
def history(set_name: str, limit: int, wanted: str | None, output: str, reach: Reach) -> int:
    r"""Show what the reconciler has done, the latest last.

    Commits that came into force, were held or taken back, drift that was repaired, objects that failed.

    WHO is the commit's author as the commit says; only a signature proves it.

    \b
    muslin history --datastore lab.db
    muslin history --set prod --limit 100 -o json | jq '.records[] | select(.event == "CommitHeld")'

    Exit status 0, also where nothing is remembered.
    """
    found = asyncio.run(_records(reach, set_name))
    shown = [each for each in found if wanted is None or each.object == wanted][-limit:]
    if output == "json":
        content = [{name: value for name, value in asdict(each).items() if value is not None} for each in shown]
        click.echo(json.dumps({"version": 1, "set": set_name, "records": content}, indent=2))
    elif not shown:
        click.echo(f"Nothing is remembered of set {printable(set_name)}.")
    else:
        click.echo(_table(shown))
    return 0


async def _records(reach: Reach, set_name: str) -> Sequence[Record]:
    from reconciler.operating.history import records  # noqa: PLC0415 - after wrong usage is told

    async with reach.store(gate=False) as store:
        return await records(store, set_name)


def _table(shown: Sequence[Record]) -> str:
    rows = [
        [each.at, each.event, short_commit(each.commit) if each.commit else "-", each.who or "-", each.message]
        for each in shown
    ]
    return plain_table(["AT", "EVENT", "COMMIT", "WHO", "WHAT"], rows)
