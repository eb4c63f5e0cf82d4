"""One node's loop: from the latest snapshot and the speaker's routes to the kernel, in the order that opens nothing.

Level-triggered: `take` and `look_again` only note that something may be different; a step computes what must be,
compares it with what is, and writes the difference. Policy goes to the kernel before routes, so that a packet never
finds a way that is not yet guarded; connections that the new policy forbids are cut last.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Protocol

from muslin.errors import Failed, MuslinError, Problem, Unavailable
from muslin.net import Address, InterfaceAddress, Mac, Prefix
from muslin.semantics.felix_sources import Local
from muslin.semantics.reserved import Reserved
from muslin.semantics.snapshot import Snapshot
from reconciler.loop import Backoff, Loop
from runtime.calc.compute import compute
from runtime.calc.ground import Grounds
from runtime.calc.state import NodeState, Route, RouteClass
from runtime.calc.tightening import Suspects, suspects
from runtime.cutting import LOOKS_S, Cutter
from runtime.dataplane.ir import Ruleset
from runtime.dataplane.protocol import ConntrackKernel, RouteKernel, RulesetKernel
from runtime.dataplane.routes import DesiredRoutes
from runtime.dataplane.ruleset import compile_ruleset

__all__ = ["Applied", "Convergence", "Kernel", "SpeakerSide"]

_NOWHERE = Local()
_RESYNC_S = 90.0
"""Look at the kernel even if nobody said anything. Source: Felix's refresh of routes and sets."""

_BREATH_S = 0.02
"""After a step the loop rests as long as the step took, up to this: changes in quick succession (16 pods at once) share
the next step, and what brings them about gets half of the CPU. A change after a quiet time never waits."""


_GATHER_S = 0.03
"""While workloads are being attached a step waits so long at most for all of them to be ready for it."""

_FEWER = 2
"""It waits no longer once those that are ready are so many times as many as those that are not."""


_GONE_S = 0.05
"""So long connections of a pod that went wait for those of others: a look costs the kernel 10 ms, for one or many."""


class SpeakerSide(Protocol):
    """What the BGP speaker has told, and is to be told."""

    def desire(self, state: NodeState) -> None:
        """Hand the speaker its desired state; nothing happens if it has it."""
        ...

    @property
    def routes(self) -> Mapping[Prefix, Address]:
        """Mapping[prefix, next hop]: the best routes; the last known while the speaker is away."""
        ...

    @property
    def in_sync(self) -> bool:
        """Whether a route that is not in `routes` may be taken out of the kernel."""
        ...


@dataclass(frozen=True, slots=True)
class Kernel:
    """The kernel of a node: its packet filter, routes and connection table, and the addresses of the node itself."""

    ruleset: RulesetKernel
    routes: RouteKernel
    conntrack: ConntrackKernel
    host_addresses: Callable[[], Collection[Address]]


@dataclass(frozen=True, slots=True)
class Applied:
    """What the kernel has: the state, the learnt routes that went with it, and what was left out of both.

    Routes on `waiting` interfaces are not there yet, because the interfaces are not.
    """

    state: NodeState
    learnt: Mapping[Prefix, Address]
    problems: tuple[Problem, ...] = ()
    waiting: frozenset[str | None] = frozenset()


