"""What the agent should have in the kernel, given what speakers said and when they died.

Routes outlive the speaker that told them: until its successor says `in_sync`, the old routes stay beside the new ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from muslin.net import Prefix
from runtime.bgp.link import Routes, Sessions
from runtime.bgp.reports import LearntRoute, SessionReport
from runtime.bgp.settings import PeerKey

__all__ = ["SpeakerView", "View"]


@dataclass(frozen=True, slots=True)
class View:
    """The speaker as the agent sees it at one instant.

    Attributes:
        routes: Mapping[prefix, route]: all that must be in the kernel, kept routes of a dead speaker included.
        in_sync: what is not in `routes` may be swept.
        sessions: Mapping[peer, its session], as last told.
        connected: a speaker is there.
    """

    routes: Mapping[Prefix, LearntRoute] = field(default_factory=dict)
    in_sync: bool = False
    sessions: Mapping[PeerKey, SessionReport] = field(default_factory=dict)
    connected: bool = False


class SpeakerView:
    """Builds views from messages."""

    def __init__(self) -> None:
        self._kept: dict[Prefix, LearntRoute] = {}
        self._told: dict[Prefix, LearntRoute] = {}
        self._sessions: dict[PeerKey, SessionReport] = {}
        self._in_sync = False
        self._complete = False
        self._connected = False
        self._view: View | None = None

    @property
    def view(self) -> View:
        """The present view; it does not change afterwards. The same object until something is said."""
        if self._view is None:
            self._view = View(
                MappingProxyType({**self._kept, **self._told}),
                self._in_sync and self._complete,
                MappingProxyType(dict(self._sessions)),
                self._connected,
            )
        return self._view

    def connected(self) -> None:
        """A speaker is there; it will tell all it knows."""
        self._keep()
        self._connected, self._view = True, None

    def disconnected(self) -> None:
        """The speaker is gone; keep what it said."""
        self._keep()
        self._connected, self._view = False, None

    def apply(self, message: Routes | Sessions) -> None:
        """Take in what the speaker says."""
        self._view = None
        if isinstance(message, Sessions):
            if message.reset:
                self._sessions.clear()
            self._sessions.update((session.peer, session) for session in message.sessions)
            for key in message.removed:
                self._sessions.pop(key, None)
            return
        if message.reset:
            self._keep()
        report = message.report
        for prefix in report.withdrawn:
            self._told.pop(prefix, None)
            self._kept.pop(prefix, None)
        self._told.update((route.prefix, route) for route in report.learnt)
        self._complete, self._in_sync = message.complete, report.in_sync
        if self._complete and self._in_sync:
            self._kept.clear()

    def _keep(self) -> None:
        self._kept.update(self._told)
        self._told.clear()
        self._in_sync = self._complete = False
