"""Bytes to characters: what is no text, too long, or invisible is refused here with its place."""

from __future__ import annotations

import codecs
import json
import re

from muslin.errors import BadInput, Place, Problem
from muslin.yaml.limits import Limits

__all__ = ["characters"]

_FOREIGN_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
"""YAML's non-printable characters, and the byte order mark, which nobody sees in the midst of a text."""
_SURROGATE_PAIR = re.compile(r"(?<!\\)((?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")


def characters(text: bytes | str, file: str | None, limits: Limits) -> str:
    """The text as characters, a leading byte order mark removed. Raises BadInput."""
    if len(text) > limits.text_bytes:
        raise BadInput(
            Problem(
                f"the text has {len(text)} bytes, at most {limits.text_bytes} are read",
                str(Place(file)) if file else "the whole text",
                "split it into several files",
            )
        )
    decoded = (text if isinstance(text, str) else _decoded(text, file)).removeprefix("\ufeff")
    if found := _FORBIDDEN.search(decoded):
        raise BadInput(
            Problem(
                f"the character U+{ord(found[0]):04X} must not stand in YAML",
                str(_place(file, decoded[: found.start()])),
                'remove it; inside double quotes it can be written as an escape such as "\\x00"',
            )
        )
    return _with_whole_characters(decoded)


def _decoded(text: bytes, file: str | None) -> str:
    for mark, name in _FOREIGN_MARKS.items():
        if text.startswith(mark):
            raise BadInput(Problem(f"the text is {name}", str(Place(file, 1, 1)), "save it as UTF-8"))
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise BadInput(
            Problem(
                f"the byte 0x{text[error.start]:02x} is not UTF-8",
                str(_place(file, text[: error.start].decode())),
                "save the text as UTF-8",
            )
        ) from None


def _place(file: str | None, before: str) -> Place:
    return Place(file, before.count("\n") + 1, len(before) - before.rfind("\n"))


def _with_whole_characters(text: str) -> str:
    """JSON writes characters above U+FFFF as two escapes, which YAML has not; in JSON they are joined."""
    if text[:1] not in "{[" or not _SURROGATE_PAIR.search(text):
        return text
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text
    return _SURROGATE_PAIR.sub(_joined, text)


def _joined(found: re.Match[str]) -> str:
    high, low = int(found[2], 16), int(found[3], 16)
    return f"{found[1]}\\U{0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00):08X}"
