"""`version`: what this program is, and what the cluster says that it is."""

from __future__ import annotations

import asyncio
import importlib.metadata

import click

from muslin.cli.options import Reach, reaching
from muslin.cli.printing import printable
from muslin.cli.stored import text_at
from muslin.cli.version_gate import CALICO_VERSION
from muslin.cli.wording import Ended, first_line
from muslin.errors import BadInput, MuslinError, Problem
from muslin.resources.keys import Key

__all__ = ["version"]


@click.command()
@click.option("--client", is_flag=True, help="Only this program's version; asks no datastore.")
@click.option("--poll", metavar="DURATION", default="", help="Look again and again, such as every 10s; tells changes.")
@reaching
def version(*, client: bool, poll: str, reach: Reach) -> None:
    r"""Show the release of Calico that this program speaks, and the cluster's version and type.

    \b
    muslin version --client
    muslin version --poll 10s

    Exit status 1 if the cluster can't be asked.
    """
    every_s = _seconds(poll)
    click.echo(f"Client Version:    {CALICO_VERSION}")
    click.echo(f"Git commit:        muslin-{importlib.metadata.version('muslin')}")
    if client:
        return
    told: tuple[str, str] = ("", "")
    while True:
        try:
            told = _tell(asyncio.run(_cluster(reach)), told)
        except MuslinError as error:
            line = f"Unable to retrieve Cluster Version or Type: {first_line(error)}"
            if not every_s:
                raise Ended(line, error.problems, input_=isinstance(error, BadInput)) from error
            told = ("", "")
            click.echo(printable(line), err=True)
        if not every_s:
            return
        asyncio.run(asyncio.sleep(every_s))


def _seconds(text: str) -> float:
    if not text or text == "0":
        return 0.0
    from muslin.resources.durations import parse_duration  # noqa: PLC0415 - only with --poll

    try:
        return max(parse_duration(text).seconds, 0.0)
    except ValueError as error:
        line = f"Invalid poll duration specified: {text}"
        raise Ended(line, Problem(line, "--poll", "for example 10s or 1m30s"), input_=True) from error


async def _cluster(reach: Reach) -> tuple[str, str]:
    async with reach.store(gate=False) as store:
        value = (await store.get(Key("ClusterInformation", "default"))).value
    return text_at(value, "spec", "calicoVersion") or "unknown", text_at(value, "spec", "clusterType") or "unknown"


def _tell(found: tuple[str, str], before: tuple[str, str]) -> tuple[str, str]:
    if found[0] != before[0]:
        click.echo(printable(f"Cluster Version:   {found[0]}"))
    if found[1] != before[1]:
        click.echo(printable(f"Cluster Type:      {found[1]}"))
    return found
