"""What the agent needs of a kernel, so that a fake of it can stand in, in simulations and for failures."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

from muslin.net import Address
from runtime.dataplane.conntrack import Flow
from runtime.dataplane.ir import Ruleset
from runtime.dataplane.routes import DesiredRoutes, RouteOutcome

__all__ = ["Changed", "ConntrackKernel", "RouteKernel", "RulesetKernel", "Watched"]


class Changed(Protocol):
    """What was done: true if anything had to be written; its text is for people."""

    def __bool__(self) -> bool: ...


class Watched(Protocol):
    """Something that other programs may change under our hands."""

    def fileno(self) -> int:
        """Readable when something changed; for `loop.add_reader`."""

    def drain(self) -> bool:
        """Take all events; whether to look again."""

    def close(self) -> None:
        """Let go; what was written stays."""


class RulesetKernel(Watched, Protocol):
    """Holds one packet filter (the driver: `runtime.dataplane.nftables.Nftables`)."""

    def converge(self, desired: Ruleset) -> Changed:
        """Make the filter this one, atomically. Raises KernelRefused (nothing changed) or Unavailable (again later)."""


class RouteKernel(Watched, Protocol):
    """Holds our routes (the driver: `runtime.dataplane.routes.Routes`)."""

    def converge(self, desired: DesiredRoutes) -> RouteOutcome:
        """Make our routes these; refusals of single routes are in the outcome."""


class ConntrackKernel(Protocol):
    """Holds tracked flows (the driver: `runtime.dataplane.conntrack.Conntrack`)."""

    def cut(self, addresses: Collection[Address], keep: Callable[[Flow], bool]) -> int:
        """End the flows of these addresses that `keep` refuses; how many there were. Raises KernelRefused."""
