"""`muslin node status`: the table of BGP sessions that the reference architecture shows."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from muslin.cli.bird import FOLDERS, BirdFault, ask
from muslin.cli.options import Reach, reaching
from muslin.cli.printing import printable
from muslin.cli.stored import mapping_at, mappings_at, text_at
from muslin.cli.tables import boxed_table
from muslin.cli.verbs import LazyGroup
from muslin.cli.wording import Ended
from muslin.datastore.protocol import NotFound
from muslin.errors import BadInput, Failed, MuslinError, Problem
from muslin.resources.keys import Key

__all__ = ["bird_runs", "node", "status"]

_KINDS_OF_PEER = {"NodeMesh": "node-to-node mesh", "NodePeer": "node specific", "GlobalPeer": "global"}
_NOT_RUNNING = "Calico process is not running."
_HEADINGS = ("PEER ADDRESS", "PEER TYPE", "STATE", "SINCE", "INFO")


_BELOW = {
    "status": ("muslin.cli.node:status", "The node's BGP sessions."),
    "diags": ("muslin.cli.node_files:diags", "Collect diagnostics of this host."),
    "checksystem": ("muslin.cli.node_files:checksystem", "Check what this host's kernel has."),
}


@click.command(cls=LazyGroup, verbs=_BELOW)
def node() -> None:
    r"""Look at one node.

    \b
    muslin node status --node node1
    sudo muslin node diags
    """


@click.command()
@click.option("--node", "name", envvar="NODENAME", help="Which node, as its agent reported. [NODENAME, else this host]")
@reaching
def status(name: str | None, reach: Reach) -> None:
    r"""Show the node's BGP sessions: those of BIRD, where it runs on this host, else as the agent last reported.

    STATE is `up` for an established session; INFO is the session's state in the words of BGP (RFC 4271).

    \b
    muslin node status
    muslin node status --node node1 --datastore lab.db

    Exit status 1 if a session is not established, or the agent has not reported.
    """
    if name is None and bird_runs():
        _of_bird()
        return
    name = name or socket.gethostname()
    value = asyncio.run(_read(reach, name))
    if any(text_at(each, "state") == "Ready" for each in mapping_at(value, "status", "agent").values()):
        click.echo("Calico process is running.")
    else:
        click.echo("Calico process is not ready.")
    down = 0
    for family, field in (("IPv4", "peersV4"), ("IPv6", "peersV6")):
        click.echo(f"\n{family} BGP status")
        rows = [_row(peer) for peer in mappings_at(value, "status", "bgp", field)]
        down += sum(row[2] != "up" for row in rows)
        click.echo(boxed_table(_HEADINGS, rows) if rows else f"No {family} peers found.")
    click.echo(f"\nNode {printable(name)}, reported {printable(text_at(value, 'status', 'lastUpdated') or 'never')}")
    if down:
        raise Failed(
            Problem(
                f"{down} BGP session(s) of {name} not established",
                f"CalicoNodeStatus {name}",
                "check that the peer's speaker runs, that TCP port 179 passes, and that the AS numbers agree",
            )
        )


def bird_runs() -> bool:
    """Whether BIRD's control socket is on this host: then upstream Calico's node runs here."""
    return any(Path(folder, name).is_socket() for folder in FOLDERS for name in ("bird.ctl", "bird6.ctl"))


def _of_bird() -> None:
    click.echo("Calico process is running.")
    for version in (4, 6):
        click.echo(f"\nIPv{version} BGP status")
        try:
            peers = ask(version)
        except BirdFault as fault:
            click.echo(printable(f"Error querying BIRD: {fault}"))
            continue
        rows = [[peer.address, peer.kind, peer.state, peer.since, peer.info] for peer in peers]
        click.echo(boxed_table(_HEADINGS, rows) if rows else f"No IPv{version} peers found.")
    click.echo()


def _row(peer: Mapping[str, Any]) -> list[str]:
    state, kind = text_at(peer, "state"), text_at(peer, "type")
    return [
        text_at(peer, "peerIP"),
        _KINDS_OF_PEER.get(kind, kind),
        "up" if state == "Established" else "start",
        _clock(text_at(peer, "since")),
        state,
    ]


def _clock(since: str) -> str:
    """The time of day here if it was today, else the date, as BIRD prints it; other texts stay."""
    try:
        when = datetime.fromisoformat(since).astimezone()
    except (ValueError, OverflowError):
        return since
    today = datetime.now().astimezone().date()
    return when.strftime("%H:%M:%S") if when.date() == today else when.date().isoformat()


async def _read(reach: Reach, name: str) -> Mapping[str, Any]:
    """What the agent reported. Raises `Ended` with calicoctl's line, which looks for the process on this host alone."""
    try:
        async with reach.store(gate=False) as store:
            return (await store.get(Key("CalicoNodeStatus", name))).value
    except NotFound:
        problem = Problem(
            f"no agent has reported for node {name!r}",
            f"CalicoNodeStatus {name}",
            "check the name (muslin get nodes) and that its agent runs",
        )
        raise Ended(_NOT_RUNNING, problem) from None
    except MuslinError as error:
        raise Ended(_NOT_RUNNING, error.problems, input_=isinstance(error, BadInput)) from error
