"""Whether, where and as whom commits that take others back are pushed: what the operator wants of one source. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from muslin.errors import Problem
from reconciler.remotes import Following, Remote, is_name
from reconciler.reverts import AUTHOR
from reconciler.signatures import Policy

__all__ = ["BRANCH", "Pushing"]

BRANCH: Final = "muslin/revert-{commit}"
"""Where a revert goes where nothing is said: a branch of its own, for a review."""

_AUTHOR: Final = re.compile(r"[^<>\x00-\x1f]{1,100} <[^<>\s\x00-\x1f]{1,200}>")


@dataclass(frozen=True, slots=True)
class Pushing:
    """What the operator wants of one source.

    Attributes:
        requests: files in which reconcilers ask; each need not be there.
        source: the name by which they ask for this source.
        branch: where a revert is pushed to; `{commit}` stands for 12 digits of the bad commit. None: to the branch that
            is followed.
        key: private ssh key by which reverts are signed.
        author: `Name <address>`.
    """

    requests: tuple[Path, ...]
    source: str = ""
    branch: str | None = BRANCH
    key: Path | None = None
    author: str = AUTHOR

    def problems(self, remote: Remote, policy: Policy | None) -> tuple[Problem, ...]:
        """What cannot be, or would never be accepted: all of it."""
        found = []
        name = "" if self.branch is None else self.branch.replace("{commit}", "0" * 12)
        if remote.following is not Following.BRANCH:
            what = f"a {remote.following} is followed, and reverts are commits on a branch"
            found.append(Problem(what, "revert", "follow a branch, or ask for no reverts"))
        if self.branch is not None and not is_name(name):
            found.append(Problem(f"{self.branch[:200]!r} is not a branch name", "revert", f"for example {BRANCH}"))
        if self.branch is not None and name == remote.branch and remote.following is Following.BRANCH:
            fix = "say so: tracked: true, or --revert-tracked; or name another for a review"
            found.append(Problem(f"{name} is the branch that is followed, without a review", "revert", fix))
        if not _AUTHOR.fullmatch(self.author):
            found.append(Problem("the author is not a name and an address", "revert", f"for example {AUTHOR}"))
        if self.key is not None and not self.key.is_file():
            found.append(Problem("there is no such file", str(self.key), "give the path of a private ssh key"))
        if policy is not None and self.key is None:
            fix = "give a signing key whose public key is among the allowed signers"
            found.append(Problem("commits must be signed, and reverts would not be", "revert", fix))
        if policy is not None and policy.allowed_signers is None:
            fix = "allow the ssh key of the reverts in allowedSigners"
            found.append(Problem("reverts are signed by an ssh key, and only OpenPGP counts", "revert", fix))
        return tuple(found)

    def to(self, remote: Remote, commit: str) -> str:
        """The branch to which the revert of a commit is pushed."""
        return remote.branch if self.branch is None else self.branch.replace("{commit}", commit[:12])
