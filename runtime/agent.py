"""Composition root of a node: mirror, loop, speaker, pods, report. Everything it uses is handed in or made here once.

Start: register the node, wait for the first full snapshot, only then converge the kernel. Stop, in whatever way: the
kernel stays as it is, and the next start finds it by its marks.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from random import Random
from types import MappingProxyType
from typing import Protocol

from muslin.conversion.endpoint_name import EndpointName
from muslin.datastore.mirror import Mirror
from muslin.datastore.protocol import Datastore, Revision
from muslin.errors import MuslinError, Problem, Unavailable
from muslin.net import Address, Prefix
from muslin.resources.cluster_information import ClusterInformation
from muslin.resources.keys import Key
from muslin.resources.node import Node
from muslin.semantics.routes import node_interface_address
from muslin.semantics.snapshot import Snapshot
from reconciler.loop import Backoff, Loop
from runtime.batches import Batches, Hold
from runtime.calc.state import Route, RouteClass
from runtime.convergence import Applied, Convergence, Kernel
from runtime.convergence import SpeakerSide as ConvergenceSpeaker
from runtime.node_status import ReportedRoute, ReportedSession, node_status_object, report
from runtime.registration import NodeIdentity, register

__all__ = ["MIRRORED", "Agent", "Log", "Parts", "Speaker"]

MIRRORED = (
    "ClusterInformation", "FelixConfiguration", "BGPConfiguration", "BGPPeer", "IPPool", "IPReservation",
    "IPAMConfiguration", "Node", "Tier", "Profile", "GlobalNetworkPolicy", "NetworkPolicy", "GlobalNetworkSet",
    "NetworkSet", "HostEndpoint", "WorkloadEndpoint", "BlockAffinity", "IPAMBlock", "KubernetesNetworkPolicy",
    "KubernetesClusterNetworkPolicy",
)  # fmt: skip
"""Kinds that say what a node must be."""

_REPORT_AFTER_S = 0.05
"""What changes in this time goes into one report: each is a write that every process of the cluster is woken by."""

_REGISTER_AGAIN_S = 1.0
_TELL_AGAIN_S = 60.0
"""A failure that lasts is told once in this time."""

_HELD = (
    "Tier", "GlobalNetworkPolicy", "NetworkPolicy", "GlobalNetworkSet", "NetworkSet", "Profile", "HostEndpoint",
)  # fmt: skip
"""Kinds that come as one push and are written one by one: see `runtime.batches`."""
_PODS = ("WorkloadEndpoint",)
"""This node's own: a pod that comes is not let in by policy that is known to be old."""
_HURRIED = tuple(kind for kind in MIRRORED if kind not in (*_HELD, *_PODS, "IPAMBlock"))
_ELSEWHERE = "WorkloadEndpoint elsewhere"
_FREE = (*_HURRIED, "IPAMBlock", _ELSEWHERE)
_UNHURRIED_S = 0.02
"""Blocks, and endpoints of other nodes, wait so long for more of their sort, unless something urgent takes them along.
They change for every pod of the cluster, mostly many at a time; and what this node's own pods wait for goes first."""

Log = Callable[..., None]
"""`log(event, **fields)`: one line for people and machines."""


class Speaker(ConvergenceSpeaker, Protocol):
    """The speaker's side, with what the node reports of it."""

    @property
    def speaking(self) -> bool:
        """Whether a speaker is there."""
        ...

    def peer_of(self, prefix: Prefix) -> Address | None:
        """Who said that it has this prefix."""
        ...

    def sessions(self) -> tuple[ReportedSession, ...]:
        """Sessions as a person reads them."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What an agent is made of."""

    datastore: Datastore
    kernel: Kernel
    speaker: Speaker


