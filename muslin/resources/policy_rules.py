"""Rules of policies and profiles: what to match at both ends, and what to do."""

from __future__ import annotations

import enum

from pydantic import Field

from muslin.resources.fields import (
    Int,
    Net,
    PortField,
    ProtocolField,
    SelectorText,
    StringMap,
    Text,
    text,
)
from muslin.resources.frozen import FrozenDict
from muslin.resources.part import Part

__all__ = [
    "EntityRule", "HTTPMatch", "HTTPPath", "ICMPMatch", "Rule", "RuleAction", "RuleMetadata", "ServiceAccountMatch",
    "ServiceMatch",
]  # fmt: skip


class RuleAction(enum.Enum):
    """What a rule does with a packet that it matches."""

    ALLOW = "Allow"
    DENY = "Deny"
    LOG = "Log"
    PASS = "Pass"  # noqa: S105


class ICMPMatch(Part):
    """An ICMP type, and a code of it."""

    type: Int | None = Field(default=None, ge=0, le=254)
    code: Int | None = Field(default=None, ge=0, le=255)


class ServiceAccountMatch(Part):
    """Endpoints of service accounts, by name, by label, or both."""

    names: tuple[Text, ...] = ()
    selector: SelectorText | None = None


class ServiceMatch(Part):
    """Endpoints behind a service."""

    name: text(longest=253) | None = None  # type: ignore[valid-type]
    namespace: text(longest=253) | None = None  # type: ignore[valid-type]


class HTTPPath(Part):
    """A path of a request, exact or by prefix."""

    exact: text(longest=1024) | None = None  # type: ignore[valid-type]
    prefix: text(longest=1024) | None = None  # type: ignore[valid-type]


class HTTPMatch(Part):
    """Requests of HTTP by method and path."""

    methods: tuple[Text, ...] = Field(default=(), max_length=20)
    paths: tuple[HTTPPath, ...] = Field(default=(), max_length=20)


class RuleMetadata(Part):
    """Notes on a rule that travel with it."""

    annotations: StringMap = FrozenDict()


class EntityRule(Part):
    """One end of a flow; all that is set must match."""

    nets: tuple[Net, ...] = Field(default=(), max_length=256)
    selector: SelectorText | None = None
    namespace_selector: SelectorText | None = None
    services: ServiceMatch | None = None
    ports: tuple[PortField, ...] = Field(default=(), max_length=50)
    not_nets: tuple[Net, ...] = Field(default=(), max_length=256)
    not_selector: SelectorText | None = None
    not_ports: tuple[PortField, ...] = Field(default=(), max_length=50)
    service_accounts: ServiceAccountMatch | None = None


class Rule(Part):
    """One rule: an action for the packets that match everything set here."""

    action: RuleAction
    ip_version: Int | None = None
    protocol: ProtocolField | None = None
    icmp: ICMPMatch | None = None
    not_protocol: ProtocolField | None = None
    not_icmp: ICMPMatch | None = None
    source: EntityRule = EntityRule()
    destination: EntityRule = EntityRule()
    http: HTTPMatch | None = None
    metadata: RuleMetadata | None = None
