"""Text to documents in one pass over the parser's events; no composer, no constructor, no recursion.

Only the scanner and event parser of PyYAML are used, in C where built. Every bound is checked as events come, so that
no text can make us build what we would refuse (rule: reliability.md R14).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from muslin.errors import BadInput, Place, Problem
from muslin.yaml.events import ParserFactory, fastest_parser
from muslin.yaml.faults import syntax_problem
from muslin.yaml.limits import Limits
from muslin.yaml.places import KeyMark, Mark, Places, field_path
from muslin.yaml.scalars import key_text, resolved, tagged
from muslin.yaml.text import characters

__all__ = ["Document", "load"]

_DEFAULT = Limits()
_CORE = "tag:yaml.org,2002:"


@dataclass(frozen=True, slots=True)
class Document:
    """One document: `value` is what JSON could say (dict, list, str, int, float, bool), `places` where it stands."""

    value: Any
    places: Places


def load(
    text: bytes | str, file: str | None = None, *, limits: Limits = _DEFAULT, parser: ParserFactory = fastest_parser
) -> tuple[Document, ...]:
    """The documents of a text, in order; empty ones and those that say null are left out, as `kubectl` does.

    JSON is read as well. Raises BadInput with all that was found: meaning is checked to the end, while reading stops at
    the first fault of syntax or broken limit.

    Args:
        text: bytes of a file, or characters.
        file: what to call the text in messages.
        limits: bounds on the text.
        parser: another source of events, for tests.
    """
    decoded = characters(text, file, limits)
    reading = _Reading(file, limits)
    events = None
    try:
        events = parser(decoded)
        while (event := events.get_event()) is not None:
            reading.take(event)
    except yaml.YAMLError as error:
        reading.problems.append(syntax_problem(error, decoded, file))
    except _Stop:
        pass
    finally:
        if events is not None:
            events.dispose()
    if reading.problems:
        raise BadInput(reading.problems)
    return tuple(reading.documents)


class _Stop(Exception):
    """Reading any further is of no use."""


@dataclass(slots=True)
class _Anchored:
    """What an alias stands for; `size` and `height` with everything expanded."""

    value: Any
    mark: Mark
    size: int
    height: int


@dataclass(slots=True)
class _Open:
    """A mapping or sequence whose end has not come yet."""

    value: dict[str, Any] | list[Any]
    mark: Mark
    anchor: str | None
    size_before: int
    key: str | None = None
    key_line: int = 0
    key_column: int = 0
    merging: bool = False
    written: set[str] = field(default_factory=set)
    height: int = 1


_REFUSED = object()
"""Stands for a value that was refused, so that reading can go on."""


class _Reading:
    """Builds values and marks from events."""

    def __init__(self, file: str | None, limits: Limits) -> None:
        self._file, self._limits = file, limits
        self.documents: list[Document] = []
        self.problems: list[Problem] = []
        self._seen_documents = self._size = self._aliases = 0
        self._open: list[_Open] = []
        self._anchors: dict[str, _Anchored | None] = {}
        self._root: tuple[Any, Mark] | None = None

    def take(self, event: Any) -> None:
        """Goes on by one event. Raises _Stop where nothing more should be read."""
        kind = event.__class__
        if kind is yaml.ScalarEvent:
            self._scalar(event)
        elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
            self._opens(event, {} if kind is yaml.MappingStartEvent else [])
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            self._closes()
        elif kind is yaml.AliasEvent:
            self._alias(event)
        elif kind is yaml.DocumentStartEvent:
            self._document_starts(event)
        elif kind is yaml.DocumentEndEvent and self._root is not None:
            value, mark = self._root
            if value is not None:
                self.documents.append(Document(value, Places(mark, self._file)))

    def _document_starts(self, event: Any) -> None:
        self._seen_documents += 1
        if self._seen_documents > self._limits.documents:
            self._stop(
                f"the text has more than {self._limits.documents} documents", event, "split it into several files"
            )
        self._anchors, self._root = {}, None

    def _scalar(self, event: Any) -> None:
        self._count(1, event)
        text, tag, line, column = event.value, event.tag, event.start_mark.line, event.start_mark.column
        if len(text) > self._limits.scalar_characters:
            self._stop(
                f"a scalar has {len(text)} characters, at most {self._limits.scalar_characters} are read",
                event,
                "shorten it",
            )
        if not text.isascii() and not _is_unicode(text):
            self._stop("half of a surrogate pair is not a character", event, "write the character itself")
        plain = event.implicit[0]
        parent = self._open[-1] if self._open else None
        if parent is not None and parent.key is None and not parent.merging and isinstance(parent.value, dict):
            if text == "<<" and (tag == f"{_CORE}merge" or (plain and tag is None)):
                parent.merging = True
                return
            key = self._key(text, tag, event, plain=plain)
            if event.anchor is not None:
                self._anchors[event.anchor] = _Anchored(key, Mark(line, column), 1, 0)
            self._key_comes(parent, key, event)
            return
        value: Any = text
        if tag is None or tag == "!":
            if plain and tag is None:
                value = resolved(text)
        else:
            value = self._tagged(tag, text, event)
        if value.__class__ is float and (value != value or value in (float("inf"), float("-inf"))):  # noqa: PLR0124
            self._note(f"{text[:40]!r} has no JSON form", event, "write a number, or put the text in quotes")
            value = _REFUSED
        mark = Mark(line, column)
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchored(value, mark, 1, 0)
        self._put(value, mark)

    def _key(self, text: str, tag: str | None, event: Any, *, plain: bool) -> str:
        try:
            if tag is None or tag == "!":
                return key_text(text) if plain and tag is None else text
            if tag == f"{_CORE}str":
                return text
            tagged(tag, text)
            return key_text(text)
        except ValueError as error:
            self._note(f"{error}", event, "put the key in quotes; keys are strings")
            return text

    def _tagged(self, tag: str, text: str, event: Any) -> Any:
        try:
            return tagged(tag, text)
        except ValueError as error:
            self._note(f"{error}", event, "remove the tag; write text in quotes and other values plainly")
            return _REFUSED

    def _key_comes(self, parent: _Open, key: str, event: Any) -> None:
        if key in parent.written:
            inside = parent.mark.inside
            first = inside.get(key) if isinstance(inside, dict) else None
            where = f", first at line {first.line + 1}" if first else ""
            self._note(f"the key {key[:80]!r} stands twice in one mapping{where}", event, "keep one of the two", key)
        parent.written.add(key)
        parent.key, parent.key_line, parent.key_column = key, event.start_mark.line, event.start_mark.column

    def _opens(self, event: Any, value: dict[str, Any] | list[Any]) -> None:
        self._count(1, event)
        if len(self._open) >= self._limits.depth:
            self._too_deep(event)
        tag = event.tag
        if tag is not None and tag not in ("!", f"{_CORE}map" if isinstance(value, dict) else f"{_CORE}seq"):
            self._note(
                f"the tag {tag.replace(_CORE, '!!')[:60]} has no meaning here", event, "remove it; write plain data"
            )
        parent = self._open[-1] if self._open else None
        if parent is not None and isinstance(parent.value, dict) and parent.key is None and not parent.merging:
            self._stop("a key must be a scalar, not a mapping or sequence", event, "write the key as text")
        mark = Mark(event.start_mark.line, event.start_mark.column, {} if isinstance(value, dict) else [])
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        self._open.append(_Open(value, mark, event.anchor, self._size - 1))

    def _closes(self) -> None:
        closed = self._open.pop()
        if closed.anchor is not None:
            self._anchors[closed.anchor] = _Anchored(
                closed.value, closed.mark, self._size - closed.size_before, closed.height
            )
        if self._open:
            self._open[-1].height = max(self._open[-1].height, closed.height + 1)
        self._put(closed.value, closed.mark)

    def _alias(self, event: Any) -> None:
        self._aliases += 1
        if self._aliases > self._limits.aliases:
            self._stop(f"the text uses more than {self._limits.aliases} aliases", event, "write the values out")
        if event.anchor not in self._anchors:
            self._note(f"the alias *{event.anchor[:40]} has no anchor above it", event, "define it, or quote the text")
            found: _Anchored | None = _Anchored(_REFUSED, Mark(event.start_mark.line, event.start_mark.column), 1, 0)
        else:
            found = self._anchors[event.anchor]
        if found is None:
            self._stop(f"the alias *{event.anchor[:40]} stands inside what it stands for", event, "write it out")
        self._count(found.size, event)
        if len(self._open) + found.height > self._limits.depth:
            self._too_deep(event)
        parent = self._open[-1] if self._open else None
        if parent is not None:
            parent.height = max(parent.height, found.height + 1)
            if isinstance(parent.value, dict) and parent.key is None and not parent.merging:
                if not isinstance(found.value, str):
                    self._note("an alias used as a key must stand for text", event, "write the key out")
                self._key_comes(parent, str(found.value), event)
                return
        self._put(_copied(found.value), found.mark)

    def _put(self, value: Any, mark: Mark) -> None:
        """Hands a finished value to what holds it."""
        if not self._open:
            self._root = (value, mark)
            return
        parent = self._open[-1]
        inside: Any = parent.mark.inside
        if isinstance(parent.value, list):
            parent.value.append(value)
            inside.append(mark)
        elif parent.merging:
            parent.merging = False
            self._merge(parent, value, mark)
        elif parent.key is not None:
            parent.value[parent.key] = value
            inside[parent.key] = KeyMark(parent.key_line, parent.key_column, mark)
            parent.key = None

    def _merge(self, parent: _Open, value: Any, mark: Mark) -> None:
        """`<<`: goyaml merges where the key stands, over what was written above it and under what follows."""
        sources: list[tuple[Any, Any]] = [(value, mark)]
        if isinstance(value, list):
            sources = list(zip(value, mark.inside or (), strict=True))[::-1]
        for source, source_mark in sources:
            if isinstance(source, dict):
                parent.value.update(source)  # type: ignore[union-attr]
                parent.mark.inside.update(source_mark.inside)  # type: ignore[union-attr]
            elif source is not _REFUSED:
                place = self._place(source_mark.line, source_mark.column)
                self._add(
                    Problem("<< must name a mapping or a list of them", str(place), 'write "<<" in quotes for text')
                )

    def _count(self, nodes: int, event: Any) -> None:
        self._size += nodes
        if self._size > self._limits.nodes:
            self._stop(
                f"the text has more than {self._limits.nodes} values, aliases expanded", event, "split it into several"
            )

    def _too_deep(self, event: Any) -> None:
        self._stop(f"values nest deeper than {self._limits.depth} levels", event, "make it flatter")

    def _place(self, line: int, column: int, *more: str) -> Place:
        path: list[str | int] = []
        for opened in self._open:
            if isinstance(opened.value, list):
                path.append(len(opened.value))
            elif opened.key is not None:
                path.append(opened.key)
        return Place(self._file, line + 1, column + 1, field_path([*path, *more]) or None)

    def _note(self, what: str, event: Any, fix: str, *more: str) -> None:
        self._add(Problem(what, str(self._place(event.start_mark.line, event.start_mark.column, *more)), fix))

    def _add(self, problem: Problem) -> None:
        self.problems.append(problem)
        if len(self.problems) >= self._limits.problems:
            raise _Stop

    def _stop(self, what: str, event: Any, fix: str) -> NoReturn:
        self._note(what, event, fix)
        raise _Stop


def _is_unicode(text: str) -> bool:
    """Whether the text is all characters; the parser in Python lets escapes make halves of them."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _copied(value: Any) -> Any:
    """The value with collections of its own, so that changing one use of an anchor leaves the others."""
    if isinstance(value, dict):
        return {key: _copied(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_copied(inner) for inner in value]
    return value
