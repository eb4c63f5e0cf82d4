"""A commit that takes another one back: what is asked for, what stands in it, and what became of it. Nothing runs here.

The reconciler asks: it knows which commit hurt and has neither git nor credentials. The fetcher makes and pushes: it
has both, and believes nothing of what it is asked. So a request says only which commit, back to which one, and what of
the repository the set reads; what is pushed is always a former state of the same branch.

The commit is a function of its request: the same bad commit gives the same octets, whoever dies in between.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from muslin.errors import BadInput
from reconciler.remotes import is_object_id
from reconciler.selection import Selection

__all__ = [
    "AUTHOR", "Because", "RevertAsked", "RevertOutcome", "RevertStanding", "changes_back", "printed", "requested",
    "revert_commit", "reverts_what", "with_signature", "written",
]  # fmt: skip

AUTHOR: Final = "Muslin reconciler <muslin@localhost>"
"""Whom a commit names as its author where the operator names nobody."""

_TRAILER: Final = re.compile(rb"Muslin-Reverts: ([0-9a-f]{40})")
_LARGEST: Final = 1 << 18
_MAX_REASON: Final = 500


class Because(StrEnum):
    """Why a commit is held although it can be read and may remove what it removes."""

    GATE_FAILED = "GateFailed"
    HEALTH_FAILED = "HealthFailed"
    ASKED = "Asked"


_WHY: Final = {
    Because.GATE_FAILED: "a gate before its changes did not open",
    Because.HEALTH_FAILED: "what was there before it is not there any more",
    Because.ASKED: "somebody asked for it",
}


class RevertStanding(StrEnum):
    """What became of a request."""

    PUSHED = "Pushed"
    MOVED = "Moved"
    REFUSED = "Refused"
    GIVEN_UP = "GivenUp"
    NOTHING_TO_REVERT = "NothingToRevert"
    IS_A_REVERT = "IsARevert"
    NOT_VERIFIED = "NotVerified"
    CANNOT_BE_MADE = "CannotBeMade"

    @property
    def is_well(self) -> bool:
        """Whether nobody has to do anything about it but look at what was pushed."""
        return self in (RevertStanding.PUSHED, RevertStanding.NOTHING_TO_REVERT)


@dataclass(frozen=True, slots=True)
class RevertAsked:
    """One set asks that what it reads of one source goes back from `commit` to what it is in `back_to`.

    `at`, RFC 3339, is when the commit was taken back: the date of the commit that is made.
    """

    set_name: str
    source: str
    commit: str
    back_to: str
    select: Selection
    because: Because
    reason: str
    at: str


@dataclass(frozen=True, slots=True)
class RevertOutcome:
    """What became of the requests to revert one commit.

    `made` is the commit that reverts it, `branch` where it was pushed to. `tries` were refused by the server; the next
    one is not before `again` (RFC 3339). `settings` names what the fetcher was told when this came out.
    """

    commit: str
    standing: RevertStanding
    branch: str = ""
    made: str | None = None
    message: str = ""
    tries: int = 0
    again: str = ""
    settings: str = ""

    @classmethod
    def of(cls, stored: Any) -> RevertOutcome:
        """As stored. Raises ValueError, KeyError or TypeError."""
        return cls(**(dict(stored) | {"standing": RevertStanding(stored["standing"])}))

    def __str__(self) -> str:
        """One line for people, without the commit that it is about."""
        where = f" to {self.branch} as {self.made[:12]}" if self.standing is RevertStanding.PUSHED and self.made else ""
        return f"{self.standing}{where}{': ' if self.message else ''}{self.message}"


def written(asked: Iterable[RevertAsked]) -> bytes:
    """A set's requests as its file, for `requested`."""
    listed = [
        {
            "set": each.set_name, "source": each.source, "commit": each.commit, "backTo": each.back_to,
            "select": each.select.to_json(), "because": each.because.value, "reason": each.reason, "at": each.at,
        }
        for each in asked
    ]  # fmt: skip
    return json.dumps({"version": 1, "reverts": listed}, indent=1, sort_keys=True).encode()


