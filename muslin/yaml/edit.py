"""Change one field in a text that people wrote, and leave their comments, order and style alone.

The one document goes through ruamel.yaml's round trip, with nothing resolved: a plain scalar stays the characters it
is, so no reading of `yes` or `017` can creep in. The result is read again and must say what was asked, else nothing is
given back.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.resolver import VersionedResolver
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, PlainScalarString
from ruamel.yaml.tag import Tag
from ruamel.yaml.tokens import CommentToken

from muslin.errors import BadInput, Failed, Place, Problem
from muslin.yaml.places import Mark, Path, field_path
from muslin.yaml.presentation import plain_text
from muslin.yaml.read import Document, load
from muslin.yaml.scalars import key_text

__all__ = ["edit"]

_DOCUMENT_START = re.compile(r"^---(?=\s|$)", re.MULTILINE)
"""Three dashes at a line's begin part documents wherever they stand; no scalar can contain them there."""
_PLAIN_KEYS = (str, PlainScalarString)
"""What ruamel gives for keys without quotes, a quoted one being of a type of its own."""
_NEVER_FOLD = 1 << 30


def edit(text: str, path: Path, value: Any, *, document: int = 0, file: str | None = None) -> str:
    """The text with the value at `path` set; everything else says and, as far as possible, looks what it did.

    Args:
        text: what somebody wrote; checked as `load` does.
        path: mappings on the way are made where missing; an index equal to a list's length appends.
        value: what JSON can say.
        document: which of the documents that `load` gives.
        file: what to call the text in messages.

    Raises:
        BadInput: the text is no YAML, or the path does not fit it.
        Failed: the change cannot be made without changing something else, as behind an alias.
    """
    documents = load(text, file)
    if not 0 <= document < len(documents):
        raise BadInput(
            Problem(f"the text has {len(documents)} documents, none of number {document}", file or "text", "check it")
        )
    expected = [one.value for one in documents]
    expected[document] = _with(documents[document], path, value, file)
    crlf = "\r\n" in text
    chunks = _chunks(text.replace("\r\n", "\n"))
    index = [number for number, chunk in enumerate(chunks) if load(chunk.removeprefix("---"), file)][document]
    chunks[index] = _edited(chunks[index], path, value, file)
    result = "".join(chunks)
    if [one.value for one in load(result, file)] != expected:
        raise Failed(
            Problem(
                "the field cannot be changed without changing something else",
                str(documents[document].places.at(path)),
                "write out aliases and merged keys around it, or change it by hand",
            )
        )
    return result.replace("\n", "\r\n") if crlf else result


def _chunks(text: str) -> list[str]:
    """The text cut before each `---`; joined they are the text."""
    starts = [0, *(found.start() for found in _DOCUMENT_START.finditer(text) if found.start())]
    return [text[start:end] for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]


def _edited(chunk: str, path: Path, value: Any, file: str | None) -> str:
    """One document's text with the change."""
    start = "---" if _DOCUMENT_START.match(chunk) else ""
    body = chunk[len(start) :]
    first, line_break, rest = body.partition("\n") if start and not body.partition("\n")[0].strip() else ("", "", body)
    yaml = _round_trip(rest, file)
    out = io.StringIO()
    try:
        root = yaml.load(rest)
        _set(root, path, value)
        yaml.dump(root, out)
    except YAMLError as error:
        raise Failed(Problem(f"the text cannot be edited: {error}", file or "text", "change it by hand")) from error
    return f"{start}{first}{line_break}{out.getvalue()}"


class _NothingResolved(VersionedResolver):
    """Takes every scalar for a string."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        """The tag of a node."""
        return Tag(suffix="tag:yaml.org,2002:str") if kind is ScalarNode else super().resolve(kind, value, implicit)


def _round_trip(text: str, file: str | None) -> Any:
    """ruamel.yaml set to the text's own indentation."""
    yaml = YAML(typ="rt", pure=True)
    yaml.Resolver = _NothingResolved
    yaml.preserve_quotes = True
    yaml.width = _NEVER_FOLD
    steps = list(_steps(load(text, file)[0].places.root))
    mapping = next((step for kind, step in steps if kind == "map"), 2)
    offset = next((step for kind, step in steps if kind == "list"), 0)
    yaml.indent(mapping=mapping, sequence=offset + 2, offset=offset)
    return yaml


def _steps(mark: Mark) -> Iterator[tuple[str, int]]:
    """How far inner blocks stand from the mapping around them, outer ones first."""
    if isinstance(mark.inside, dict):
        for inner in mark.inside.values():
            if inner.value.inside and inner.value.line > inner.line:
                kind = "map" if isinstance(inner.value.inside, dict) else "list"
                yield kind, inner.value.column - inner.column
            yield from _steps(inner.value)
    else:
        for item in mark.inside or ():
            yield from _steps(item)


