"""Settings as texts: from the environment, from `felix.cfg`, from FelixConfiguration's fields.

The file is an INI file as Felix reads it: every section counts, `=` or `:` between name and value, `#` and `;` begin a
comment anywhere, quotes around a value are taken off, a backslash at the end goes on in the next line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from muslin.errors import BadInput, Place, Problem
from muslin.resources.durations import Duration
from muslin.resources.felix_configuration import FelixConfiguration, FelixConfigurationSpec
from muslin.resources.felix_values import ConntrackTimeouts, HealthTimeoutOverride, ProtoPort, RouteTableRange
from muslin.semantics.felix_kinds import MILLIS, PORTS
from muslin.semantics.felix_parameters import PARAMETERS, Parameter

__all__ = ["ANNOTATION", "felix_environment", "felix_fields", "felix_file"]

ANNOTATION: Final = "config.projectcalico.org/"
"""What an annotation's key begins with that says a setting as text, stronger than the field; the setting's name
follows."""

_PREFIX: Final = "felix_"


def felix_environment(variables: Mapping[str, str]) -> Mapping[str, str]:
    """Settings of an environment: variables that begin with `FELIX_` in any case; names are given in lower case."""
    return {name[len(_PREFIX) :].lower(): text for name, text in variables.items() if name.lower().startswith(_PREFIX)}


def felix_file(text: str, name: str = "felix.cfg") -> Mapping[str, str]:
    """Settings of a file, the last one of each name.

    Args:
        text: the whole file.
        name: of the file, for the message.

    Raises:
        BadInput: a line is neither a section, nor a setting, nor a comment.
    """
    settings: dict[str, str] = {}
    for number, line in _lines(text.removeprefix("\ufeff")):
        if not line or line[0] in "#;":
            continue
        if line[0] == "[":
            if line.rfind("]") < 2:
                raise _unreadable(name, number, "the section is not closed, or has no name", "write [global]")
            continue
        end = min((at for at in (line.find("="), line.find(":")) if at >= 0), default=-1)
        if end <= 0:
            raise _unreadable(name, number, f"{line!r} is no setting", "write Name = value, or '#' before a comment")
        settings[line[:end].strip().strip('"`')] = _unquoted(line[end + 1 :].strip())
    return settings


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their numbers, continued ones joined."""
    begun, first = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        first = first if begun else number
        if stripped.endswith("\\") and stripped[0] not in "#;[":
            begun += stripped[:-1]
        else:
            yield first, begun + stripped
            begun = ""
    if begun:
        yield first, begun


def _unquoted(value: str) -> str:
    for quote in ('"""', "`"):
        end = value.rfind(quote)
        if value.startswith(quote) and end >= len(quote):
            return value[len(quote) : end]
    comment = min((at for at in (value.find("#"), value.find(";")) if at >= 0), default=len(value))
    value = value[:comment].strip()
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    return value


def _unreadable(file: str, line: int, what: str, fix: str) -> BadInput:
    return BadInput(Problem(what, str(Place(file, line)), fix))


_BY_FIELD: Final = {each.field: each for each in PARAMETERS.values() if each.field is not None}
_FIELDS: Final = tuple(
    (name, parameter)
    for name, field in FelixConfigurationSpec.model_fields.items()
    if (parameter := _BY_FIELD.get(field.alias or name)) is not None
)
"""Every field that is a setting: its Python name, and the setting."""


def felix_fields(configuration: FelixConfiguration) -> Mapping[str, str]:
    """Settings that one FelixConfiguration says: its fields that are set, and its annotations over them.

    Names are as in a file, texts as a file would have them: durations are numbers of seconds, lists have commas.
    """
    spec = configuration.spec
    texts = {
        parameter.name: _text(getattr(spec, name), parameter)
        for name, parameter in _FIELDS
        if name in spec.model_fields_set and getattr(spec, name) is not None
    }
    known = {name.lower(): name for name in texts}
    for key, text in configuration.metadata.annotations.items():
        if key.startswith(ANNOTATION):
            name = key[len(ANNOTATION) :]
            texts[known.get(name.lower(), name)] = text
    return {name: text for name, text in texts.items() if text != ""}


def _text(value: Any, parameter: Parameter) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case Duration():
            return _number(value.nanoseconds, 10**6 if parameter.kind is MILLIS else 10**9)
        case RouteTableRange():
            return _item(value)
        case ConntrackTimeouts():
            return _pairs((_capital(name), text) for name, text in value.to_json().items())
        case Mapping():
            return _pairs(value.items())
        case () if parameter.kind is PORTS:
            return "none"
        case tuple():
            return ",".join(map(_item, value))
        case _:
            return str(getattr(value, "value", value))


def _capital(name: str) -> str:
    """Name of a timeout among settings from that among fields: `tcpSynSent` is `TCPSynSent`."""
    first = next((word for word in ("icmp", "tcp", "udp") if name.startswith(word)), name[:1])
    return first.upper() + name[len(first) :]


def _item(value: Any) -> str:
    match value:
        case ProtoPort():
            protocol = (value.protocol or "tcp").lower()
            if not value.net:
                return f"{protocol}:{value.port}"
            net = f"[{value.net}]" if ":" in value.net else value.net
            return f"{protocol}:{net}:{value.port}"
        case RouteTableRange():
            return f"{value.min}-{value.max}"
        case HealthTimeoutOverride():
            return f"{value.name}={value.timeout}"
        case _:
            return str(value)


def _pairs(pairs: Iterable[tuple[str, Any]]) -> str:
    return ",".join(f"{name}={text}" for name, text in pairs)


def _number(count: int, unit: int) -> str:
    whole, rest = divmod(abs(count), unit)
    digits = f"{whole}.{rest:0{len(str(unit)) - 1}d}".rstrip("0").rstrip(".") if rest else str(whole)
    return f"-{digits}" if count < 0 else digits
