"""Types of FelixConfiguration's fields: its words, switches, times, patterns, ports, tables.

Fields that Go's client knows as plain text may be empty, which means unset; those that it knows as pointers may not.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, TypeAlias

from pydantic import AfterValidator, Field, PlainValidator, StrictInt, StrictStr
from pydantic_core import PydanticCustomError

from muslin.net import parse_prefix
from muslin.resources.durations import Duration, parse_duration
from muslin.resources.felix_checks import HEALTH_RULES, RANGE_RULES
from muslin.resources.fields import DurationField, Int, StringMap, Text, TextForm, Words, any_case, one_of
from muslin.resources.part import Part
from muslin.resources.shape import Shape
from muslin.resources.validation import ValidationRule

__all__ = [
    "AWSSrcDstCheck", "AllowAction", "CheckedRouteTableRange", "ConntrackTimeouts", "DSCPField", "DenyAction",
    "FelixDuration", "HealthTimeoutOverride", "HostAddress", "InterfaceFilter", "LogFilters", "LogSeverity",
    "MarkMask", "NFTablesMode", "PortNumber", "PrefixText", "ProtoPort", "RouteTableRange", "SourceAddress", "Switch",
    "WireguardInterface", "setting", "text_form", "word",
]  # fmt: skip


def setting(description: str, **constraints: Any) -> Any:
    """A field that may be unset, with its one line for people."""
    return Field(default=None, description=description, **constraints)


def word(*allowed: str) -> Words:
    """One of these words exactly, or empty."""

    def check(value: str) -> str:
        if value and value not in allowed:
            raise PydanticCustomError("word", "{given}", {"given": value, "allowed": allowed})
        return value

    return Words(check, (*allowed, ""))


def text_form(pattern: str, what: str) -> TextForm:
    """Text that matches as a whole, or empty; `what` says which for people."""
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if value and not compiled.fullmatch(value):
            raise ValueError(f"{value!r} is not {what}")
        return value

    return TextForm(check, pattern)


_DURATION = r"([0-9]+(\.[0-9]+)?(ms|s|m|h))+"


def _felix_duration(value: Any) -> Duration:
    if isinstance(value, str) and re.fullmatch(_DURATION, value) is None:
        raise ValueError(f"{value!r} is not a duration such as 90s or 1m30s")
    return parse_duration(value)


FelixDuration: TypeAlias = Annotated[
    Duration, PlainValidator(_felix_duration), Shape({"type": "string", "pattern": rf"^{_DURATION}$"}, alone=True)
]
"""A length of time of hours, minutes, seconds and milliseconds, with fractions, without a sign."""

LogSeverity: TypeAlias = Annotated[Text, any_case("Trace", "Debug", "Info", "Warning", "Error", "Fatal")]
AllowAction: TypeAlias = Annotated[Text, any_case("Accept", "Return")]
DenyAction: TypeAlias = Annotated[Text, any_case("Drop", "Reject")]
AWSSrcDstCheck: TypeAlias = Annotated[Text, one_of("DoNothing", "Enable", "Disable")]
PortNumber: TypeAlias = Annotated[Int, Field(ge=0, le=65535)]
MarkMask: TypeAlias = Annotated[Int, Field(ge=0, le=0xFFFFFFFF)]
SourceAddress: TypeAlias = Annotated[Text, Field(max_length=45)]
"""An address, or empty; which family, a rule of the whole says."""
HostAddress: TypeAlias = Annotated[Text, text_form(r"[a-zA-Z0-9:._+-]{1,64}", "a host name or address")]
WireguardInterface: TypeAlias = Annotated[Text, text_form(r"\*|[a-zA-Z0-9_.-]{1,15}", "an interface name")]
InterfaceFilter: TypeAlias = Annotated[
    Text, text_form(r"[a-zA-Z0-9:._+-]{1,15}", "an interface's name, or its beginning and '+'")
]


class Switch(enum.Enum):
    """On or off, in the words that newer settings use."""

    ENABLED = "Enabled"
    DISABLED = "Disabled"


class NFTablesMode(enum.Enum):
    """Whether nftables is used; `AUTO` follows kube-proxy."""

    ENABLED = "Enabled"
    DISABLED = "Disabled"
    AUTO = "Auto"


def _prefix_text(value: str) -> str:
    parse_prefix(value, strict=False)
    return value


PrefixText: TypeAlias = Annotated[Text, AfterValidator(_prefix_text)]
"""A prefix or an address, kept as written."""


def _log_filters(value: Mapping[str, str]) -> Mapping[str, str]:
    for interface in value:
        if re.fullmatch(r"[a-zA-Z0-9_.-]{1,15}", interface) is None:
            raise ValueError(f"{interface!r} is not an interface name")
    return value


LogFilters: TypeAlias = Annotated[StringMap, AfterValidator(_log_filters)]
"""Mapping[interface, filter expression]."""


def _dscp(value: StrictInt | StrictStr) -> int | str:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ValueError(f"{value!r} is neither a number nor a name such as AF11")  # noqa: TRY004
    if isinstance(value, int) and not 0 <= value <= 0xFF:
        raise ValueError(f"{value} does not fit into a byte")
    return value


DSCPField: TypeAlias = Annotated[
    Any,
    PlainValidator(_dscp),
    Shape(
        {
            "x-kubernetes-int-or-string": True,
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "minimum": 0,
            "maximum": 0xFF,
        },
        alone=True,
    ),
]
"""The bits of a class of traffic, by number or name."""


class ProtoPort(Part):
    """A port that stays open whatever policy says, for everybody or for one prefix."""

    ALWAYS_WRITTEN = frozenset({"port"})

    net: Text | None = setting("Prefix of those it is open for; everybody if unset.")
    protocol: Text | None = setting("TCP or UDP, TCP if unset.")
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

    RULES: ClassVar[tuple[ValidationRule, ...]] = HEALTH_RULES

    name: Text
    timeout: DurationField


_Timeout: TypeAlias = Annotated[Text, Field(pattern=r"^(([0-9]*(\.[0-9]*)?(ms|s|h|m|us)+)+|Auto)$")]


class ConntrackTimeouts(Part):
    """How long an idle connection is remembered, by its state; `Auto` takes the kernel's own figure."""

    creation_grace_period: _Timeout | None = setting("Any connection, at least. Default 10s.")
    tcp_syn_sent: _Timeout | None = setting("TCP after the first SYN. Default 20s.")
    tcp_established: _Timeout | None = setting("TCP that is established. Default 1h.")
    tcp_fins_seen: _Timeout | None = setting("TCP that both ends closed. Default Auto.")
    tcp_reset_seen: _Timeout | None = setting("TCP that was reset. Default 40s.")
    udp_timeout: _Timeout | None = setting("UDP. Default 60s.")
    generic_timeout: _Timeout | None = setting("Other protocols. Default 10m.")
    icmp_timeout: _Timeout | None = setting("ICMP. Default 5s.", alias="icmpTimeout")
