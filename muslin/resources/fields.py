"""Types of single fields: what JSON they accept, and what value of the field they become.

Every type accepts its own values as well, so that Python code builds resources from addresses and enums directly.
Whatever is not accepted raises ValueError with a sentence for people, or a pydantic error that
`muslin.resources.problems` translates.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import Annotated, Any, TypeAlias, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainValidator,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
)
from pydantic_core import PydanticCustomError

from muslin.net import (
    Address,
    AsNumber,
    ClusterId,
    InterfaceAddress,
    Mac,
    Prefix,
    parse_address,
    parse_interface_address,
    parse_prefix,
)
from muslin.resources.durations import Duration, parse_duration
from muslin.resources.frozen import FrozenDict, freeze
from muslin.resources.names import MAX_NAME, SUBDOMAIN
from muslin.resources.ports import Port, parse_port
from muslin.resources.protocols import Protocol, parse_protocol
from muslin.resources.shape import Shape
from muslin.resources.written import as_written
from muslin.selectors import SelectorError, parse

__all__ = [
    "AddressField",
    "AnyJson",
    "AsNumberField",
    "Bool",
    "ClusterIdField",
    "DurationField",
    "IgnoredInterface",
    "Int",
    "InterfaceAddressField",
    "InterfaceName",
    "InterfacePattern",
    "ListType",
    "ListedName",
    "LooseNet",
    "LooseNetWithLength",
    "MacField",
    "Net",
    "NetWithLength",
    "Number",
    "ObjectName",
    "PortField",
    "ProtocolField",
    "SelectorText",
    "StrictV4Net",
    "StrictV6Net",
    "StringMap",
    "Text",
    "TextForm",
    "UniqueTuple",
    "V4Address",
    "V6Address",
    "Words",
    "any_case",
    "one_of",
]

_T = TypeVar("_T")

Bool: TypeAlias = StrictBool
Int: TypeAlias = StrictInt
Text: TypeAlias = StrictStr
Number: TypeAlias = Annotated[StrictFloat, Field(allow_inf_nan=False)]


class ListType(enum.Enum):
    """How a list is merged and what it may hold, as a generated CRD says it."""

    SET = "set"
    BY_TYPE = "map"
    """One entry for each `type`, as conditions are: writers of different ones do not overwrite each other."""


def _unique(values: tuple[_T, ...]) -> tuple[_T, ...]:
    if len(set(values)) != len(values):
        repeated = next(value for index, value in enumerate(values) if value in values[:index])
        shown = repeated.value if isinstance(repeated, enum.Enum) else repeated
        raise ValueError(f"Duplicate value: {str(shown)!r}")
    return values


UniqueTuple: TypeAlias = Annotated[tuple[_T, ...], AfterValidator(_unique), ListType.SET]
"""A list in which nothing stands twice."""


@dataclass(frozen=True, slots=True)
class Words(AfterValidator):
    """Accepts one of these words; with `any_case` in any case, or empty. A schema lists them."""

    allowed: tuple[str, ...] = ()
    any_case: bool = False


def any_case(*allowed: str) -> Words:
    """Accepts one of these words in any case, or empty; kept as written."""
    folded = {word.casefold() for word in allowed}

    def check(value: str) -> str:
        if value and value.casefold() not in folded:
            raise PydanticCustomError("word", "{given}", {"given": value, "allowed": allowed})
        return value

    return Words(check, allowed, any_case=True)


def one_of(*allowed: str) -> Words:
    """Accepts one of these words, exactly; kept as text where a class of its own would say no more."""

    def check(value: str) -> str:
        if value not in allowed:
            raise PydanticCustomError("word", "{given}", {"given": value, "allowed": allowed})
        return value

    return Words(check, allowed)


_REMEMBERED = 1 << 14
"""How many texts of one field type are kept with their values: objects of a cluster repeat each other."""
_LONGEST_REMEMBERED = 64


def _from_text(parse_text: Callable[[str], _T], *types: type) -> Callable[[Any], _T]:
    @lru_cache(_REMEMBERED)
    def read(text: str) -> _T:
        return as_written(parse_text(text), text)

    def convert(value: Any) -> Any:
        if isinstance(value, types):
            return value
        if not isinstance(value, str):
            raise ValueError(f"{value!r} must be written as text")  # noqa: TRY004
        return read(value) if len(value) <= _LONGEST_REMEMBERED else as_written(parse_text(value), value)

    return convert


_NETS = (IPv4Network, IPv6Network)
_ADDRESSES = (IPv4Address, IPv6Address)


def _loose(value: str) -> Prefix:
    return parse_prefix(value, strict=False)


def _with_length(value: str) -> Prefix:
    if "/" not in value:
        raise ValueError(f"{value!r} has no length; it must be of type cidr, such as 192.0.2.0/24")
    return _loose(value)


def _strict_with_length(value: str) -> Prefix:
    if "/" not in value:
        raise ValueError(f"{value!r} has no length; it must be of type cidr, such as 192.0.2.0/24")
    return parse_prefix(value)


def _one_family(version: int) -> Callable[[str], Address]:
    def convert(value: str) -> Address:
        address = parse_address(value)
        if address.version != version:
            raise ValueError(f"{value!r} is not an IPv{version} address")
        return address

    return convert


def _net_of_family(version: int) -> Callable[[str], Prefix]:
    def convert(value: str) -> Prefix:
        if "/" not in value:
            raise ValueError(f"{value!r} has no length; it must be of type cidr")
        prefix = parse_prefix(value)
        if prefix.version != version:
            raise ValueError(f"{value!r} is not an IPv{version} prefix")
        return prefix

    return convert


def _as_number(value: Any) -> AsNumber:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ValueError(f"{value!r} is not an AS number such as 64512 or 1.10")  # noqa: TRY004
    return value if isinstance(value, AsNumber) else AsNumber(value)


Net: TypeAlias = Annotated[Prefix, PlainValidator(_from_text(parse_prefix, *_NETS))]
"""A prefix without host bits; a bare address is a prefix of full length."""
LooseNet: TypeAlias = Annotated[Prefix, PlainValidator(_from_text(_loose, *_NETS))]
"""A prefix that may be written with host bits, which are cut off."""
StrictV4Net: TypeAlias = Annotated[
    IPv4Network,
    PlainValidator(_from_text(_net_of_family(4), IPv4Network)),
    Shape({"type": "string", "format": "cidr", "pattern": r"^[0-9./]*$", "maxLength": 18}, alone=True),
]
"""An IPv4 prefix with its length and without host bits."""
StrictV6Net: TypeAlias = Annotated[
    IPv6Network,
    PlainValidator(_from_text(_net_of_family(6), IPv6Network)),
    Shape({"type": "string", "format": "cidr", "pattern": ":", "maxLength": 49}, alone=True),
]
"""An IPv6 prefix with its length and without host bits."""
LooseNetWithLength: TypeAlias = Annotated[
    Prefix,
    PlainValidator(_from_text(_with_length, *_NETS)),
    Shape({"type": "string", "format": "cidr", "maxLength": 49}, alone=True),
]
"""The same, but a bare address is refused."""
NetWithLength: TypeAlias = Annotated[
    Prefix,
    PlainValidator(_from_text(_strict_with_length, *_NETS)),
    Shape({"type": "string", "format": "cidr", "maxLength": 49}, alone=True),
]
"""A prefix with its length and without host bits."""
AddressField: TypeAlias = Annotated[Address, PlainValidator(_from_text(parse_address, *_ADDRESSES))]
V4Address: TypeAlias = Annotated[IPv4Address, PlainValidator(_from_text(_one_family(4), IPv4Address))]
V6Address: TypeAlias = Annotated[IPv6Address, PlainValidator(_from_text(_one_family(6), IPv6Address))]
InterfaceAddressField: TypeAlias = Annotated[
    InterfaceAddress, PlainValidator(_from_text(parse_interface_address, IPv4Interface, IPv6Interface))
]
ClusterIdField: TypeAlias = Annotated[ClusterId, PlainValidator(_from_text(ClusterId, ClusterId))]
MacField: TypeAlias = Annotated[Mac, PlainValidator(_from_text(Mac, Mac))]
AsNumberField: TypeAlias = Annotated[AsNumber, PlainValidator(_as_number)]
DurationField: TypeAlias = Annotated[Duration, PlainValidator(parse_duration)]
PortField: TypeAlias = Annotated[Port, PlainValidator(parse_port)]
ProtocolField: TypeAlias = Annotated[Protocol, PlainValidator(parse_protocol)]

MAX_SELECTOR = 1024


def _selector(value: str) -> str:
    if len(value) > MAX_SELECTOR:
        raise ValueError(f"the selector has {len(value)} characters, at most {MAX_SELECTOR} are allowed")
    try:
        parse(value)
    except SelectorError as error:
        raise ValueError(f"{value!r} is not a selector: {error.problem} (column {error.column})") from None
    return value


SelectorText: TypeAlias = Annotated[StrictStr, AfterValidator(_selector), Shape({"maxLength": MAX_SELECTOR})]
"""A selector that parses; kept as written."""


@dataclass(frozen=True, slots=True)
class TextForm(AfterValidator):
    """Accepts text that matches as a whole, or empty where it is `optional`. A schema carries the pattern."""

    pattern: str = ""
    optional: bool = True


def _matching(pattern: str, what: str, *, optional: bool = True) -> TextForm:
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if (value or not optional) and not compiled.fullmatch(value):
            raise ValueError(f"{value!r} is not {what}")
        return value

    return TextForm(check, pattern, optional)


InterfaceName: TypeAlias = Annotated[
    StrictStr, _matching(r"[a-zA-Z0-9_.-]{1,15}", "an interface name: 1 to 15 letters, digits, '_', '.' or '-'")
]
_A_NAME = "a name of lower case letters, digits, '-' and '.'"
ObjectName: TypeAlias = Annotated[StrictStr, Field(max_length=MAX_NAME), _matching(SUBDOMAIN, _A_NAME)]
"""The name of an object that this one speaks of."""
ListedName: TypeAlias = Annotated[StrictStr, Field(max_length=MAX_NAME), _matching(SUBDOMAIN, _A_NAME, optional=False)]
"""The same as an item of a list, where empty text is no name: it does not mean unset there."""
IgnoredInterface: TypeAlias = Annotated[
    StrictStr,
    _matching(
        r"[a-zA-Z0-9_.-][a-zA-Z0-9_.*-]{0,14}|\*[a-zA-Z0-9_.*-]{1,14}",
        "an interface pattern other than '*' alone: 1 to 15 letters, digits, '_', '.', '-' or '*'",
        optional=False,
    ),
]
InterfacePattern: TypeAlias = Annotated[
    StrictStr,
    _matching(r"[a-zA-Z0-9_.*-]{1,15}", "an interface pattern: 1 to 15 letters, digits, '_', '.', '-' or '*'"),
]


StringMap: TypeAlias = Annotated[Mapping[StrictStr, StrictStr], AfterValidator(FrozenDict)]
AnyJson: TypeAlias = Annotated[Any, AfterValidator(freeze)]


def empty_is_unset(value: Any) -> Any:
    """Go's zero string stands for unset in the reference's own objects."""
    return None if value == "" else value


EMPTY_IS_UNSET = BeforeValidator(empty_is_unset)
