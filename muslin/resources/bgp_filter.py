"""BGPFilter: ordered rules over the routes that a node announces to a peer, or takes from it."""

from __future__ import annotations

import enum
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field

from muslin.resources.base import Resource
from muslin.resources.bgp_filter_checks import FILTER_RULE_RULES, OPERATION_RULES
from muslin.resources.communities import CommunityText
from muslin.resources.fields import (
    EMPTY_IS_UNSET,
    AsNumberField,
    Int,
    InterfacePattern,
    StrictV4Net,
    StrictV6Net,
)
from muslin.resources.part import Part
from muslin.resources.validation import ValidationRule

__all__ = [
    "AddCommunity", "BGPFilter", "BGPFilterOperation", "BGPFilterRule", "BGPFilterRuleV4", "BGPFilterRuleV6",
    "BGPFilterSpec", "CommunityMatch", "FilterAction", "FilterPeerType", "FilterSource", "MatchOperator",
    "PrefixLengthV4", "PrefixLengthV6", "PrependASPath", "SetPriority",
]  # fmt: skip

RoutePriority: TypeAlias = Annotated[Int, Field(ge=1, le=2147483646)]


class FilterAction(enum.Enum):
    """What befalls a route that a rule matches; no later rule sees it."""

    ACCEPT = "Accept"
    REJECT = "Reject"


class MatchOperator(enum.Enum):
    """How a route's prefix must relate to the rule's: the same, another, within, not within."""

    EQUAL = "Equal"
    NOT_EQUAL = "NotEqual"
    IN = "In"
    NOT_IN = "NotIn"


class FilterSource(enum.Enum):
    """Where a route comes from: `REMOTE_PEERS` are the other ends of BGP sessions."""

    REMOTE_PEERS = "RemotePeers"


class FilterPeerType(enum.Enum):
    """Which sessions a rule is for: to another AS, or within our own."""

    EBGP = "eBGP"
    IBGP = "iBGP"


class PrefixLengthV4(Part):
    """Lengths that an IPv4 route may have, both included."""

    min: Int | None = Field(default=None, ge=0, le=32)
    max: Int | None = Field(default=None, ge=0, le=32)


class PrefixLengthV6(Part):
    """Lengths that an IPv6 route may have, both included."""

    min: Int | None = Field(default=None, ge=0, le=128)
    max: Int | None = Field(default=None, ge=0, le=128)


class CommunityMatch(Part):
    """Routes that carry a community; exactly one can be named."""

    values: tuple[CommunityText, ...] = Field(min_length=1, max_length=1)


class AddCommunity(Part):
    """Adds a community to the route."""

    value: CommunityText


class PrependASPath(Part):
    """Puts AS numbers before the route's path, the first one first."""

    prefix: tuple[AsNumberField, ...] = Field(min_length=1, max_length=10)


class SetPriority(Part):
    """Gives the route this metric."""

    value: RoutePriority


class BGPFilterOperation(Part):
    """One change of an accepted route: exactly one field is set."""

    RULES: ClassVar[tuple[ValidationRule, ...]] = OPERATION_RULES
    MIN_PROPERTIES: ClassVar[int] = 1
    MAX_PROPERTIES: ClassVar[int] = 1

    add_community: AddCommunity | None = None
    prepend_as_path: PrependASPath | None = None
    set_priority: SetPriority | None = None


class BGPFilterRule(Part):
    """What rules of both families share; a field that is not set matches every route."""

    RULES: ClassVar[tuple[ValidationRule, ...]] = FILTER_RULE_RULES

    source: Annotated[FilterSource | None, EMPTY_IS_UNSET] = None
    interface: Annotated[InterfacePattern | None, EMPTY_IS_UNSET] = None
    match_operator: Annotated[MatchOperator | None, EMPTY_IS_UNSET] = None
    peer_type: Annotated[FilterPeerType | None, EMPTY_IS_UNSET] = None
    communities: CommunityMatch | None = None
    as_path_prefix: tuple[AsNumberField, ...] = ()
    priority: RoutePriority | None = None
    action: FilterAction
    operations: tuple[BGPFilterOperation, ...] | None = Field(default=None, min_length=1, max_length=10)


class BGPFilterRuleV4(BGPFilterRule):
    """A rule over IPv4 routes."""

    cidr: Annotated[StrictV4Net | None, EMPTY_IS_UNSET] = None
    prefix_length: PrefixLengthV4 | None = None


class BGPFilterRuleV6(BGPFilterRule):
    """A rule over IPv6 routes."""

    cidr: Annotated[StrictV6Net | None, EMPTY_IS_UNSET] = None
    prefix_length: PrefixLengthV6 | None = None


class BGPFilterSpec(Part):
    """Rules by direction and family. The first that matches decides; where none does, the usual filter goes on."""

    export_v4: tuple[BGPFilterRuleV4, ...] = ()
    import_v4: tuple[BGPFilterRuleV4, ...] = ()
    export_v6: tuple[BGPFilterRuleV6, ...] = ()
    import_v6: tuple[BGPFilterRuleV6, ...] = ()


class BGPFilter(Resource):
    """A filter that BGPPeers name; cluster-scoped."""

    kind: Literal["BGPFilter"] = "BGPFilter"
    spec: BGPFilterSpec = BGPFilterSpec()
