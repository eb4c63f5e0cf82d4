"""The stage of the demo: the lab that its steps work on, what they leave for each other, and how they run things."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from blueprints.decision import Blueprint
from muslin.lab import verbs
from muslin.lab.demo.check import Check
from muslin.lab.demo.cluster import Cluster
from muslin.lab.demo.flows import Flow, Idle
from muslin.lab.demo.repository import Clone
from muslin.lab.processes import probe
from muslin.lab.state import StateFolder
from muslin.lab.topology import Topology

__all__ = ["ECHO", "SPEAK", "Demo", "Step"]

ECHO, SPEAK = 7, 8
"""Ports of the pod `server`: it answers on one, and speaks first on the other."""


@dataclass(slots=True)
class Demo:
    """A lab with its cluster, and what the steps leave for each other.

    `say` prints a line for people; `show` prints whatever else there is to see (a table, a problem).
    """

    topology: Topology
    state: StateFolder
    cluster: Cluster
    clone: Clone
    say: Callable[[str], None]
    show: Callable[[Any], None]
    blueprint: Blueprint | None = None
    addresses: dict[str, str] = field(default_factory=dict)
    flows: list[Flow] = field(default_factory=list)
    idle: Idle | None = None

    @property
    def lab(self) -> str:
        """Name of the lab."""
        return self.topology.name

    def node(self, number: int) -> str:
        """Name of a node, counted from 0 and round."""
        return self.topology.nodes[number % len(self.topology.nodes)].name

    async def ask(self, op: str, **arguments: Any) -> dict[str, Any]:
        """Ask the lab's supervisor."""
        return await asyncio.to_thread(verbs.ask, self.lab, op, **arguments)

    async def starts(self) -> dict[str, int]:
        """Mapping[process, how often it was started]."""
        return {each["name"]: each["starts"] for each in (await self.ask("status"))["processes"]}

    async def run(self, where: str, *argv: str) -> Any:
        """Run a command in a place of the lab; gives what `subprocess.run` gives."""
        return await asyncio.to_thread(verbs.execute, self.lab, where, argv, capture=True, timeout_s=10)

    async def ping(self, pod: str, address: str, *options: str) -> int:
        """How many of three pings were answered."""
        done = await self.run(pod, "ping", "-n", "-c", "3", "-i", "0.05", "-W", "1", *options, address)
        return int(done.stdout.count("bytes from"))

    async def lookup(self, pod: str, name: str) -> str:
        """The address that the cluster's DNS gives a pod for a name; empty if none."""
        done = await self.run(pod, *probe("lookup", self.addresses["dns"], name))
        return str(done.stdout).strip()


@dataclass(frozen=True, slots=True)
class Step:
    """One step: what it is about, and the function that does it."""

    title: str
    run: Callable[[Demo], Awaitable[Sequence[Check]]]