def requested(text: bytes) -> tuple[RevertAsked, ...]:
    """The requests in a file that another process wrote, each text in it checked. Raises ValueError with a sentence."""
    if len(text) > _LARGEST:
        raise ValueError("it is larger than a request can be")
    try:
        given = json.loads(text)
        if given["version"] != 1:
            raise ValueError("it is of another version")
        return tuple(map(_request, given["reverts"]))
    except (KeyError, TypeError, AttributeError, RecursionError, BadInput) as error:
        raise ValueError(f"it is not a list of requests: {str(error).splitlines()[0][:200]}") from error


def _request(given: Any) -> RevertAsked:
    commit, back_to = str(given["commit"]), str(given["backTo"])
    if not is_object_id(commit) or not is_object_id(back_to) or commit == back_to:
        raise ValueError("a commit is not an id")
    _seconds(str(given["at"]))
    name, source = printed(str(given["set"]), 100), printed(str(given["source"]), 300)
    select, because = Selection.of_json(given["select"]), Because(given["because"])
    return RevertAsked(name, source, commit, back_to, select, because, str(given["reason"]), str(given["at"]))


def changes_back(raw: bytes, selections: Sequence[Selection]) -> Iterator[bytes]:
    """Lines for `git update-index -z --index-info` that bring back what any of these reads, removals first.

    Args:
        raw: what `git diff-tree -r -z --no-renames` says from the commit to what is gone back to.
        selections: what is read; what none of them reads stays as it is.

    Raises ValueError where `raw` is not that.
    """
    fields = raw.split(b"\0")
    if fields.pop() != b"" or len(fields) % 2:
        raise ValueError("the list of changes is cut off")
    lines = []
    for head, path in zip(fields[::2], fields[1::2], strict=True):
        _, mode, _, blob, _ = head.removeprefix(b":").split(b" ")
        name = path.decode("utf-8", "surrogateescape")
        if any(each.reads(name) for each in selections):
            gone = mode == b"000000"
            lines.append((not gone, (b"0" if gone else mode) + b" " + blob + b"\t" + path + b"\0"))
    yield from (line for _, line in sorted(lines))


def revert_commit(tree: str, asked: Sequence[RevertAsked], author: str) -> bytes:
    """The octets of an unsigned commit on top of the bad one.

    Args:
        tree: what it holds.
        asked: all for the same commit, at least one; the first one's time is the commit's.
        author: `Name <address>`.
    """
    first = asked[0]
    when = f"{author} {_seconds(first.at)} +0000"
    why = [f"{each.set_name}: {_WHY[each.because]} ({each.because})\n  {printed(each.reason)}" for each in asked]
    folders = sorted({"/".join(names) or "." for each in asked for names in each.select.folders})
    return f"""\
tree {tree}
parent {first.commit}
author {when}
committer {when}

Take back {first.commit[:12]}

What is read of {", ".join(folders)} is again what it is in {first.back_to[:12]}.
It was taken back in the cluster before this was written.

{chr(10).join(why)}

Muslin-Reverts: {first.commit}
Muslin-Back-To: {first.back_to}
""".encode("utf-8", "replace")


def reverts_what(commit: bytes) -> str | None:
    """The commit that one of ours reverts, by its last paragraph; None where it is none of ours."""
    last = commit.rstrip(b"\n").rpartition(b"\n\n")[2]
    found = next(filter(None, map(_TRAILER.fullmatch, last.split(b"\n"))), None)
    return found[1].decode() if found else None


def with_signature(commit: bytes, signature: bytes) -> bytes:
    """A commit with a signature over all of it, as git stores it."""
    head, end, message = commit.partition(b"\n\n")
    return head + b"\ngpgsig " + signature.rstrip(b"\n").replace(b"\n", b"\n ") + end + message


def printed(text: str, most: int = _MAX_REASON) -> str:
    """A text of somebody else on one line: it cannot add a line to a commit, nor speak to a terminal."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(shown.split())[:most]


def _seconds(at: str) -> int:
    moment = datetime.fromisoformat(at)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
