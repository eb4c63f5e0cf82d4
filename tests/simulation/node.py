"""A node: machine, agent, speaker, and the container runtime that attaches pods through the agent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Address, ip_interface
from random import Random
from typing import Any

from muslin.datastore.memory import MemoryDatastore
from muslin.errors import MuslinError, Problem
from muslin.net import Address
from runtime.agent import Agent, Parts
from runtime.bgp.client import SpeakerClient
from runtime.bgp.core import Speaker
from runtime.bgp.speaker import Shell
from runtime.cni.answer import Answer
from runtime.cni.attach import Attacher
from runtime.cni.endpoints import Attachment
from runtime.cni.request import decode
from runtime.cni.server import PodNamespace
from runtime.pod_addresses import PodAddresses
from runtime.probing import Asker, Probing
from runtime.registration import NodeIdentity
from runtime.speaker_side import SpeakerSide
from tests.runtime.cni.frames import NETWORK, payload
from tests.simulation.machine import Machine, SystemCalls
from tests.simulation.processes import Killed, Process
from tests.simulation.wires import Internet, Port, pipe

__all__ = ["Node", "PodName", "Surroundings"]

_NAMESPACE = PodNamespace(-1, None)  # type: ignore[arg-type]  # the fake links look at no descriptor
_EPOCH_S = 1_800_000_000.0


@dataclass(frozen=True, slots=True, order=True)
class PodName:
    """A pod, and the labels that policies see."""

    namespace: str
    name: str
    app: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all nodes share.

    Attributes:
        internet: between the nodes.
        client: makes a datastore client for a process.
        random: every further source of randomness.
        tell: one line for the trace.
        processes: every process that was ever started.
        fault: something ended that must not.
        asker: what happens to a probe's packet; None: agents answer no probes, as those of yesterday.
    """

    internet: Internet
    client: Callable[[str], MemoryDatastore]
    random: Random
    tell: Callable[[str], None]
    processes: list[Process]
    fault: Callable[[str], None]
    asker: Asker | None = None


def wall_clock() -> datetime:
    """Virtual time as a date."""
    return datetime.fromtimestamp(_EPOCH_S + asyncio.get_running_loop().time(), UTC)


