"""`muslin node status`: the table of BGP sessions that the reference architecture shows."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import click

from muslin.cli.options import datastore_option, open_datastore
from muslin.cli.tables import boxed_table, console
from muslin.datastore.protocol import NotFound
from muslin.errors import Failed, Problem
from muslin.resources.keys import Key

__all__ = ["node"]

_KINDS_OF_PEER = {"NodeMesh": "node-to-node mesh", "NodePeer": "node specific", "GlobalPeer": "global"}


@click.group()
def node() -> None:
    """Look at one node."""


@node.command()
@click.option("--node", "name", default=socket.gethostname, show_default="this host's name", help="Which node.")
@datastore_option
def status(name: str, datastore: str) -> None:
    """Show the node's BGP sessions, as its agent last reported them.

    Exit status 1 if a session is not established, or the agent has not reported.
    """
    value = asyncio.run(_read(datastore, name))
    report: Mapping[str, Any] = value.get("status") or {}
    bgp: Mapping[str, Any] = report.get("bgp") or {}
    out = console()
    out.print(f"Node {name}, reported {report.get('lastUpdated', 'never')}\n")
    down = 0
    for family, peers in (("IPv4", bgp.get("peersV4") or ()), ("IPv6", bgp.get("peersV6") or ())):
        out.print(f"{family} BGP status")
        if not peers:
            out.print(f"No {family} peers found.\n")
            continue
        rows = []
        for peer in peers:
            up = peer.get("state") == "Established"
            down += not up
            rows.append(
                [
                    str(peer.get("peerIP", "")),
                    _KINDS_OF_PEER.get(str(peer.get("type")), str(peer.get("type", ""))),
                    "up" if up else "start",
                    _clock(str(peer.get("since", ""))),
                    str(peer.get("state", "")),
                ]
            )
        out.print(boxed_table(["PEER ADDRESS", "PEER TYPE", "STATE", "SINCE", "INFO"], rows))
        out.print()
    if down:
        raise Failed(
            Problem(
                f"{down} BGP session(s) of {name} not established",
                f"CalicoNodeStatus {name}",
                "check that the peer's speaker runs, that TCP port 179 passes, and that the AS numbers agree",
            )
        )


def _clock(since: str) -> str:
    """The time of day if it was today, else the date, as BIRD prints it."""
    try:
        when = datetime.fromisoformat(since)
    except ValueError:
        return since
    return when.strftime("%H:%M:%S") if when.date() == datetime.now(UTC).date() else when.date().isoformat()


async def _read(path: str, name: str) -> Mapping[str, Any]:
    async with open_datastore(path) as store:
        try:
            return (await store.get(Key("CalicoNodeStatus", name))).value
        except NotFound:
            raise Failed(
                Problem(
                    f"no agent has reported for node {name!r}",
                    f"CalicoNodeStatus {name}",
                    "check the name (muslin get nodes) and that its agent runs",
                )
            ) from None
