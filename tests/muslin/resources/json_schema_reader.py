"""A small reader of JSON Schema, draft 7: as much as ours use, written from the specification, not from our writer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sized
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final

__all__ = ["complaints"]

_TYPES: Final[Mapping[str, Callable[[Any], bool]]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "integer": lambda value: (
        (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, float) and value.is_integer())
    ),
}
_SAYS_NOTHING: Final = frozenset({"description", "title", "default", "$schema", "definitions"})


def _parses(parse: Callable[[str], object], text: str) -> bool:
    try:
        parse(text)
    except ValueError:
        return False
    return True


_FORMATS: Final[Mapping[str, Callable[[str], bool]]] = {
    "ipv4": lambda text: _parses(IPv4Address, text),
    "ipv6": lambda text: _parses(IPv6Address, text),
}


def complaints(schema: Mapping[str, Any], value: Any) -> list[str]:
    """What is wrong with a value; raises KeyError for a keyword that this reader does not know."""
    return list(_read(schema, value, schema, "$"))


def _read(schema: Mapping[str, Any], value: Any, root: Mapping[str, Any], at: str) -> Iterator[str]:
    for keyword, stated in schema.items():
        if (
            keyword in _SAYS_NOTHING
            or keyword == "then"
            or (keyword == "additionalProperties" and "properties" in schema)
        ):
            continue
        if keyword in _WITHIN:
            yield from _WITHIN[keyword](schema, value, root, at)
        elif not _ALONE[keyword](stated, value):
            yield f"{at}: {value!r} breaks {keyword} {stated!r}"


def _text(check: Callable[[Any, str], bool]) -> Callable[[Any, Any], bool]:
    return lambda stated, value: not isinstance(value, str) or check(stated, value)


def _count(check: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda stated, value: not _TYPES["number"](value) or check(stated, value)


def _sized(kind: type[Sized], check: Callable[[int, int], bool]) -> Callable[[Any, Any], bool]:
    return lambda stated, value: not isinstance(value, kind) or check(stated, len(value))


_ALONE: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "type": lambda stated, value: any(
        _TYPES[each](value) for each in ([stated] if isinstance(stated, str) else stated)
    ),
    "enum": lambda stated, value: any(type(each) is type(value) and each == value for each in stated),
    "const": lambda stated, value: bool(stated == value),
    "pattern": _text(lambda stated, value: re.search(stated, value) is not None),
    "format": _text(lambda stated, value: stated not in _FORMATS or _FORMATS[stated](value)),
    "minLength": _text(lambda stated, value: len(value) >= stated),
    "maxLength": _text(lambda stated, value: len(value) <= stated),
    "minimum": _count(lambda stated, value: value >= stated),
    "maximum": _count(lambda stated, value: value <= stated),
    "exclusiveMinimum": _count(lambda stated, value: value > stated),
    "exclusiveMaximum": _count(lambda stated, value: value < stated),
    "minItems": _sized(list, lambda stated, size: size >= stated),
    "maxItems": _sized(list, lambda stated, size: size <= stated),
    "minProperties": _sized(dict, lambda stated, size: size >= stated),
    "maxProperties": _sized(dict, lambda stated, size: size <= stated),
    "uniqueItems": lambda stated, value: (
        not stated or not isinstance(value, list) or all(each not in value[:index] for index, each in enumerate(value))
    ),
    "required": lambda stated, value: not isinstance(value, dict) or set(stated) <= set(value),
}


def _properties(schema: Mapping[str, Any], value: Any, root: Mapping[str, Any], at: str) -> Iterator[str]:
    if not isinstance(value, dict):
        return
    known, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    for name, inner in value.items():
        if name in known:
            yield from _read(known[name], inner, root, f"{at}.{name}")
        elif others is False:
            yield f"{at}: no field {name!r}"
        elif isinstance(others, dict):
            yield from _read(others, inner, root, f"{at}.{name}")


def _items(schema: Mapping[str, Any], value: Any, root: Mapping[str, Any], at: str) -> Iterator[str]:
    for index, each in enumerate(value if isinstance(value, list) else ()):
        yield from _read(schema["items"], each, root, f"{at}[{index}]")


def _any(schema: Mapping[str, Any], value: Any, root: Mapping[str, Any], at: str) -> Iterator[str]:
    if all(list(_read(each, value, root, at)) for each in schema["anyOf"]):
        yield f"{at}: {value!r} fits no alternative"


def _all(schema: Mapping[str, Any], value: Any, root: Mapping[str, Any], at: str) -> Iterator[str]:
    for each in schema["allOf"]:
        yield from _read(each, value, root, at)


def _if(schema: Mapping[str, Any], value: Any, root: Mapping[str, Any], at: str) -> Iterator[str]:
    if not list(_read(schema["if"], value, root, at)):
        yield from _read(schema["then"], value, root, at)


def _reference(schema: Mapping[str, Any], value: Any, root: Mapping[str, Any], at: str) -> Iterator[str]:
    found: Any = root
    for step in schema["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    yield from _read(found, value, root, at)


_WITHIN: Final[Mapping[str, Callable[[Mapping[str, Any], Any, Mapping[str, Any], str], Iterator[str]]]] = {
    "properties": _properties,
    "additionalProperties": _properties,
    "items": _items,
    "anyOf": _any,
    "allOf": _all,
    "if": _if,
    "$ref": _reference,
}
