"""What a conversion gives back, and reading objects that others wrote without trusting the type of anything."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from ipaddress import ip_interface
from typing import Any, Final, NamedTuple, NoReturn

from muslin.errors import Problem

__all__ = [
    "API_VERSION", "Converted", "Json", "as_list", "as_mapping", "as_text", "as_texts", "born", "compact_json",
    "metadata_of", "network", "parse_json", "place",
]  # fmt: skip

Json = Mapping[str, Any]

API_VERSION: Final = "projectcalico.org/v3"

_ESCAPED = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


class Converted(NamedTuple):
    """An object, and what of its origin could not be used: told, left out, never a reason to fail.

    `value` is new and the caller's to change.
    """

    value: dict[str, Any]
    problems: tuple[Problem, ...] = ()


def as_mapping(value: Any) -> Json:
    """The value if it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def as_list(value: Any) -> Sequence[Any]:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, (list, tuple)) else ()


def as_text(value: Any) -> str:
    """The value if it is text, else empty text."""
    return value if isinstance(value, str) else ""


def as_texts(value: Any) -> dict[str, str]:
    """The entries of a mapping that are text, in a new dictionary."""
    return {k: v for k, v in as_mapping(value).items() if isinstance(k, str) and isinstance(v, str)}


def metadata_of(obj: Json) -> Json:
    """The object's metadata, empty where there is none."""
    return as_mapping(obj.get("metadata"))


def born(obj: Json) -> dict[str, Any]:
    """`uid`, `resourceVersion` and `creationTimestamp` of an object, those that it has."""
    metadata = metadata_of(obj)
    return {name: metadata[name] for name in ("uid", "resourceVersion", "creationTimestamp") if metadata.get(name)}


def place(kind: str, obj: Json, path: str = "") -> str:
    """Where something stands, for people: kind, namespace and name of an object, then a path in it."""
    metadata = metadata_of(obj)
    name = "/".join(part for part in (as_text(metadata.get("namespace")), as_text(metadata.get("name"))) if part)
    return "  ".join(part for part in (f"{kind} {name or '(no name)'}", path) if part)


def compact_json(value: Any, *, sort: bool = True) -> str:
    """JSON as Go's encoder writes it: without blanks, keys of maps sorted, characters of HTML escaped."""
    text = json.dumps(value, separators=(",", ":"), sort_keys=sort, ensure_ascii=False)
    for character, escape in _ESCAPED.items():
        text = text.replace(character, escape)
    return text


def parse_json(text: str) -> Any:
    """The value of a text somebody else wrote. Raises ValueError with a sentence for people."""
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is not JSON: {error}") from None


def network(text: Any, *, bare: bool = False) -> str:
    """A prefix without host bits; with `bare` also a single address, as /32 or /128.

    Raises:
        ValueError: it is none, with a sentence for people.
    """
    if not isinstance(text, str) or "%" in text or not (bare or "/" in text):
        raise ValueError(f"{text!r} is not a prefix such as 192.0.2.0/24")
    return str(ip_interface(text).network)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
