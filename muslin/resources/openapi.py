"""Structural OpenAPI schemas of our models, as a CustomResourceDefinition carries them.

Everything is read from the models: types, enums, ranges and lengths from their fields, rules from their CEL texts. What
OpenAPI cannot say (a selector's grammar, a regular expression's) stays with the models alone. The text forms of values
of the field (prefixes, ports, durations, ...) are said here, once a type.
"""

from __future__ import annotations

import enum
import re
import types
import typing
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from types import MappingProxyType
from typing import Any, Final

import annotated_types
from pydantic import AfterValidator
from pydantic.fields import FieldInfo

from muslin.net import AsNumber, ClusterId, Mac
from muslin.resources.bgp_peer import PeerAddress
from muslin.resources.durations import Duration
from muslin.resources.fields import EMPTY_IS_UNSET, ListType, TextForm, Words
from muslin.resources.meanings import meaning
from muslin.resources.part import Part, rules_of
from muslin.resources.ports import NamedPort, PortRange
from muslin.resources.protocols import Protocol
from muslin.resources.shape import Shape
from muslin.resources.validation import ChangeRule, ValidationRule

__all__ = ["Schema", "field_meaning", "schema_of"]

Schema = dict[str, Any]

_PORT: Final = r"0*([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
_PROTOCOL: Final = r"0{0,2}[1-9]|0?[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5]"
_BYTE: Final = r"(25[0-5]|2[0-4][0-9]|[01]?[0-9]{1,2})"
_DURATION: Final = r"^[-+]?(0|(([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$"
_AS_TEXT: Final = r"^[0-9]+(\.[0-9]+)?$"
_LONGEST_PREFIX: Final = 49
_LONGEST_ADDRESS: Final = 45
_MAX_AS: Final = 0xFFFFFFFF


def _number_or_text(**more: Any) -> Schema:
    return {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}], **more}


def _text(*formats: str, longest: int | None = None) -> Schema:
    schema: Schema = {"type": "string"}
    if longest is not None:
        schema["maxLength"] = longest
    if len(formats) == 1:
        schema["format"] = formats[0]
    elif formats:
        schema["anyOf"] = [{"format": each} for each in formats]
    return schema


_PORT_SCHEMA: Final = _number_or_text(
    minimum=1,
    maximum=65535,
    maxLength=128,
    pattern=rf"^({_PORT}(:{_PORT})?|[0-9]*[a-zA-Z_.-][a-zA-Z0-9_.-]*)$",
)
_BY_TYPE: Final[Mapping[type, Schema]] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    IPv4Network: _text("cidr", "ipv4", longest=_LONGEST_PREFIX),
    IPv6Network: _text("cidr", "ipv6", longest=_LONGEST_PREFIX),
    IPv4Address: _text("ipv4", longest=_LONGEST_ADDRESS),
    IPv6Address: _text("ipv6", longest=_LONGEST_ADDRESS),
    IPv4Interface: _text("cidr", "ipv4", longest=_LONGEST_PREFIX),
    IPv6Interface: _text("cidr", "ipv6", longest=_LONGEST_PREFIX),
    ClusterId: _text("ipv4"),
    Mac: _text("mac"),
    AsNumber: _number_or_text(minimum=0, maximum=_MAX_AS, pattern=_AS_TEXT),
    Duration: {"type": "string", "pattern": _DURATION},
    PeerAddress: {
        "type": "string",
        "maxLength": 64,
        "anyOf": [
            {"format": "ipv4"},
            {"format": "ipv6"},
            {"pattern": rf"^{_BYTE}(\.{_BYTE}){{3}}:{_PORT}$"},
            {"pattern": rf"^\[[0-9a-fA-F:.]+\](:{_PORT})?$"},
        ],
    },
    PortRange: _PORT_SCHEMA,
    NamedPort: _PORT_SCHEMA,
    Protocol: _number_or_text(
        minimum=1, maximum=255, pattern=rf"^(TCP|UDP|ICMP|ICMPv6|SCTP|UDPLite|{_PROTOCOL})$", maxLength=8
    ),
}
_ANYTHING: Final[Schema] = {"x-kubernetes-preserve-unknown-fields": True}


