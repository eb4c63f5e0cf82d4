"""What a node's state rests on and pods don't change: settings, sessions, pools, prepared policies. Pure.

Most snapshots differ from the one before by pods and blocks only; what depends on neither is made once for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from muslin.errors import Problem
from muslin.net import InterfaceAddress, Prefix
from muslin.resources.base import Resource
from muslin.resources.ip_pool import IPPool
from muslin.resources.ipam import BlockAffinity, IPAMBlock
from muslin.resources.workload_endpoint import WorkloadEndpoint
from muslin.semantics.felix import felix_problems, felix_settings
from muslin.semantics.felix_sources import Local, Settings
from muslin.semantics.policy import Selectable, profile_labels, selectable
from muslin.semantics.reserved import Reserved, reserved
from muslin.semantics.routes import importable_prefixes, pool_prefixes
from muslin.semantics.sessions import Session, listen_port, sessions
from muslin.semantics.snapshot import Snapshot

__all__ = ["Ground", "Grounds"]

_MOVING: Final = frozenset({WorkloadEndpoint, IPAMBlock, BlockAffinity})
"""Kinds that change with every pod, which nothing of a `Ground` may depend on."""


@dataclass(frozen=True, slots=True)
class Ground:
    """See this module. The attributes are named as what makes them in `muslin.semantics`."""

    settings: Settings
    felix_problems: tuple[Problem, ...]
    reserved: Reserved
    sessions: tuple[Session, ...]
    listen_port: int
    importable: tuple[Prefix, ...]
    nat_pools: frozenset[Prefix]
    all_pools: frozenset[Prefix]
    profile_labels: Mapping[str, Mapping[str, str]]
    selectable: Selectable


class Grounds:
    """Makes grounds for one node, and remembers the last one.

    Args:
        node: name of the node.
        here: its address as the node itself knows it; None takes the one that its Node says.
        local: settings of the node's environment and file.
    """

    def __init__(self, node: str, here: InterfaceAddress | None, local: Local) -> None:
        self._node, self._here, self._local = node, here, local
        self._last: tuple[tuple[Resource, ...], Ground] | None = None

    def of(self, snapshot: Snapshot) -> Ground:
        """The ground of a snapshot: the last one, if everything that it came from is the same."""
        fixed = Snapshot({key: each for key, each in snapshot.resources.items() if type(each) not in _MOVING})
        inputs = tuple(fixed.resources.values())
        if self._last is None or self._last[0] != inputs:
            self._last = (inputs, self._made(fixed))
        return self._last[1]

    def _made(self, fixed: Snapshot) -> Ground:
        settings = felix_settings(fixed, self._node, self._local)
        return Ground(
            settings=settings,
            felix_problems=tuple(felix_problems(fixed, self._node, settings)),
            reserved=reserved(fixed, self._node, self._here),
            sessions=sessions(fixed, self._node),
            listen_port=listen_port(fixed, self._node),
            importable=importable_prefixes(fixed, self._node),
            nat_pools=frozenset(pool.spec.cidr for pool in fixed.all(IPPool) if pool.spec.nat_outgoing),
            all_pools=pool_prefixes(fixed),
            profile_labels=profile_labels(fixed),
            selectable=selectable(fixed),
        )