def _with(document: Document, path: Path, value: Any, file: str | None) -> Any:
    """What the document shall say. Raises BadInput where the path does not fit it."""
    if not path:
        raise BadInput(Problem("the path is empty", file or "text", "name a field"))
    root = _copied(document.value)
    holder = root
    for depth, step in enumerate(path[:-1]):
        if isinstance(holder, dict) and isinstance(step, str) and holder.get(step) is None:
            holder[step] = {}
        if not _has(holder, step):
            raise _misfit(document, path[: depth + 1])
        holder = holder[step]
    last = path[-1]
    if isinstance(holder, dict) and isinstance(last, str):
        holder[last] = _copied(value)
    elif isinstance(holder, list) and isinstance(last, int) and 0 <= last <= len(holder):
        holder[last : last + 1] = [_copied(value)]
    else:
        raise _misfit(document, path)
    return root


def _has(holder: Any, step: str | int) -> bool:
    if isinstance(holder, list):
        return isinstance(step, int) and 0 <= step < len(holder)
    return isinstance(holder, dict) and isinstance(step, str) and step in holder


def _misfit(document: Document, path: Path) -> BadInput:
    place: Place = document.places.at(path)
    return BadInput(Problem(f"{field_path(path)} cannot be set here", str(place), "check the path against the text"))


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copied(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_copied(inner) for inner in value]
    return value


def _set(root: Any, path: Path, value: Any) -> None:
    """Changes ruamel's tree; the path is known to fit."""
    holder = root
    for step in path[:-1]:
        name = _name(holder, step)
        if isinstance(holder, CommentedMap) and not isinstance(holder.get(name), CommentedMap | CommentedSeq):
            holder[name] = CommentedMap()
        holder = holder[name]
    name = _name(holder, path[-1])
    tree = _tree(value)
    if isinstance(holder, CommentedSeq) and name == len(holder):
        following = _take_following(holder, name - 1) if holder else None
        holder.append(tree)
    else:
        following = _take_following(holder, name) if name in holder or isinstance(holder, CommentedSeq) else None
        holder[name] = tree
    if following is not None:
        _give_following(holder, name, following)


def _last_leaf(holder: Any, step: Any) -> tuple[Any, Any]:
    """The holder and step of the last scalar written under `step`; ruamel hangs what follows in the text on it."""
    inner = holder[step]
    while isinstance(inner, CommentedMap | CommentedSeq) and inner:
        holder, step = inner, next(reversed(inner)) if isinstance(inner, CommentedMap) else len(inner) - 1
        inner = holder[step]
    return holder, step


def _slot(holder: Any) -> int:
    """Where in ruamel's list of comments the one behind a value is kept."""
    return 2 if isinstance(holder, CommentedMap) else 0


def _take_following(holder: Any, step: Any) -> CommentToken | None:
    """Takes away the blank lines and comments below the value at `step`; they belong to what comes next."""
    leaf, name = _last_leaf(holder, step)
    kept = leaf.ca.items.get(name)
    token = kept[_slot(leaf)] if kept else None
    if not isinstance(token, CommentToken):
        return None
    own, line_break, below = token.value.partition("\n")
    if not below:
        return None
    kept[_slot(leaf)] = CommentToken(own + line_break, token.start_mark) if own.strip() else None
    return CommentToken(line_break + below, token.start_mark)


def _give_following(holder: Any, step: Any, following: CommentToken) -> None:
    """Hangs blank lines and comments below the value at `step`, behind the comment in its own line."""
    leaf, name = _last_leaf(holder, step)
    places = leaf.ca.items.setdefault(name, [None, None, None, None])
    own = places[_slot(leaf)]
    if isinstance(own, CommentToken):
        following = CommentToken(own.value.rstrip("\n") + following.value, own.start_mark)
    places[_slot(leaf)] = following


def _name(holder: Any, step: str | int) -> Any:
    """The key as written: `yes:` is found under `true`."""
    if isinstance(holder, CommentedMap) and step not in holder:
        for key in holder:
            if type(key) in _PLAIN_KEYS and key and key_text(key) == step:
                return key
        return _tree(step)
    return step


def _tree(value: Any) -> Any:
    """The value for ruamel's emitter; its plain strings are written as they are."""
    if isinstance(value, Mapping):
        return CommentedMap((_tree(key), _tree(inner)) for key, inner in value.items())
    if isinstance(value, list | tuple):
        return CommentedSeq(_tree(inner) for inner in value)
    text = plain_text(value)
    return DoubleQuotedScalarString(value) if text is None else PlainScalarString(text)
