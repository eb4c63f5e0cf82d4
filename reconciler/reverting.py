"""Makes commits that take bad ones back, and pushes them: the fetcher's part, since it alone talks to repositories.

What is asked for is read from files that reconcilers write, and nothing in them is believed: the commit must be where
the branch is now, what is gone back to must be an ancestor of it. There is no work tree: an index of its own is filled
with the bad commit, what the set reads is put back entry by entry, and a tree is written of it.

Which commit reverts another stands in a reference of the mirror before it is pushed, so that a crash in between leads
to the same push, and one bad commit never to two. A push is never forced. A refused one is tried again a few times.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Protocol

from reconciler.children import Ran, run
from reconciler.commands import REVERTS, Git
from reconciler.hidden import without_secrets
from reconciler.pushing import Pushing
from reconciler.references import reference
from reconciler.remotes import Transport, is_object_id
from reconciler.reverts import (
    RevertAsked,
    RevertOutcome,
    RevertStanding,
    changes_back,
    printed,
    requested,
    revert_commit,
    reverts_what,
    with_signature,
)
from reconciler.verification import Verification

__all__ = ["TRIES", "Reverting", "refusal"]

TRIES: Final = 5
"""So many refused pushes of one commit, then it is given up. Between them the pause doubles."""

_INDEX: Final = "muslin-revert.index"
_LARGEST_COMMIT: Final = 1 << 20
_MOST_CHANGES: Final = 32 << 20
_LARGEST_REQUEST: Final = 1 << 18
_SIGNING_S: Final = 20.0
_REFUSING: Final = ("pre-receive", "update", "proc-receive", "reference-transaction", "push-to-checkout")
_ONCE_A_PROCESS: Final = frozenset({RevertStanding.CANNOT_BE_MADE, RevertStanding.NOT_VERIFIED})
"""What may come of something on this machine that the operator has mended before starting anew."""
_FINAL: Final = frozenset(RevertStanding) - {RevertStanding.REFUSED, RevertStanding.MOVED}


class _Call(Protocol):
    async def __call__(
        self,
        command: tuple[str, ...],
        keep: int = ...,
        *,
        secrets: bool = ...,
        stdin: Path | None = ...,
        more: Mapping[str, str] = ...,
    ) -> Ran: ...


class _Refusal(Exception):
    """No commit is made, and why."""

    def __init__(self, standing: RevertStanding, message: str) -> None:
        super().__init__(message)
        self.standing, self.message = standing, message


def refusal(ran: Ran) -> str:
    """Why a server refused a push, in its own words, on one line and without what looks like a password."""
    refused = (line.split("\t") for line in ran.text.splitlines() if line.startswith("!\t"))
    said = printed(next((parts[-1] for parts in refused), "") or ran.told or "git push failed")
    return str(without_secrets(said))


class Reverting:
    """Reverts for one source.

    Args:
        git: argument lists of its mirror.
        pushing: what is wanted.
        call: runs one of them.
        verification: whose signatures count; None where none are asked for.
        now: the wall clock, for pauses.
        pause_s: after the first refused push.
    """

    def __init__(
        self,
        git: Git,
        pushing: Pushing,
        call: _Call,
        verification: Verification | None,
        *,
        now: Callable[[], datetime],
        pause_s: float,
    ) -> None:
        self._git, self._pushing, self._call, self._verification = git, pushing, call, verification
        self._now, self._pause_s = now, pause_s
        self._index = git.mirror / _INDEX
        self._seen: set[str] = set()

    async def look(self, tip: str, before: Sequence[RevertOutcome]) -> tuple[RevertOutcome, ...]:
        """What became of all that is asked for now: makes and pushes what is due.

        What is asked for no more is remembered as long as the branch is there: a reconciler that starts anew asks
        again, and gets the same answer and not the same number of tries.

        Args:
            tip: where the branch is at this moment.
            before: what `look` gave last.
        """
        asked = self._asked()
        known = {each.commit: each for each in before}
        kept = [each for each in before if each.commit not in asked and each.commit == tip]
        if not asked:
            return tuple(kept)
        settings = self._settings()
        found = [await self._one(each, tip, known.get(commit), settings) for commit, each in asked.items()]
        return (*found, *kept)

    async def _one(
        self, asked: list[RevertAsked], tip: str, known: RevertOutcome | None, settings: str
    ) -> RevertOutcome:
        commit = asked[0].commit
        branch = self._pushing.to(self._git.remote, commit)
        first = commit not in self._seen
        self._seen.add(commit)
        if known is None or known.settings != settings or (first and known.standing in _ONCE_A_PROCESS):
            known = None
        elif known.standing in _FINAL:
            return known
        made = reference(self._git.mirror, f"{REVERTS}{commit}")
        outcome = RevertOutcome(commit, RevertStanding.PUSHED, branch, made, settings=settings)
        if made is not None and made == tip:
            return outcome
        if tip != commit:
            what = f"the branch is at {tip} by now, so nothing is pushed; whoever pushed that answers for it"
            return replace(outcome, standing=RevertStanding.MOVED, message=what)
        if known is not None and known.again and self._now() < datetime.fromisoformat(known.again):
            return known
        try:
            if made is None:
                made = await self._make(asked)
            self._takes_pushes()
        except _Refusal as error:
            return replace(outcome, standing=error.standing, made=None, message=error.message)
        return await self._push(replace(outcome, made=made), known)

    async def _push(self, outcome: RevertOutcome, known: RevertOutcome | None) -> RevertOutcome:
        assert outcome.made is not None
        ran = await self._call(self._git.push(outcome.made, outcome.branch), secrets=True)
        if ran.status == 0:
            return outcome
        tries = 1 + (known.tries if known is not None else 0)
        said = refusal(ran)
        if tries >= TRIES:
            what = f"the server refused it {tries} times: {said}"
            return replace(outcome, standing=RevertStanding.GIVEN_UP, message=what, tries=tries)
        again = self._now().astimezone(UTC) + timedelta(seconds=self._pause_s * 2 ** (tries - 1))
        return replace(
            outcome, standing=RevertStanding.REFUSED, message=said, tries=tries, again=again.isoformat("T", "seconds")
        )

    async def _make(self, asked: list[RevertAsked]) -> str:
        """The commit that reverts the one that is asked for, fit to be pushed and remembered. Raises _Refusal."""
        commit, back_to = asked[0].commit, asked[0].back_to
        forward = await self._call(self._git.is_ancestor(back_to, commit))
        if forward.status != 0:
            what = f"{back_to} is not a commit that the branch came from"
            raise _Refusal(RevertStanding.CANNOT_BE_MADE, what)
        bad = await self._call(self._git.raw_commit(commit), _LARGEST_COMMIT)
        if bad.status != 0 or not bad.whole:
            raise _Refusal(RevertStanding.CANNOT_BE_MADE, "the commit cannot be read")
        if (former := reverts_what(bad.output)) is not None:
            what = f"it takes back {former} itself: what hurts is not what it changed"
            raise _Refusal(RevertStanding.IS_A_REVERT, what)
        tree = await self._tree(asked)
        payload = revert_commit(tree, asked, self._pushing.author)
        if self._pushing.key is not None:
            payload = await self._signed(payload, self._pushing.key)
        with tempfile.TemporaryDirectory(dir=self._git.mirror, prefix="muslin-check-") as folder:
            file = Path(folder, "commit")
            file.write_bytes(payload)
            made = await self._id(self._git.write_commit(), stdin=file)
        if self._verification is not None:
            verdict = await self._verification.check(made, commit)
            if verdict.reason is not None:
                what = f"{verdict.reason}: {verdict.message}; allow the signing key to change what it takes back"
                raise _Refusal(RevertStanding.NOT_VERIFIED, what)
        await self._must(self._git.follow(made, f"{REVERTS}{commit}"))
        return made

    async def _tree(self, asked: list[RevertAsked]) -> str:
        """The bad commit's tree, with what the sets read put back."""
        commit, back_to = asked[0].commit, asked[0].back_to
        changed = await self._call(self._git.changes(commit, back_to), _MOST_CHANGES)
        if changed.status != 0 or not changed.whole:
            raise _Refusal(RevertStanding.CANNOT_BE_MADE, f"what it changes cannot be listed: {changed.told}")
        try:
            lines = b"".join(changes_back(changed.output, [each.select for each in asked]))
        except ValueError as error:
            raise _Refusal(RevertStanding.CANNOT_BE_MADE, str(error)) from error
        if not lines:
            what = f"what is read is the same in {back_to}"
            raise _Refusal(RevertStanding.NOTHING_TO_REVERT, what)
        self._index.unlink(missing_ok=True)
        with tempfile.TemporaryDirectory(dir=self._git.mirror, prefix="muslin-check-") as folder:
            file = Path(folder, "changes")
            file.write_bytes(lines)
            try:
                await self._must(self._git.read_tree(commit))
                await self._must(self._git.update_index(), stdin=file)
                return await self._id(self._git.write_tree())
            finally:
                self._index.unlink(missing_ok=True)

    async def _signed(self, payload: bytes, key: Path) -> bytes:
        """The commit with an ssh signature, by a program that asks nobody for a passphrase."""
        program = shutil.which("ssh-keygen")
        if program is None:
            raise _Refusal(RevertStanding.CANNOT_BE_MADE, "ssh-keygen is not installed, so it cannot be signed")
        with tempfile.TemporaryDirectory(dir=self._git.mirror, prefix="muslin-check-") as folder:
            file = Path(folder, "payload")
            file.write_bytes(payload)
            ran = await run(
                (program, "-Y", "sign", "-n", "git", "-f", str(key.absolute()), str(file)),
                environment={"HOME": folder, "LC_ALL": "C"}, folder=Path(folder), timeout_s=_SIGNING_S,
            )  # fmt: skip
            made = file.with_name("payload.sig")
            if ran.status != 0 or not made.is_file():
                raise _Refusal(RevertStanding.CANNOT_BE_MADE, f"it cannot be signed: {ran.told}")
            return with_signature(payload, made.read_bytes())

    def _takes_pushes(self) -> None:
        """Raises _Refusal for a repository on this machine that would ask a program of its own about a push.

        We start no program of a repository, and going around one that may refuse would be wrong.
        """
        if self._git.remote.transport is not Transport.FILE:
            return
        there = Path(self._git.remote.url)
        there = there / ".git" if (there / ".git").is_dir() else there
        asks = [name for name in _REFUSING if (there / "hooks" / name).exists()]
        try:
            configured = (there / "config").read_text("utf-8", "replace").lower()
        except OSError:
            configured = ""
        if "hookspath" in configured or "[include" in configured:
            asks.append("core.hooksPath")
        if asks:
            what = f"the repository asks its hooks ({', '.join(asks)}) about a push, and we start none; push it by hand"
            raise _Refusal(RevertStanding.CANNOT_BE_MADE, what)

    def _asked(self) -> dict[str, list[RevertAsked]]:
        """Mapping[bad commit, the requests to revert it to one same commit], in order."""
        found: dict[str, list[RevertAsked]] = {}
        for path in self._pushing.requests:
            try:
                with path.open("rb") as file:
                    given = requested(file.read(_LARGEST_REQUEST + 1))
            except (OSError, ValueError):
                continue  # withdrawn, or not ours to understand: whoever asked sees that nothing becomes of it
            for each in given:
                if each.source == self._pushing.source:
                    found.setdefault(each.commit, []).append(each)
        listed = {commit: sorted(each, key=lambda one: (one.at, one.set_name)) for commit, each in found.items()}
        return {
            commit: [one for one in each if one.back_to == each[0].back_to] for commit, each in sorted(listed.items())
        }

    def _settings(self) -> str:
        """Names what the operator says today: what came out under other settings is tried anew."""
        said = [self._pushing.branch, self._pushing.author, str(self._pushing.key)]
        if self._pushing.key is not None:
            try:
                said.append(
                    hashlib.sha256(
                        self._pushing.key.with_name(f"{self._pushing.key.name}.pub").read_bytes()
                    ).hexdigest()
                )
            except OSError:
                said.append("")
        said.append(None if self._verification is None else self._verification.identity)
        return hashlib.sha256(repr(said).encode()).hexdigest()[:16]

    async def _id(self, command: tuple[str, ...], stdin: Path | None = None) -> str:
        made = (await self._must(command, stdin)).text.strip()
        if not is_object_id(made):
            raise _Refusal(RevertStanding.CANNOT_BE_MADE, "git gave no id")
        return made

    async def _must(self, command: tuple[str, ...], stdin: Path | None = None) -> Ran:
        ran = await self._call(command, stdin=stdin, more={"GIT_INDEX_FILE": str(self._index)})
        if ran.status != 0:
            raise _Refusal(RevertStanding.CANNOT_BE_MADE, f"git cannot make it: {ran.told}")
        return ran
