"""The processes of a lab and their command lines, all in this module. No I/O."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from muslin.lab.state import RUN, StateFolder
from muslin.lab.topology import Topology

__all__ = ["HOSTS", "Process", "cni_socket", "commands", "muslin", "probe", "run_folder"]

HOSTS = RUN / "hosts.json"
"""Names and addresses of pods, for the DNS server."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process that the supervisor starts.

    Attributes:
        name: unique in the lab; its log has this name.
        argv: program and arguments.
        namespace: network namespace it runs in, None for the lab's own empty one.
        environment: added to the supervisor's.
        restart: whether it is started again when it ends.
    """

    name: str
    argv: tuple[str, ...]
    namespace: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    restart: bool = True


def muslin(*arguments: str) -> tuple[str, ...]:
    """A command line of our own program."""
    return (sys.executable, "-m", "muslin.cli.main", *arguments)


def probe(program: str, *arguments: str) -> tuple[str, ...]:
    """A command line of one of `muslin.lab.probes`, such as `echo`, started without what it does not need."""
    return (sys.executable, "-IS", str(Path(__file__).parent / "probes" / f"{program}.py"), *arguments)


def run_folder(node: str) -> Path:
    """Sockets of a node's processes."""
    return RUN / node


def cni_socket(node: str) -> Path:
    """Where a node's agent takes CNI requests."""
    return run_folder(node) / "muslin-cni.sock"


def commands(topology: Topology, state: StateFolder) -> tuple[Process, ...]:
    """Every process, in the order in which they start; they stop in the reverse one."""
    processes: list[Process] = []
    if topology.bare:
        return ()
    for node in topology.nodes:
        run = run_folder(node.name)
        speaker = muslin("speaker", "--socket", str(run / "speaker.sock"))
        agent = muslin("agent", "--node", node.name, "--datastore", str(state.datastore), "--run-dir", str(run))
        processes.append(Process(f"speaker-{node.name}", speaker, node.name))
        processes.append(Process(f"agent-{node.name}", agent, node.name))
    mirror, wake = str(state.mirror), str(RUN / "reconciler.sock")
    fetch = muslin("fetch", "--repository", str(state.repository), "--allow-local", "--mirror", mirror, "--poke", wake)
    processes.append(Process("fetcher", fetch))
    reconcile = muslin("reconcile", "--mirror", mirror, "--datastore", str(state.datastore), "--wake", wake)
    processes.append(Process("reconciler", reconcile))
    return tuple(processes)