def schema_of(model: type[Part]) -> Schema:
    """The schema of a model's JSON objects, with a description, its fields and its rules."""
    model.model_rebuild()
    schema: Schema = {"type": "object", "description": _first_sentence(model.__doc__, _spelt(model))}
    fields = {field.alias or name: (name, field) for name, field in model.model_fields.items()}
    schema["properties"] = {spelt: _field(model, name, field) for spelt, (name, field) in sorted(fields.items())}
    if required := sorted(spelt for spelt, (_, field) in fields.items() if field.is_required()):
        schema["required"] = required
    for attribute, keyword in (("MIN_PROPERTIES", "minProperties"), ("MAX_PROPERTIES", "maxProperties")):
        if (bound := getattr(model, attribute, None)) is not None:
            schema[keyword] = bound
    if rules := _rules(model):
        schema["x-kubernetes-validations"] = rules
    return schema


def _rules(model: type[Part]) -> list[dict[str, str]]:
    rules: tuple[ValidationRule | ChangeRule, ...] = (*rules_of(model), *model.CHANGE_RULES)
    return [{"rule": rule.cel, "message": rule.message} for rule in rules if rule.cel is not None]


def _field(model: type[Part], name: str, field: FieldInfo) -> Schema:
    schema = _typed(field.annotation, field.metadata)
    meaning = field_meaning(model, name, field)
    return {"description": meaning, **schema} if meaning else schema


def field_meaning(model: type[Part], name: str, field: FieldInfo) -> str | None:
    """One sentence about a field: its own, else what its `effective_` property, its enum or its model says."""
    if own := field.description or meaning(model, field.alias or name):
        return own
    effective = getattr(model, f"effective_{name}", None)
    if effective is not None and effective.__doc__:
        return _first_sentence(effective.__doc__, _spelt(model) | _values(field.annotation))
    for each in _classes_in(field.annotation):
        if issubclass(each, (enum.Enum, Part)) and each.__doc__:
            return _first_sentence(each.__doc__, _spelt(each) | _values(each))
    return None


def _classes_in(annotation: Any) -> Iterable[type]:
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from _classes_in(argument)


def _spelt(model: type) -> dict[str, str]:
    """Names of a model's fields as manifests spell them, by their Python names."""
    if not issubclass(model, Part):
        return {}
    return {name: field.alias or name for name, field in model.model_fields.items()}


def _values(annotation: Any) -> dict[str, str]:
    """Values of the enums in an annotation, by their Python names."""
    enums = (each for each in _classes_in(annotation) if issubclass(each, enum.Enum))
    return {member.name: member.value for each in enums for member in each}


def _first_sentence(text: str | None, words: Mapping[str, str] = MappingProxyType({})) -> str:
    """The first paragraph of a docstring in the words of manifests."""
    paragraph = " ".join((text or "").strip().partition("\n\n")[0].split())
    return re.sub(r"`([^`]*)`", lambda quoted: words.get(quoted[1], quoted[1]), paragraph)


def _typed(annotation: Any, metadata: Iterable[Any] = ()) -> Schema:
    """The schema of one type with its marks; the outer marks are laid over the inner ones."""
    marks = list(metadata)
    while typing.get_origin(annotation) is typing.Annotated:
        annotation, *inner = typing.get_args(annotation)
        marks = [*inner, *marks]
    choices = _choices(annotation)
    if len(choices) == 1 and choices[0] is not annotation:
        return _marked(_typed(choices[0]), marks)
    if len(choices) > 1:
        return _marked(_either(choices), marks)
    return _marked(_plain(annotation), marks)


def _choices(annotation: Any) -> list[Any]:
    """The types of a union without None; None itself only means that the field may be left out."""
    if typing.get_origin(annotation) not in (typing.Union, types.UnionType):
        return [annotation]
    return [each for each in typing.get_args(annotation) if each is not types.NoneType]


def _either(choices: list[Any]) -> Schema:
    schemas = [_typed(each) for each in choices]
    if all(each == schemas[0] for each in schemas):
        return schemas[0]
    if all(each.get("type") == "string" and _formats(each) for each in schemas):
        formats = dict.fromkeys(each for schema in schemas for each in _formats(schema))
        longest = max(schema.get("maxLength", 0) for schema in schemas)
        return _text(*formats, longest=longest or None)
    raise TypeError(f"no schema says either of {choices}; mark the field with a Shape")