class Convergence:
    """Runs the node's loop.

    Args:
        node: name of the node.
        kernel: of the node.
        speaker: the BGP speaker's side.
        random: where jitter comes from.
        on_applied: is told what the kernel has after each step that went through.
        on_failure: is told what went wrong, and in how many seconds it is tried again (None: at the next change).
        here: the node's address as it knows it itself; no object can make it another.
        local: settings of its environment and file.
    """

    def __init__(
        self,
        node: str,
        *,
        kernel: Kernel,
        speaker: SpeakerSide,
        random: Random,
        on_applied: Callable[[Applied], None],
        on_failure: Callable[[BaseException, float | None], None],
        here: InterfaceAddress | None = None,
        local: Local = _NOWHERE,
    ) -> None:
        self._node, self._here, self._local = node, here, local
        self._kernel = kernel
        self._speaker = speaker
        self._on_applied = on_applied
        self._snapshot: Snapshot | None = None
        self._later: asyncio.TimerHandle | None = None
        self._coming = 0
        self._waiting = 0
        self._held: asyncio.TimerHandle | None = None
        self._computed: tuple[Snapshot, NodeState, Ruleset] | None = None
        self._grounds = Grounds(node, here, local)
        self._guard = _Guard()
        self._in_force: NodeState | None = None  # unknown at the start: a predecessor may have died before its cut
        self._suspects = Suspects()
        self._cut_later: asyncio.TimerHandle | None = None
        self._cut_is_due = False
        self._cutter = Cutter(kernel.conntrack, kernel.host_addresses)
        self._applied: Applied | None = None
        self._moved = asyncio.Event()
        self._loop = Loop(
            self._step,
            random=random,
            resync_s=_RESYNC_S,
            backoff=Backoff(first_s=0.05, limit_s=10.0),
            retryable=(Unavailable, MuslinError, OSError),
            on_failure=on_failure,
        )

    @property
    def applied(self) -> Applied | None:
        """What the kernel has; None before the first step that went through."""
        return self._applied

    def take(self, snapshot: Snapshot, *, within_s: float = 0.0) -> None:
        """There is a newer snapshot; nothing in it is so urgent that it must be looked at before this time."""
        self._snapshot = snapshot
        if within_s <= 0:
            self.look_again()
        elif self._later is None:
            self._later = asyncio.get_running_loop().call_later(within_s, self._in_time)

    def _in_time(self) -> None:
        self._later = None
        self.look_again()

    @contextlib.contextmanager
    def expecting(self) -> Iterator[None]:
        """While a workload's endpoint is being made: the next step waits for it for a moment, to serve many by one.

        Not once many more wait for the step than are still to come: these are served by the step after it.
        """
        self._coming += 1
        try:
            yield
        finally:
            self._coming -= 1
            if self._coming == 0 and self._held is not None:
                self._go()

    def look_again(self) -> None:
        """The kernel or the speaker may be different from what we left."""
        if self._coming * _FEWER <= self._waiting or self._applied is None:
            self._go()
        elif self._held is None:
            self._held = asyncio.get_running_loop().call_later(_GATHER_S, self._go)

    def _go(self) -> None:
        if self._held is not None:
            self._held.cancel()
            self._held = None
        self._loop.wake()

    async def enforced(self, interface: str, addresses: Sequence[Address], mac: Mac | None = None) -> None:
        """Wait until the kernel judges what this workload sends and gets, and has the route to it.

        Args:
            interface: on the host.
            addresses: of the workload.
            mac: of the workload's end; tells it from an earlier one with the same interface and addresses.
        """
        self._waiting += 1
        try:
            while True:
                moved = self._moved
                if self._applied is not None and interface not in self._applied.waiting:
                    endpoint = self._applied.state.endpoints.get(interface)
                    same = endpoint is not None and set(endpoint.addresses) == set(addresses)
                    if endpoint is not None and same and mac in (None, endpoint.mac):
                        return
                await moved.wait()
        finally:
            self._waiting -= 1

    def stop(self) -> None:
        """End `run` after the step that is running. The kernel stays as it is."""
        self._loop.stop()

    async def run(self) -> None:
        """Converge until stopped."""
        await self._loop.run()

    async def _step(self) -> None:
        snapshot = self._snapshot
        if snapshot is None:
            return
        loop = asyncio.get_running_loop()
        began = loop.time()
        state, ruleset = self._compute(snapshot)
        if not state.ready:
            return  # the datastore is locked, or not a cluster's: what is in force stays
        self._speaker.desire(state)
        self._suspects |= suspects(self._in_force, state)
        self._kernel.ruleset.converge(ruleset)
        self._in_force = state
        learnt, sweep = self._guard.passing(self._speaker.routes), self._speaker.in_sync
        outcome = self._kernel.routes.converge(DesiredRoutes.of(state, _learnt_routes(learnt), keep_learnt=not sweep))
        waiting = frozenset(route.interface for route in outcome.plan.waiting)
        self._applied = Applied(state, learnt, (*state.problems, *self._guard.problems), waiting)
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()
        if self._suspects and self._pressing(state):
            await asyncio.sleep(0)  # new pods wait for their policy, not for the connections of others
            self._cut(state)
            self._suspects = Suspects()
            self._cut_is_due = False
        elif self._suspects and self._cut_later is None:
            self._cut_later = loop.call_later(_GONE_S, self._due)
        self._on_applied(self._applied)
        if outcome.refused:
            raise Failed([problem for refusal in outcome.refused for problem in refusal.problems])
        await asyncio.sleep(min(loop.time() - began, _BREATH_S))

    def _pressing(self, state: NodeState) -> bool:
        """Whether connections must be looked at now; those of addresses that nobody has can wait for more of them."""
        if self._suspects.changed or self._cut_is_due:
            return True
        return any(address in self._suspects.gone for each in state.endpoints.values() for address in each.addresses)

    def _due(self) -> None:
        self._cut_later, self._cut_is_due = None, True
        self._loop.wake()

    def _cut(self, state: NodeState) -> None:
        loop = asyncio.get_running_loop()
        if self._cutter.cut(state, self._suspects, loop.time()):
            for look_s in LOOKS_S:
                loop.call_later(look_s, self._look_at_ended)

    def _look_at_ended(self) -> None:
        if self._in_force is not None:
            self._suspects |= self._cutter.ended(self._in_force)
            self._loop.wake()

    def _compute(self, snapshot: Snapshot) -> tuple[NodeState, Ruleset]:
        """State and ruleset of a snapshot; computed once for each; most are as the one before."""
        if self._computed is None or self._computed[0] is not snapshot:
            try:
                state = compute(snapshot, self._node, self._here, self._local, self._grounds)
            except MuslinError:
                raise
            except Exception as error:  # whatever it is, the node goes on as it is, and says so
                raise Failed(_incomputable(snapshot, error)) from error
            self._guard.set(self._grounds.of(snapshot).reserved)
            before = self._computed
            if before is not None and replace(state, revision=before[1].revision) == before[1]:
                state, ruleset = replace(before[1], revision=state.revision), before[2]
            else:
                ruleset = compile_ruleset(state)
            self._computed = (snapshot, state, ruleset)
        return self._computed[1], self._computed[2]