class Node:
    """One node. Its processes come and go; its machine stays."""

    def __init__(self, name: str, address: str, around: Surroundings) -> None:
        self.name, self.address, self._around = name, ip_interface(address).ip, around
        self._interface = ip_interface(address)
        self.machine = Machine(self.address)
        self.agent: Agent | None = None
        self.agent_process: Process | None = None
        self.speaker_process: Process | None = None
        self._attacher: Attacher | None = None
        self._calls: SystemCalls | None = None
        self._shell: Shell | None = None
        self._was_in_sync = False
        self._pods_taken = False

    # -- processes

    def start_agent(self) -> None:
        """Start the agent, if it is not there."""
        if self.agent_process is None or not self.agent_process.alive:
            process = self._process("agent")
            self.agent_process, self._pods_taken = process, False
            self._watch(process, process.spawn(self._agent(process)))

    def start_speaker(self) -> None:
        """Start the speaker, if it is not there."""
        if self.speaker_process is None or not self.speaker_process.alive:
            process = self.speaker_process = self._process("speaker")
            process.on_death.append(lambda: self._around.internet.gone(process))
            process.run(self._make_speaker, process)

    def hear(self) -> None:
        """The agent gets to know what somebody did to the kernel by hand."""
        if self._calls is not None and self.agent_process is not None and self.agent_process.alive:
            self.agent_process.run(self._calls.heard)

    def _process(self, kind: str) -> Process:
        process = Process(f"{self.name} {kind}")
        self._around.processes.append(process)
        self._around.tell(f"{process.name} starts")
        process.on_death.append(lambda: self._around.tell(f"{process.name} dies"))
        return process

    def _watch(self, process: Process, task: asyncio.Task[None]) -> None:
        def ended(task: asyncio.Task[None]) -> None:
            if process.alive and not task.cancelled():
                self._around.fault(f"{process.name} ended: {task.exception()!r}")

        task.add_done_callback(ended)

    def _make_speaker(self, process: Process) -> None:
        def in_sync() -> None:
            self._was_in_sync = True

        core = Speaker(Random(self._around.random.random()), restarted=self._was_in_sync, epoch_s=_EPOCH_S)
        say = self._around.tell
        self._shell = Shell(
            core,
            Port(self._around.internet, process, self.address),
            on_in_sync=in_sync,
            say=lambda event, **fields: say(f"{process.name}: {event} {fields}"),
        )

    async def _reach_speaker(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        speaker, agent, shell = self.speaker_process, self.agent_process, self._shell
        if speaker is None or agent is None or shell is None or not speaker.alive:
            raise ConnectionRefusedError("no speaker")
        mine, theirs = pipe(self._around.random, agent, speaker)
        self._watch_quietly(speaker.spawn(shell.serve_agent(*theirs)))
        return mine

    @staticmethod
    def _watch_quietly(task: asyncio.Task[None]) -> None:
        task.add_done_callback(lambda task: None if task.cancelled() else task.exception())

    async def _agent(self, process: Process) -> None:
        """What `runtime.main` puts together, over this machine."""
        around, client = self._around, SpeakerClient(self._reach_speaker)

        def on_problem(problem: Problem) -> None:
            around.tell(f"{process.name}: {problem.what}")

        def log(event: str, **fields: Any) -> None:
            around.tell(f"{process.name}: {event} {fields.get('what', '')} {fields.get('object', '')}")

        def look_again() -> None:
            agent.convergence.look_again()

        calls = SystemCalls(self.machine, process, look_again)
        datastore = around.client(process.name)
        agent = Agent(
            NodeIdentity(self.name, self._interface, {}),
            Parts(datastore, calls.kernel, SpeakerSide(client, IPv4Address(str(self.address)), on_problem)),
            now=wall_clock,
            random=Random(around.random.random()),
            log=log,
        )

        async def policy_ready(attachment: Attachment) -> None:
            await agent.convergence.enforced(attachment.interface, attachment.addresses, attachment.mac)

        async def speaker_moves() -> None:
            async for _ in client.changes():
                agent.speaker_moved()

        async def take_pods() -> None:
            await agent.mirror.in_sync()
            self._pods_taken = True

        self.agent, self._calls = agent, calls
        self._attacher = Attacher(
            self.name,
            datastore,
            addresses=PodAddresses(self.name, datastore, snapshot=lambda: agent.snapshot, now=wall_clock),
            links=calls,
            policy_ready=policy_ready,
            mtu=lambda: 1500,
        )
        services = [client.run(), speaker_moves(), take_pods()]
        if around.asker is not None:
            probing = Probing(
                self.name, around.client(process.name), around.asker, snapshot=lambda: agent.snapshot,
                applied=agent.applied, on_failure=lambda error, _: around.tell(f"{process.name}: probes: {error}"),
            )  # fmt: skip
            agent.on_applied = probing.applied_moved
            services.append(probing.run())
        await agent.run(*services)

    # -- the container runtime's side of CNI

    async def cni(self, command: str, pod: PodName, container: str) -> Answer | None:
        """One execution of the plugin; None where it failed, or the agent died or was not there."""
        process, attacher = self.agent_process, self._attacher
        if process is None or not process.alive or attacher is None or not self._pods_taken:
            return None
        identity = {"namespace": pod.namespace, "name": pod.name, "labels": {"app": pod.app}}
        frame = payload(
            {**NETWORK, "pod": identity}, command=command, containerid=container, netns=f"/run/netns/{container}"
        )
        answered: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()

        def answer(value: Answer | None) -> None:
            if not answered.done():
                answered.set_result(value)

        def ended(task: asyncio.Task[Answer]) -> None:
            error = None if task.cancelled() else task.exception()
            if error is None and not task.cancelled():
                answer(task.result())
                return
            if not isinstance(error, MuslinError | Killed) and not task.cancelled():
                self._around.fault(f"{process.name}: {command} of {pod.name} raised {error!r}")
            self._around.tell(f"{process.name}: {command} {pod.name} failed: {error}")
            answer(None)

        process.on_death.append(lambda: answer(None))
        process.spawn(attacher.handle(decode(frame), _NAMESPACE)).add_done_callback(ended)
        return await answered


def address_in(answer: Answer) -> Address:
    """The pod's address in the answer to ADD."""
    return ip_interface(json.loads(answer.body)["ips"][0]["address"]).ip
