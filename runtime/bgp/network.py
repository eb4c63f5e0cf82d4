"""Connections as the speaker sees them, so that a simulation can stand in for TCP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from muslin.net import Address
from runtime.bgp.settings import PeerSettings

__all__ = ["Accept", "Listener", "Network", "Receiver", "Stream"]


class Receiver(Protocol):
    """Who hears what happens on a stream; called from the event loop, reads before timers."""

    def received(self, data: bytes) -> None:
        """Bytes arrived."""

    def lost(self) -> None:
        """The stream is gone, whoever ended it; nothing follows."""


class Stream(Protocol):
    """One open connection."""

    @property
    def local_address(self) -> Address:
        """Our end."""

    @property
    def peer_address(self) -> Address:
        """The other end."""

    def write(self, data: bytes) -> None:
        """Queue bytes. A peer that does not read for long loses the stream: memory is bounded."""

    def close(self) -> None:
        """Close once all is written."""


class Listener(Protocol):
    """Accepts connections until closed."""

    def close(self) -> None:
        """Stop accepting."""

    def expect(self, peers: tuple[PeerSettings, ...]) -> None:
        """Apply passwords and hop limits of these peers to what connects from now on, and those of no others."""


Accept = Callable[[Stream], Receiver | None]
"""Told of a new connection; None: drop it."""


class Network(Protocol):
    """Where connections come from."""

    async def listen(self, address: Address, port: int, accept: Accept) -> Listener:
        """Accept connections. Raises OSError."""

    async def connect(self, peer: PeerSettings, receive: Callable[[Stream], Receiver | None]) -> None:
        """Dial; `receive` is told of the open stream before any byte of it. Raises OSError, TimeoutError too."""