class _Guard:
    """Keeps learnt routes out that would lead a node's or the network's own traffic away, whoever said them."""

    def __init__(self) -> None:
        self._reserved = Reserved()
        self._judged: dict[Prefix, str | None] = {}
        self.problems: tuple[Problem, ...] = ()

    def set(self, taken: Reserved) -> None:
        """From now on, judge by this."""
        if taken != self._reserved:
            self._reserved, self._judged = taken, {}

    def passing(self, routes: Mapping[Prefix, Address]) -> dict[Prefix, Address]:
        """The routes that may go into the kernel; `problems` are the others."""
        self._judged = {
            prefix: self._judged[prefix] if prefix in self._judged else self._reserved.why(prefix) for prefix in routes
        }
        self.problems = tuple(
            Problem(f"the route to {prefix} {reason}", f"BGP, next hop {routes[prefix]}", "correct the peer's export")
            for prefix, reason in self._judged.items()
            if reason is not None
        )
        return {prefix: next_hop for prefix, next_hop in routes.items() if self._judged[prefix] is None}


def _incomputable(snapshot: Snapshot, error: Exception) -> Problem:
    return Problem(
        f"a fault of this program: a node's state can't be computed: {type(error).__name__}: {error}",
        f"datastore, revision {snapshot.revision}",
        "take the last change back, and report it with that object; until then what is in force stays",
    )


def _learnt_routes(learnt: Mapping[Prefix, Address]) -> tuple[Route, ...]:
    return tuple(Route(prefix, RouteClass.BGP, next_hop=next_hop) for prefix, next_hop in learnt.items())
