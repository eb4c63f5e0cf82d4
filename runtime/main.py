"""The agent as a process: makes the real kernel, datastore, speaker link and CNI socket, and runs the agent."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import random
import shutil
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from muslin.datastore.opening import open_store
from muslin.datastore.settings import DatastoreSettings
from muslin.errors import BadInput, KernelRefused, MuslinError, Problem
from muslin.net import InterfaceAddress
from muslin.semantics.felix_meaning import contradictions
from muslin.semantics.felix_sources import Files, Local, resolve
from muslin.semantics.felix_texts import felix_environment, felix_file
from muslin.semantics.mtu import node_pod_mtu
from runtime.agent import Agent, Parts
from runtime.bgp.client import SpeakerClient
from runtime.calc.state import NodeState
from runtime.cni.attach import Attacher
from runtime.cni.endpoints import Attachment
from runtime.cni.server import Handler, Server
from runtime.convergence import Kernel
from runtime.dataplane.conntrack import Conntrack
from runtime.dataplane.netlink.socket import ROUTE, NetlinkSocket
from runtime.dataplane.nftables import Nftables
from runtime.dataplane.protocol import Watched
from runtime.dataplane.routes import Routes
from runtime.dataplane.ruleset import compile_ruleset
from runtime.host import HostSettings, find_address, host_addresses, mtu_of
from runtime.pod_addresses import PodAddresses
from runtime.pod_links import PodLinks
from runtime.probe_namespaces import PodNamespaces
from runtime.probe_sockets import PodAsker
from runtime.probing import Probing
from runtime.registration import NodeIdentity
from runtime.speaker_side import SpeakerSide

__all__ = ["Settings", "main"]

_REPAIR_AFTER_S = 0.2
_GARBAGE_AFTER = 20_000
"""New objects before the collector looks for cycles among them; its default of 700 is a few pods' worth."""
_SWITCH_S = 0.0003
"""Threads that wire pods need the interpreter for microseconds between two requests to the kernel, and would wait for a
busy loop 5 ms each time."""
_WAKE_AFTER_S = 0.016
"""A pod costs several writes, which other processes take together; they must know of one within 20 ms."""
_SAY_THE_MTU = ("FelixConfiguration", "IPPool", "Node", "ClusterInformation")
_LOOK_AFTER_S = 0.005
"""Events of the kernel come in bursts (a new link tells five times); one look serves those of this time."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How an agent is started.

    Attributes:
        node: its name.
        datastore: which one, and how it is reached.
        run_dir: where its sockets are: `speaker.sock` (the speaker's) and `muslin-cni.sock` (ours).
        address: of the BGP speaker with its subnet's length; None: the first one found.
        labels: put on the Node.
        felix_file: settings of the machine, as Calico's agent has them; need not exist.
    """

    node: str
    datastore: DatastoreSettings
    run_dir: Path
    address: InterfaceAddress | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    felix_file: Path = Path("/etc/calico/felix.cfg")


def main(settings: Settings) -> None:
    """Run an agent until SIGTERM or SIGINT. Raises MuslinError where it can't begin."""
    asyncio.run(_run(settings))


def _local_settings(settings: Settings) -> Local:
    """What environment and file say. Raises BadInput if something in them can't be meant."""
    try:
        text = settings.felix_file.read_text(encoding="utf-8")
    except FileNotFoundError:
        text = ""
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            Problem(f"it can't be read: {error}", str(settings.felix_file), "correct or remove it")
        ) from error
    local = Local(
        felix_environment(os.environ),
        felix_file(text, str(settings.felix_file)),
        settings.node,
        Files(os.path.exists, shutil.which),
    )
    found = resolve(local)
    problems = [*(bad.problem for bad in found.fatal), *contradictions(found)]
    if problems:
        raise BadInput(problems)
    return local