def _formats(schema: Schema) -> list[str]:
    alternatives = [schema, *schema.get("anyOf", ())]
    return [each["format"] for each in alternatives if "format" in each]


def _plain(annotation: Any) -> Schema:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is Any:
        return dict(_ANYTHING)
    if origin is typing.Literal:
        kind = "integer" if isinstance(arguments[0], int) else "string"
        return {"type": kind, "enum": list(arguments)}
    if origin is tuple:
        item = arguments[0]
        items = _typed(item)
        if types.NoneType in typing.get_args(item):
            items["nullable"] = True
        return {"type": "array", "items": items}
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _typed(arguments[1])}
    if isinstance(annotation, type):
        if issubclass(annotation, Part):
            return schema_of(annotation)
        if issubclass(annotation, enum.Enum):
            return {"type": "string", "enum": [each.value for each in annotation]}
        for each in annotation.__mro__:
            if each in _BY_TYPE:
                return dict(_BY_TYPE[each])
    raise TypeError(f"no schema is known for {annotation!r}; mark the field with a Shape")


def _marked(schema: Schema, marks: Iterable[Any]) -> Schema:
    for mark in marks:
        if isinstance(mark, FieldInfo):
            schema = _marked(schema, mark.metadata)
        elif mark is EMPTY_IS_UNSET:
            schema = _with_empty(schema)
        elif mark is ListType.SET:
            schema = _as_set(schema)
        elif mark is ListType.BY_TYPE:
            schema = {**schema, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
        elif isinstance(mark, Shape):
            schema = {**({} if mark.alone else schema), **mark.schema}
        elif isinstance(mark, Words):
            schema = {**schema, **_words(mark)}
        elif isinstance(mark, TextForm):
            schema = {**schema, "pattern": rf"^({mark.pattern}){'?' * mark.optional}$"}
        else:
            schema = {**schema, **_bounds(mark, schema)}
    return schema


_FORM: Final = ("format", "pattern", "anyOf", "minLength")


def _with_empty(schema: Schema) -> Schema:
    """The same, and empty text, which Go's clients write where nothing is set."""
    if "enum" in schema:
        return {**schema, "enum": [*schema["enum"], ""]}
    form = {key: schema[key] for key in _FORM if key in schema}
    if not form or schema.get("type") != "string":
        return schema
    alternatives = form["anyOf"] if set(form) == {"anyOf"} else [form]
    rest = {key: value for key, value in schema.items() if key not in form}
    return {**rest, "anyOf": [*alternatives, {"maxLength": 0}]}


def _as_set(schema: Schema) -> Schema:
    items = schema["items"]
    if items.get("type") == "object":
        items = {**items, "x-kubernetes-map-type": "atomic"}
    bound = {"maxItems": len(items["enum"])} if "enum" in items else {}
    return {**schema, **bound, "items": items, "x-kubernetes-list-type": "set"}


def _words(mark: Words) -> Schema:
    if mark.any_case:
        return {"pattern": rf"^(?i)({'|'.join(mark.allowed)})?$"}
    return {"enum": list(mark.allowed)}


_LENGTHS: Final = {"string": "Length", "array": "Items", "object": "Properties"}


def _bounds(mark: Any, schema: Schema) -> Schema:
    """Ranges, lengths and patterns, in whichever of pydantic's forms."""
    match mark:
        case annotated_types.Ge(ge=bound):
            return {"minimum": bound}
        case annotated_types.Gt(gt=bound):
            return {"minimum": bound, "exclusiveMinimum": True}
        case annotated_types.Le(le=bound):
            return {"maximum": bound}
        case annotated_types.Lt(lt=bound):
            return {"maximum": bound, "exclusiveMaximum": True}
        case annotated_types.MinLen(min_length=bound):
            return {f"min{_LENGTHS[schema.get('type', 'string')]}": bound} if bound else {}
        case annotated_types.MaxLen(max_length=bound):
            return {f"max{_LENGTHS[schema.get('type', 'string')]}": bound}
        case AfterValidator():
            return {}
    general: Schema = {}
    for attribute, keyword in (("pattern", "pattern"), ("max_length", "maxLength"), ("min_length", "minLength")):
        value = getattr(mark, attribute, None)
        if isinstance(value, (str, int)):
            general[keyword] = value
    return general
