"""Objects to YAML text: the same text for the same objects, read back alike by every reader, comments above fields.

Only what JSON can say is written, in block style and in the order of the mappings handed in. Text that people wrote is
not rewritten with this, see `muslin.yaml.edit`, which keeps their comments and style.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Any

from muslin.yaml.places import Path, field_path
from muslin.yaml.presentation import plain_text, quoted_text

__all__ = ["Comments", "dump", "dump_documents"]


@dataclass(frozen=True, slots=True)
class Comments:
    """Comments of one document, without `#`; each may have several lines.

    Args:
        header: above the document.
        fields: Mapping[path, text]: above the key or item that the path ends in. A path that is not there is an error,
            since a decision that nobody reads is lost.
    """

    header: str = ""
    fields: Mapping[Path, str] = field(default_factory=dict)


def dump_documents(objects: Iterable[Mapping[str, Any]], comments: Sequence[Comments | str | None] = ()) -> str:
    """The objects as one text, parted by `---`.

    Args:
        objects: what JSON can say; tuples are written as lists.
        comments: one entry a document, in the same order; a string is a header; missing ones are None.

    Raises:
        ValueError: a number that no reader gives back, or a comment for a field that is not there.
        TypeError: a value that JSON has not.
    """
    documents = list(objects)
    if len(comments) > len(documents):
        raise ValueError(f"{len(comments)} comments for {len(documents)} documents")
    padded: Iterable[Comments | str | None] = chain(comments, repeat(None))
    return "---\n".join(dump(value, comment) for value, comment in zip(documents, padded, strict=False))


def dump(value: Mapping[str, Any], comments: Comments | str | None = None) -> str:
    """One object as text, with a line break at its end; see `dump_documents`."""
    told = Comments(comments) if isinstance(comments, str) else comments or Comments()
    writing = _Writing(dict(told.fields))
    header, body = list(_comment(told.header, 0)), list(writing.block(value, (), 0))
    # A blank line keeps the header from being read as the first field's comment.
    lines = [*header, *([""] if header and body[0].startswith("#") else []), *body]
    if writing.comments:
        missing = ", ".join(sorted(field_path(path) for path in writing.comments))
        raise ValueError(f"comments for fields that are not there: {missing}")
    return "\n".join(lines) + "\n"


def _comment(text: str, indent: int) -> Iterator[str]:
    for line in text.splitlines():
        yield f"{' ' * indent}# {line}".rstrip()


class _Writing:
    """One pass over one object; `comments` holds what was not written yet."""

    def __init__(self, comments: dict[Path, str]) -> None:
        self.comments = comments

    def block(self, value: Any, path: Path, indent: int) -> Iterator[str]:
        """The lines of a value that stands on lines of its own."""
        blanks = " " * indent
        if isinstance(value, Mapping) and value:
            for key, inner in value.items():
                if not isinstance(key, str):
                    raise TypeError(f"the key {key!r} of {field_path(path) or 'the object'} is not a string")
                yield from self._before((*path, key), indent)
                yield from self._behind(f"{blanks}{self._scalar(key, path)}:", inner, (*path, key), indent)
        elif _is_list(value) and value:
            for index, inner in enumerate(value):
                yield from self._before((*path, index), indent)
                if _is_collection(inner) and not self._commented((*path, index, _first(inner))):
                    nested = list(self.block(inner, (*path, index), indent + 2))
                    yield f"{blanks}- {nested[0][indent + 2 :]}"
                    yield from nested[1:]
                else:
                    yield from self._behind(f"{blanks}-", inner, (*path, index), indent)
        else:
            yield f"{blanks}{self._scalar(value, path)}"

    def _behind(self, start: str, value: Any, path: Path, indent: int) -> Iterator[str]:
        """The lines of a value behind its key or dash."""
        if _is_collection(value):
            yield start
            yield from self.block(value, path, indent + (0 if _is_list(value) and not start.endswith("-") else 2))
        elif isinstance(value, str) and _fits_literal(value):
            yield f"{start} |{'' if value.endswith(chr(10)) else '-'}"
            yield from (f"{' ' * (indent + 2)}{line}" if line else "" for line in value.removesuffix("\n").split("\n"))
        else:
            yield f"{start} {self._scalar(value, path)}"

    def _before(self, path: Path, indent: int) -> Iterator[str]:
        return _comment(self.comments.pop(path, ""), indent)

    def _commented(self, path: Path) -> bool:
        """Whether a comment stands above the first line inside, which ends in this path; then `- ` cannot."""
        return path in self.comments

    def _scalar(self, value: Any, path: Path) -> str:
        if isinstance(value, Mapping) and not value:
            return "{}"
        if _is_list(value) and not value:
            return "[]"
        if value is not None and not isinstance(value, str | int | float):
            raise TypeError(f"{field_path(path) or 'the object'}: {type(value).__name__} has no JSON form")
        text = plain_text(value)
        return quoted_text(str(value)) if text is None else text


def _first(value: Any) -> str | int:
    """Of a collection that is not empty: its first key, or 0."""
    return next(iter(value)) if isinstance(value, Mapping) else 0


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _is_collection(value: Any) -> bool:
    """Whether the value needs lines of its own."""
    return (isinstance(value, Mapping) or _is_list(value)) and bool(value)


def _fits_literal(text: str) -> bool:
    """Whether a block of lines gives exactly this text back and shows all of it."""
    lines = text.removesuffix("\n").split("\n")
    return (
        len(lines) > 1
        and bool(lines[0])
        and bool(lines[-1])
        and not text.startswith((" ", "\t"))
        and all(line == line.rstrip() and line.isascii() and (line.isprintable() or not line) for line in lines)
    )