async def _run(settings: Settings) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    local = _local_settings(settings)
    settings.run_dir.mkdir(parents=True, exist_ok=True)
    netlink = NetlinkSocket(ROUTE)
    address = settings.address or find_address(netlink)
    network_mtu = mtu_of(netlink, address)
    kernel_settings = HostSettings()
    kernel_settings.repair()
    datastore = await open_store(settings.datastore, wake_after_s=_WAKE_AFTER_S)
    ruleset, routes, conntrack = Nftables(), Routes(), Conntrack()
    if ruleset.read().table is None:
        # A workload that runs already must not be open until the first snapshot: without our table everything passes.
        ruleset.converge(compile_ruleset(NodeState(settings.node, "0")))
    client = SpeakerClient(settings.run_dir / "speaker.sock")

    def on_problem(problem: Problem) -> None:
        _log("session left out", what=problem.what, where=problem.where, fix=problem.fix)

    agent = Agent(
        NodeIdentity(settings.node, address, settings.labels, local),
        Parts(
            datastore,
            Kernel(ruleset, routes, conntrack, lambda: host_addresses(netlink)),
            SpeakerSide(client, IPv4Address(str(address.ip)), on_problem),
        ),
        now=lambda: datetime.now(UTC),
        random=random.Random(),  # noqa: S311 - jitter
        log=_log,
    )

    async def policy_ready(attachment: Attachment) -> None:
        await agent.convergence.enforced(attachment.interface, attachment.addresses, attachment.mac)

    mtus: dict[int, int] = {}

    def mtu() -> int:
        version = agent.mirror.version(_SAY_THE_MTU)
        if version not in mtus:
            mtus.clear()
            mtus[version] = node_pod_mtu(agent.snapshot, settings.node, network_mtu, local)
        return mtus[version]

    links = PodLinks()
    attacher = Attacher(
        settings.node,
        datastore,
        addresses=PodAddresses(
            settings.node, datastore, snapshot=lambda: agent.snapshot, now=lambda: datetime.now(UTC)
        ),
        links=links,
        policy_ready=policy_ready,
        expecting=agent.convergence.expecting,
        mtu=mtu,
        seen=agent,
    )
    namespaces = PodNamespaces(settings.run_dir / "pods", attacher.handle)
    probing = Probing(
        settings.node,
        datastore,
        PodAsker(namespaces.path_of),
        snapshot=lambda: agent.snapshot,
        applied=agent.applied,
        on_failure=_probes_failed,
    )
    agent.on_applied = probing.applied_moved
    endings = [
        _when_readable(loop, watched.fileno(), partial(_look, watched, agent), _LOOK_AFTER_S)
        for watched in (ruleset, routes)
    ]
    endings.append(_when_readable(loop, kernel_settings.fileno(), partial(_repair, kernel_settings), _REPAIR_AFTER_S))
    _log("started", node=settings.node, address=str(address), mtu=network_mtu)
    running = asyncio.create_task(
        agent.run(
            client.run(), _speaker_moves(client, agent), _serve_pods(agent, settings, namespaces.handle), probing.run()
        )
    )
    stopped = asyncio.create_task(stop.wait())
    gc.freeze()
    gc.set_threshold(_GARBAGE_AFTER, *gc.get_threshold()[1:])
    sys.setswitchinterval(_SWITCH_S)
    try:
        await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
    finally:
        for task in (running, stopped):
            task.cancel()
        await asyncio.gather(running, stopped, return_exceptions=True)
        for end in endings:
            end()
        for each in (ruleset, routes, kernel_settings):
            each.close()
        conntrack.close()
        links.close()
        netlink.close()
        await datastore.close()
        _log("stopped", node=settings.node)


def _when_readable(
    loop: asyncio.AbstractEventLoop, fileno: int, look: Callable[[], None], after_s: float
) -> Callable[[], None]:
    """Call `look` so long after something has come, once for all that has come until then; gives what ends that."""
    pending: asyncio.TimerHandle | None = None

    def readable() -> None:
        nonlocal pending
        loop.remove_reader(fileno)
        pending = loop.call_later(after_s, due)

    def due() -> None:
        nonlocal pending
        pending = None
        loop.add_reader(fileno, readable)
        look()

    def stop() -> None:
        loop.remove_reader(fileno)
        if pending is not None:
            pending.cancel()

    loop.add_reader(fileno, readable)
    return stop


def _look(watched: Watched, agent: Agent) -> None:
    if watched.drain():
        agent.convergence.look_again()


def _repair(settings: HostSettings) -> None:
    if not settings.drain():
        return
    try:
        repaired = settings.repair()
    except KernelRefused as error:
        _log("failed", what=error.problems[0].what, where=error.problems[0].where, fix=error.problems[0].fix)
        return
    if repaired:
        _log("put right", what="somebody changed settings that pods need", where=", ".join(repaired[:5]),
             fix="see which program writes them")  # fmt: skip


async def _speaker_moves(client: SpeakerClient, agent: Agent) -> None:
    async for _ in client.changes():
        agent.speaker_moved()


async def _serve_pods(agent: Agent, settings: Settings, handle: Handler) -> None:
    """CNI requests, once there is a snapshot to answer from."""
    await agent.mirror.in_sync()
    server = Server(settings.run_dir / "muslin-cni.sock", handle)
    await server.start()
    _log("pods are taken", socket=str(settings.run_dir / "muslin-cni.sock"))
    try:
        await asyncio.Event().wait()
    finally:
        with contextlib.suppress(asyncio.CancelledError):
            await server.close()


def _probes_failed(error: BaseException, retry_s: float | None) -> None:
    problem = error.problems[0] if isinstance(error, MuslinError) else Problem(repr(error), "probes", "tell us")
    _log("probe not answered", what=problem.what, where=problem.where, fix=problem.fix, retry_s=retry_s)


def _log(event: str, **fields: Any) -> None:
    line = {"at": f"{datetime.now(UTC):%FT%T.%fZ}", "event": event, **fields}
    print(json.dumps(line, default=str), file=sys.stderr, flush=True)  # noqa: T201 - the log
