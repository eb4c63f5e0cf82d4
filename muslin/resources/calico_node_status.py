"""CalicoNodeStatus: what a node reports of its agent, its sessions and its routes, when somebody asks."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from muslin.resources.base import Resource
from muslin.resources.fields import EMPTY_IS_UNSET, AddressField, Int, LooseNet, ObjectName, Text, UniqueTuple
from muslin.resources.part import Part
from muslin.resources.validation import Breach, ValidationRule, go

__all__ = [
    "AgentStatus", "BGPStatus", "BirdState", "BirdStatus", "CalicoNodeStatus", "CalicoNodeStatusSpec",
    "CalicoNodeStatusStatus", "LearnedFrom", "NodeStatusClass", "PeerState", "PeerStatus", "PeerType", "RouteSource",
    "RouteStatus", "RouteType", "RoutesStatus",
]  # fmt: skip


class NodeStatusClass(enum.Enum):
    """What to report."""

    AGENT = "Agent"
    BGP = "BGP"
    ROUTES = "Routes"


class BirdState(enum.Enum):
    """Whether the speaker of one family works."""

    READY = "Ready"
    NOT_READY = "NotReady"


class PeerType(enum.Enum):
    """Why a session exists."""

    NODE_MESH = "NodeMesh"
    NODE_PEER = "NodePeer"
    GLOBAL_PEER = "GlobalPeer"


class PeerState(enum.Enum):
    """State of a session."""

    IDLE = "Idle"
    CONNECT = "Connect"
    ACTIVE = "Active"
    OPEN_SENT = "OpenSent"
    OPEN_CONFIRM = "OpenConfirm"
    ESTABLISHED = "Established"
    CLOSE = "Close"


class RouteType(enum.Enum):
    """Whether the kernel uses the route or the speaker merely knows it."""

    FIB = "FIB"
    RIB = "RIB"


class RouteSource(enum.Enum):
    """Whom a route was learnt from."""

    KERNEL = "Kernel"
    STATIC = "Static"
    DIRECT = "Direct"
    NODE_MESH = "NodeMesh"
    BGP_PEER = "BGPPeer"


def _all_said(spec: Any) -> Iterator[Breach]:
    """An empty list of classes is said, and asks for nothing."""
    for name, alias in (("node", "node"), ("classes", "classes"), ("update_period_seconds", "updatePeriodSeconds")):
        if not getattr(spec, name) and (name == "node" or name not in spec.model_fields_set):
            yield Breach(f"{alias} must be specified", (alias,))


_RULES: Final[tuple[ValidationRule, ...]] = (
    go(
        "all-said",
        "node, classes and updatePeriodSeconds must be specified",
        _all_said,
        fix="for example node: node1, classes: [Agent, BGP, Routes], updatePeriodSeconds: 10",
    ),
)


class CalicoNodeStatusSpec(Part):
    """Which node is to report what, and how often; a period of 0 stops it."""

    ALWAYS_WRITTEN = frozenset({"update_period_seconds"})
    RULES: ClassVar[tuple[ValidationRule, ...]] = _RULES

    node: ObjectName | None = None
    classes: UniqueTuple[NodeStatusClass] = ()
    update_period_seconds: Int | None = Field(default=None, ge=0, le=86400)


class BirdStatus(Part):
    """The speaker of one family."""

    state: BirdState | None = None
    version: Text | None = None
    router_id: Text | None = None
    last_boot_time: Text | None = None
    last_reconfiguration_time: Text | None = None


class AgentStatus(Part):
    """Speakers of both families."""

    bird_v4: BirdStatus | None = None
    bird_v6: BirdStatus | None = None


class PeerStatus(Part):
    """One session."""

    peer_ip: Annotated[AddressField | None, EMPTY_IS_UNSET] = None
    type: PeerType | None = None
    state: PeerState | None = None
    since: Text | None = None


class BGPStatus(Part):
    """All sessions, and how many are up."""

    ALWAYS_WRITTEN = frozenset(
        {"number_established_v4", "number_not_established_v4", "number_established_v6", "number_not_established_v6"}
    )

    number_established_v4: Int = 0
    number_not_established_v4: Int = 0
    number_established_v6: Int = 0
    number_not_established_v6: Int = 0
    peers_v4: tuple[PeerStatus, ...] = ()
    peers_v6: tuple[PeerStatus, ...] = ()


class LearnedFrom(Part):
    """Whom a route was learnt from."""

    source_type: RouteSource | None = None
    peer_ip: Annotated[AddressField | None, EMPTY_IS_UNSET] = None


class RouteStatus(Part):
    """One route."""

    type: RouteType | None = None
    destination: LooseNet | None = None
    gateway: Text | None = None
    interface: Text | None = None
    learned_from: LearnedFrom | None = None


class RoutesStatus(Part):
    """Routes of both families."""

    routes_v4: tuple[RouteStatus, ...] = ()
    routes_v6: tuple[RouteStatus, ...] = ()


class CalicoNodeStatusStatus(Part):
    """What the node reported last, and when."""

    last_updated: Text | None = None
    agent: AgentStatus | None = None
    bgp: BGPStatus | None = None
    routes: RoutesStatus | None = None


class CalicoNodeStatus(Resource):
    """A question to one node and its answer; cluster-scoped."""

    kind: Literal["CalicoNodeStatus"] = "CalicoNodeStatus"
    spec: CalicoNodeStatusSpec
    status: CalicoNodeStatusStatus | None = None
