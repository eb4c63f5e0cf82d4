"""Rules of policies and profiles: what to match at both ends, and what to do."""

from __future__ import annotations

import enum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from muslin.resources.fields import (
    Int,
    NetWithLength,
    PortField,
    ProtocolField,
    SelectorText,
    StringMap,
    Text,
    UniqueTuple,
)
from muslin.resources.frozen import FrozenDict
from muslin.resources.part import Part
from muslin.resources.policy_checks import ENTITY_RULES, HTTP_RULES, ICMP_RULES, METADATA_RULES, RULE_RULES
from muslin.resources.validation import ValidationRule

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

    RULES: ClassVar[tuple[ValidationRule, ...]] = ICMP_RULES

    type: Int | None = Field(default=None, ge=0, le=254)
    code: Int | None = Field(default=None, ge=0, le=255)


class ServiceAccountMatch(Part):
    """Endpoints of service accounts, by name, by label, or both."""

    names: UniqueTuple[Text] = ()
    selector: SelectorText | None = None


class ServiceMatch(Part):
    """Endpoints behind a service."""

    name: Annotated[Text, Field(max_length=253)] | None = None
    namespace: Annotated[Text, Field(max_length=253)] | None = None


class HTTPPath(Part):
    """A path of a request, exact or by prefix."""

    exact: Annotated[Text, Field(max_length=1024)] | None = None
    prefix: Annotated[Text, Field(max_length=1024)] | None = None


class HTTPMatch(Part):
    """Requests of HTTP by method and path."""

    RULES: ClassVar[tuple[ValidationRule, ...]] = HTTP_RULES

    methods: tuple[Text, ...] = Field(default=(), max_length=20)
    paths: tuple[HTTPPath, ...] = Field(default=(), max_length=20)


class RuleMetadata(Part):
    """Notes on a rule that travel with it."""

    RULES: ClassVar[tuple[ValidationRule, ...]] = METADATA_RULES

    annotations: StringMap = FrozenDict()


class EntityRule(Part):
    """One end of a flow; all that is set must match."""

    RULES: ClassVar[tuple[ValidationRule, ...]] = ENTITY_RULES

    nets: UniqueTuple[NetWithLength] = Field(default=(), max_length=256)
    selector: SelectorText | None = None
    namespace_selector: SelectorText | None = None
    services: ServiceMatch | None = None
    ports: tuple[PortField, ...] = Field(default=(), max_length=50)
    not_nets: UniqueTuple[NetWithLength] = Field(default=(), max_length=256)
    not_selector: SelectorText | None = None
    not_ports: tuple[PortField, ...] = Field(default=(), max_length=50)
    service_accounts: ServiceAccountMatch | None = None


class Rule(Part):
    """One rule: an action for the packets that match everything set here."""

    RULES: ClassVar[tuple[ValidationRule, ...]] = RULE_RULES

    action: RuleAction
    ip_version: Literal[4, 6] | None = None
    protocol: ProtocolField | None = None
    icmp: ICMPMatch | None = None
    not_protocol: ProtocolField | None = None
    not_icmp: ICMPMatch | None = None
    source: EntityRule = EntityRule()
    destination: EntityRule = EntityRule()
    http: HTTPMatch | None = None
    metadata: RuleMetadata | None = None
