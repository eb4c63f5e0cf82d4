"""The agent's side of the BGP speaker: what it is to be, computed from the node's state, and what it said."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from ipaddress import IPv4Address

from muslin.errors import Problem
from muslin.net import Address, Prefix
from runtime.bgp.client import SpeakerClient
from runtime.bgp.desired import desired
from runtime.calc.state import NodeState
from runtime.node_status import ReportedSession

__all__ = ["SpeakerSide"]


class SpeakerSide:
    """Implements `runtime.convergence.SpeakerSide` over the client.

    Args:
        client: link to the speaker process.
        router_id: BGP identifier: the node's address, as in Calico.
        on_problem: is told why a session had to be left out, once for each.
    """

    def __init__(self, client: SpeakerClient, router_id: IPv4Address, on_problem: Callable[[Problem], None]) -> None:
        self._client, self._router_id, self._on_problem = client, router_id, on_problem
        self._told: tuple[Problem, ...] = ()
        self._kinds: dict[tuple[Address, int], str] = {}

    def desire(self, state: NodeState) -> None:
        """Hand the speaker its desired state; nothing happens if it has it."""
        settings, problems = desired(state, router_id=self._router_id)
        self._client.want(settings)
        self._kinds = {(peer.address, peer.port): peer.kind for peer in settings.peers}
        for problem in problems:
            if problem not in self._told:
                self._on_problem(problem)
        self._told = problems

    @property
    def routes(self) -> Mapping[Prefix, Address]:
        """Mapping[prefix, next hop]: the best routes; the last known while the speaker is away."""
        return {prefix: route.next_hop for prefix, route in self._client.view.routes.items()}

    @property
    def in_sync(self) -> bool:
        """Whether a route that is not in `routes` may be taken out of the kernel."""
        return self._client.view.in_sync

    @property
    def speaking(self) -> bool:
        """Whether a speaker is there."""
        return self._client.view.connected

    def peer_of(self, prefix: Prefix) -> Address | None:
        """Who said that it has this prefix."""
        route = self._client.view.routes.get(prefix)
        return None if route is None else route.peer

    def sessions(self) -> tuple[ReportedSession, ...]:
        """Sessions as a person reads them. One that lives on while the reason for it changes is of the new kind."""
        return tuple(
            ReportedSession(
                key.address,
                self._kinds.get((key.address, key.port), session.kind),
                session.state.value,
                f"{datetime.fromtimestamp(session.since, UTC):%FT%TZ}",
            )
            for key, session in self._client.view.sessions.items()
        )
