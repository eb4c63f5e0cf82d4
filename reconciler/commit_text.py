"""What a commit object says of itself: its tree and its author. Nobody has proven the author; signatures do that."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

__all__ = ["CommitText", "commit_text"]

_AUTHOR: Final = re.compile(rb"([^\0\n]*?<[^\0\n>]*>)(?: -?\d+ [-+]\d+)?")
_MAX_AUTHOR: Final = 200


@dataclass(frozen=True, slots=True)
class CommitText:
    """Id of the root tree, and `Name <address>` of the author, None where the object does not say it."""

    tree: str
    author: str | None


def commit_text(data: bytes) -> CommitText:
    """What a commit object with this content says.

    Raises:
        ValueError: it names no tree; with a sentence.
    """
    head, _, _ = data.partition(b"\n\n")
    first, *lines = head.split(b"\n")
    if not first.startswith(b"tree ") or len(first) != 45:
        raise ValueError("this commit has no tree")
    for line in lines:
        word, _, rest = line.partition(b" ")
        found = _AUTHOR.fullmatch(rest) if word == b"author" else None
        if found is not None:
            text = found.group(1).decode("utf-8", "replace").strip()
            shown = "".join(letter if letter.isprintable() else "?" for letter in text)
            return CommitText(first[5:].decode("ascii", "replace"), shown[:_MAX_AUTHOR])
    return CommitText(first[5:].decode("ascii", "replace"), None)
