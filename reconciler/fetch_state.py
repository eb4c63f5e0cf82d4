"""How a mirror stands to its repository: the small file that the fetcher writes and the reconciler reads."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from reconciler.reverts import RevertOutcome

__all__ = ["STATE_FILE", "FetchState", "Standing", "read_state", "write_state"]

STATE_FILE: Final = "muslin-fetch.json"
_ALWAYS: Final = ("repository", "branch", "standing", "commit", "rewritten_from", "message", "since", "checked")
_LATER: Final = ("tip", "waits", "policy", "verified")


class Standing(StrEnum):
    """How the mirror stands to the repository."""

    NEVER_FETCHED = "NeverFetched"
    CURRENT = "Current"
    UNREACHABLE = "Unreachable"
    BRANCH_MISSING = "BranchMissing"
    REFUSED = "Refused"
    NOT_VERIFIED = "NotVerified"


@dataclass(frozen=True, slots=True)
class FetchState:
    """What the fetcher last found, as written to `STATE_FILE`.

    `commit` is what the mirror holds for reading, whatever the standing. `rewritten_from` is set when the last change
    was not a step forward: a forced push. Times are RFC 3339 in UTC; `since` is when this standing began. `tip` is what
    the repository's reference pointed at when `commit` was made of it, `waits` what it points at when that may not come
    into force. `policy` names the rules of signatures that were asked last, empty where there were none; `verified` is
    the last commit that passed. `reverts` is what became of what reconcilers ask for now.
    """

    repository: str
    branch: str
    standing: Standing = Standing.NEVER_FETCHED
    commit: str | None = None
    rewritten_from: str | None = None
    message: str = ""
    since: str = ""
    checked: str = ""
    tip: str | None = None
    waits: str | None = None
    policy: str = ""
    verified: str | None = None
    reverts: tuple[RevertOutcome, ...] = ()


def read_state(mirror: Path) -> FetchState | None:
    """The state file of a mirror, None where there is none that can be read."""
    try:
        found: Any = json.loads((mirror / STATE_FILE).read_bytes())
        values = {name: found[name] for name in _ALWAYS} | {name: found[name] for name in _LATER if name in found}
        reverts = tuple(map(RevertOutcome.of, found.get("reverts", ())))
        return FetchState(**(values | {"standing": Standing(values["standing"]), "reverts": reverts}))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_state(mirror: Path, state: FetchState) -> None:
    """Replace the state file of a mirror; a reader sees the old one or the new one, whole."""
    fresh = mirror / f".{STATE_FILE}.new"
    fresh.write_text(json.dumps(asdict(state), indent=1))
    fresh.replace(mirror / STATE_FILE)
