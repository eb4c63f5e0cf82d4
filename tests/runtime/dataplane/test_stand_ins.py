"""Drivers and fakes fit the same protocols: mypy checks the assignments, the test that the names are there."""

from __future__ import annotations

from runtime.dataplane.conntrack import Conntrack
from runtime.dataplane.nftables import Nftables
from runtime.dataplane.protocol import ConntrackKernel, RouteKernel, RulesetKernel
from runtime.dataplane.routes import Routes
from tests.support.fake_fib import FakeRoutes
from tests.support.fake_kernel import FakeConntrack
from tests.support.fake_nftables import FakeNftables

_RULESETS: tuple[type[RulesetKernel], ...] = (Nftables, FakeNftables)
_ROUTES: tuple[type[RouteKernel], ...] = (Routes, FakeRoutes)
_CONNTRACKS: tuple[type[ConntrackKernel], ...] = (Conntrack, FakeConntrack)


def test_fakes_can_stand_in_for_drivers() -> None:
    """What the agent calls exists on both."""
    for kinds, names in (
        (_RULESETS, ("converge", "drain", "fileno", "close")),
        (_ROUTES, ("converge", "drain", "fileno", "close")),
        (_CONNTRACKS, ("cut",)),
    ):
        for kind in kinds:
            assert all(callable(getattr(kind, name)) for name in names)
