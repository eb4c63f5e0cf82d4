"""What other people wrote, made fit for a terminal: names in a file may hold control characters."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

__all__ = ["Field", "by_name", "field_lines", "printable", "short_commit"]

Field = tuple[str, Any, Any]
"""A field's path, its old value, its new one; None where it is not there."""


def printable(text: str) -> str:
    """The text on one line, with everything that is no character for people escaped (a terminal obeys an escape)."""
    return text if text.isprintable() else "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    return character if character.isprintable() else ascii(character)[1:-1]


def by_name(value: Any) -> Any:
    """The same value with the keys of every mapping sorted, which is how calicoctl prints YAML."""
    if isinstance(value, Mapping):
        return {key: by_name(value[key]) for key in sorted(value)}
    return [by_name(each) for each in value] if isinstance(value, list | tuple) else value


def short_commit(commit: str | None) -> str:
    """A commit's id as git shows it, of several sources each one's; other names stay whole."""
    from reconciler.remotes import short  # noqa: PLC0415 - most verbs show no commit

    return short(printable(commit or "")) or "none"


def field_lines(fields: Iterable[Field]) -> Iterator[str]:
    """One line a field: `+` it is new, `-` it goes, `~` it changes. A new object is taken apart into its fields."""
    for path, old, new in fields:
        if old is None:
            yield from (f"+ {printable(at)}: {_value(leaf)}" for at, leaf in _leaves(path, new))
        elif new is None:
            yield from (f"- {printable(at)}: {_value(leaf)}" for at, leaf in _leaves(path, old))
        else:
            yield f"~ {printable(path)}: {_value(old)} -> {_value(new)}"


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            at = f"{path}[{name!r}]" if "." in name or "/" in name else f"{path}.{name}"
            yield from _leaves(at, inner)
    elif isinstance(value, list | tuple) and value:
        for index, inner in enumerate(value):
            yield from _leaves(f"{path}[{index}]", inner)
    else:
        yield path, value


def _value(value: Any) -> str:
    text = value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False, default=str)
    return printable(text)