class Agent:
    """One node's agent.

    Args:
        identity: which node.
        parts: datastore, kernel and speaker.
        now: wall clock, for what people read.
        random: where jitter comes from.
        log: where events go.
    """

    def __init__(
        self, identity: NodeIdentity, parts: Parts, *, now: Callable[[], datetime], random: Random, log: Log
    ) -> None:
        self._identity, self._parts, self._now, self._random, self._log = identity, parts, now, random, log
        self._group = _groups(identity.name)
        self.mirror = Mirror(
            parts.datastore, MIRRORED, on_failure=self._on_failure, on_return=self._on_return,
            group=self._group,
        )  # fmt: skip
        self.convergence = Convergence(
            identity.name,
            kernel=parts.kernel,
            speaker=parts.speaker,
            random=random,
            on_applied=self._on_applied,
            on_failure=self._on_failure,
            here=identity.address,
            local=identity.local,
        )
        self._reporting = Loop(
            self._report,
            random=random,
            backoff=Backoff(first_s=0.2, limit_s=5.0),
            retryable=(Unavailable, MuslinError),
            on_failure=self._on_failure,
        )
        self._registering = Loop(
            self._stay_registered,
            random=random,
            backoff=Backoff(first_s=0.1, limit_s=5.0),
            retryable=(MuslinError,),
            on_failure=self._on_failure,
        )
        self.on_applied: Callable[[], None] = lambda: None
        """Called after each step that went through."""
        self._batches = Batches(parts.datastore, random=random, moved=self._look)
        self._hold = Hold(self.mirror.has_seen)
        self._news = asyncio.Event()
        self._later: asyncio.TimerHandle | None = None
        self._whole: Snapshot | None = None
        self._policy = self._pods = self._others = 0
        self._registered: Revision | None = None
        self._told: dict[Problem, float] = {}
        self._problems: dict[Key, tuple[Problem, ...]] = {}
        self._left_out: frozenset[Problem] = frozenset()

    def ready(self) -> bool:
        """See `runtime.cni.attach.Seen`."""
        information = self.snapshot.get(ClusterInformation, "default")
        return self.mirror.unavailable is None and information is not None and information.spec.datastore_ready is True

    def endpoint(self, key: Key) -> bool:
        """See `runtime.cni.attach.Seen`."""
        return key in self.mirror

    @property
    def snapshot(self) -> Snapshot:
        """The latest copy of the datastore."""
        return self.mirror.snapshot

    def applied(self) -> Revision | None:
        """The revision of the datastore whose meaning the kernel has, None before the first."""
        applied = self.convergence.applied
        return None if applied is None else Revision(applied.state.revision)

    def speaker_moved(self) -> None:
        """The speaker said something: routes or sessions may be different."""
        self.convergence.look_again()
        self._reporting.wake()

    async def run(self, *services: Awaitable[None]) -> None:
        """Run until cancelled, with these services beside (CNI, speaker link). Raises what ends one of them."""
        await self._register()
        self.mirror.start()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._hear())
                group.create_task(self._follow())
                group.create_task(self._batches.run())
                group.create_task(self.convergence.run())
                group.create_task(self._reporting.run())
                group.create_task(self._registering.run())
                for service in services:
                    group.create_task(_await(service))
        finally:
            with contextlib.suppress(asyncio.CancelledError):
                await self.mirror.close()

    async def _register(self) -> None:
        failures = 0
        backoff = Backoff(first_s=0.1, limit_s=5.0)
        while True:
            try:
                self._registered = (await register(self._parts.datastore, self._identity)).revision
            except MuslinError as error:
                failures += 1
                delay = backoff.delay(failures, self._random)
                self._on_failure(error, delay)
                await asyncio.sleep(delay)
            else:
                return

    async def _hear(self) -> None:
        async for _ in self.mirror.changes():
            self._look()

    def _look(self) -> None:
        """The copy, or what reconcilers say, is different."""
        self._news.set()

    async def _follow(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            if self.mirror.version(MIRRORED):
                self._take()

    def _take(self) -> None:
        """Hand on what has changed; policy only when all is here that belongs together."""
        mirror, loop, whole = self.mirror, asyncio.get_running_loop(), self._whole
        policy, pods, others = mirror.version(_HELD), mirror.version(_PODS), mirror.version(_FREE)
        until = None
        if whole is not None and policy > self._policy:
            until = self._hold.until(
                policy, loop.time(), self._batches.known, heard=self._batches.heard, pods=pods > self._pods
            )
        if self._later is not None:
            self._later.cancel()
        self._later = loop.call_at(until, self._look) if until is not None else None
        urgent = mirror.version(_HURRIED) > self._others
        if whole is None or until is None:
            urgent = urgent or policy > self._policy or pods > self._pods
            if whole is None or urgent or others > self._others:
                self._policy, self._pods, self._whole = policy, pods, mirror.snapshot
                self._hand_on(self._whole, urgent=urgent)
        elif others > self._others:
            self._hand_on(self._with_policy_of(whole), urgent=urgent)
        self._others = others

    def _with_policy_of(self, former: Snapshot) -> Snapshot:
        """The latest, with policy and our pods as they were; and so of the former's revision."""
        held = {*_HELD, *_PODS}
        kept = {key: it for key, it in former.resources.items() if self._group(key) in held}
        others = {key: it for key, it in self.mirror.snapshot.resources.items() if self._group(key) not in held}
        return Snapshot(MappingProxyType({**others, **kept}), former.revision)

    def _hand_on(self, snapshot: Snapshot, *, urgent: bool) -> None:
        self._tell_problems()
        self.convergence.take(snapshot, within_s=0.0 if urgent else _UNHURRIED_S)
        if self._strayed():
            self._registering.wake()

    def _strayed(self) -> bool:
        """Whether our Node is gone, or no longer says our address: others would lose their way to our pods."""
        identity = self._identity
        node = self.snapshot.get(Node, identity.name)
        return node is None or node_interface_address(node, identity.address.version) != identity.address

    async def _stay_registered(self) -> None:
        """Put our Node right where somebody wrote it; not faster than people, in case another agent has our name."""
        if self._registered is None or not self._strayed():
            return
        entry = await register(self._parts.datastore, self._identity)
        if entry.revision != self._registered:
            self._registered = entry.revision
            self._log(
                "put right", what="our Node did not say our address", where=str(entry.key), fix="see who wrote it"
            )
            await asyncio.sleep(_REGISTER_AGAIN_S)
            self._registering.wake()

    def _tell_problems(self) -> None:
        """Objects that cannot be read, each once as long as it stays the same."""
        problems = dict(self.mirror.problems)
        for key, found in problems.items():
            if self._problems.get(key) != found:
                for problem in found:
                    self._log(
                        "object ignored", object=str(key), what=problem.what, where=problem.where, fix=problem.fix
                    )
        self._problems = problems

    def _on_applied(self, applied: Applied) -> None:
        for problem in applied.problems:
            if problem not in self._left_out:
                self._log("left out", what=problem.what, where=problem.where, fix=problem.fix)
        self._left_out = frozenset(applied.problems)
        self._reporting.wake()
        self.on_applied()

    def _on_failure(self, error: BaseException, retry_s: float | None) -> None:
        if isinstance(error, MuslinError):
            now = asyncio.get_running_loop().time()
            self._told = {problem: at for problem, at in self._told.items() if now - at < _TELL_AGAIN_S}
            for problem in error.problems:
                if problem not in self._told:
                    self._told[problem] = now
                    old = {"datastore_silent_s": round(self.mirror.age_s, 1)} if self.mirror.unavailable else {}
                    self._log("failed", what=problem.what, where=problem.where, fix=problem.fix, retry_s=retry_s, **old)
        else:
            self._log("failed", what=repr(error), retry_s=retry_s)

    def _on_return(self, silent_s: float) -> None:
        """What was in force stayed in force meanwhile; from now on it is the datastore's again."""
        self._told.clear()
        self._log("datastore answers again", datastore_silent_s=round(silent_s, 1))

    async def _report(self) -> None:
        await asyncio.sleep(_REPORT_AFTER_S)
        applied = self.convergence.applied
        if applied is None:
            return
        routes = [_reported(route, None) for route in applied.state.routes if route.route_class is RouteClass.WORKLOAD]
        routes += [
            ReportedRoute(prefix, next_hop, None, self._parts.speaker.peer_of(prefix))
            for prefix, next_hop in applied.learnt.items()
        ]
        value = node_status_object(
            self._identity.name,
            self._parts.speaker.sessions(),
            sorted(routes, key=lambda route: (route.prefix.version, route.prefix)),
            applied.state.revision,
            f"{self._now():%FT%TZ}",
            speaking=self._parts.speaker.speaking,
        )
        await report(self._parts.datastore, value)


def _groups(node: str) -> Callable[[Key], str]:
    """Of a change: its kind, and whether it is about another node's endpoint."""
    ours = EndpointName(node).text(prefix=True)

    def group(key: Key) -> str:
        elsewhere = key.kind == "WorkloadEndpoint" and not key.name.startswith(ours)
        return _ELSEWHERE if elsewhere else key.kind

    return group


def _reported(route: Route, learnt_from: Address | None) -> ReportedRoute:
    return ReportedRoute(route.prefix, route.next_hop, route.interface, learnt_from)


async def _await(service: Awaitable[None]) -> None:
    await service
