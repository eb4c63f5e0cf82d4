"""Values inside FelixConfiguration: its switches, ranges of tables, ports that stay open."""

from __future__ import annotations

import enum
import re
from typing import Annotated, ClassVar, TypeAlias

from pydantic import AfterValidator, Field

from muslin.resources.felix_checks import RANGE_RULES
from muslin.resources.fields import DurationField, Int, LooseNet, Text, any_case, one_of
from muslin.resources.part import Part
from muslin.resources.validation import ValidationRule

__all__ = [
    "AWSSrcDstCheck", "AllowAction", "CheckedRouteTableRange", "DenyAction", "HealthTimeoutOverride", "LogSeverity",
    "MetricsHost", "NFTablesMode", "PortNumber", "ProtoPort", "RouteTableRange", "Switch",
]  # fmt: skip

LogSeverity: TypeAlias = Annotated[Text, any_case("Trace", "Debug", "Info", "Warning", "Error", "Fatal")]
AllowAction: TypeAlias = Annotated[Text, any_case("Accept", "Return")]
DenyAction: TypeAlias = Annotated[Text, any_case("Drop", "Reject")]
AWSSrcDstCheck: TypeAlias = Annotated[Text, one_of("DoNothing", "Enable", "Disable")]
PortNumber: TypeAlias = Annotated[Int, Field(ge=0, le=65535)]


class Switch(enum.Enum):
    """On or off, in the words that newer settings use."""

    ENABLED = "Enabled"
    DISABLED = "Disabled"


class NFTablesMode(enum.Enum):
    """Whether nftables is used; `AUTO` follows kube-proxy."""

    ENABLED = "Enabled"
    DISABLED = "Disabled"
    AUTO = "Auto"


_HOST = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?|[0-9a-fA-F:.]+")


def _metrics_host(value: str) -> str:
    if value and not _HOST.fullmatch(value):
        raise ValueError(f"{value!r} is not a host name or address")
    return value


MetricsHost: TypeAlias = Annotated[Text, AfterValidator(_metrics_host)]


class ProtoPort(Part):
    """A port that stays open whatever policy says, for everybody or for one prefix."""

    ALWAYS_WRITTEN = frozenset({"port"})

    net: LooseNet | None = None
    protocol: Text | None = None
    port: PortNumber


class RouteTableRange(Part):
    """Numbers of routing tables, both ends included."""

    min: Int
    max: Int


class CheckedRouteTableRange(RouteTableRange):
    """One of several ranges, checked by itself."""

    RULES: ClassVar[tuple[ValidationRule, ...]] = RANGE_RULES


class HealthTimeoutOverride(Part):
    """How long one part of the agent may be silent."""

    name: Text
    timeout: DurationField
