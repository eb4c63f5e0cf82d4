"""The fetcher: keeps a bare mirror of one reference of one repository up to date, and does nothing else.

It executes git with the argument lists of `commands`, writes only into the mirror's folder, and of what it fetched it
looks at nothing but signatures and names of paths, where a policy asks for them. Where the operator wants it, it pushes
a commit that takes a bad one back: nobody else talks to the repository. A repository that is away, a branch
that vanished and a rewritten branch are said in the state file of the mirror, which keeps what it had, so nobody takes
an outage for an empty repository.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Final

from muslin.errors import Failed, MuslinError, Problem, Unavailable
from reconciler.children import Ran, run
from reconciler.commands import FETCHED, FORMER, TRACKED, Git
from reconciler.credentials import Credentials
from reconciler.fetch_state import FetchState, Standing, read_state, write_state
from reconciler.hook import WAKE_FIFO
from reconciler.loop import Backoff, Loop
from reconciler.mirror_folder import MirrorFolder
from reconciler.pushing import Pushing
from reconciler.references import reference
from reconciler.remotes import Following, is_object_id, redacted
from reconciler.reverting import Reverting
from reconciler.signatures import Policy
from reconciler.verification import Verification

__all__ = ["WAKE_FIFO", "Fetcher"]

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


class Fetcher:
    """Keeps the mirror up to date. `open` first, then `fetch_once` or `run`.

    Args:
        git: which mirror and which remote.
        poke: datagram sockets of the reconcilers that are told about each change, None for nobody.
        interval_s: how often to look without being woken.
        timeout_s: how long one git command may take.
        random: jitter of polling.
        now: wall clock for the state file.
        say: is given one line for the log.
        policy: whose signatures a commit needs, None where it needs none.
        most_bytes: a mirror that is larger fetches nothing more: a branch that is rewritten again and again with large
            files must not fill the disk, one fetch after the other.
        pushing: which reverts are made, and where they go; None: nothing is ever pushed.
    """

    def __init__(
        self,
        git: Git,
        *,
        poke: Path | Sequence[Path] | None,
        interval_s: float,
        timeout_s: float,
        random: Random,
        now: Callable[[], datetime],
        say: Callable[[str], None],
        policy: Policy | None = None,
        most_bytes: int = 2 << 30,
        pushing: Pushing | None = None,
    ) -> None:
        self._git = git
        self._mirror = git.mirror
        self._pokes = () if poke is None else (poke,) if isinstance(poke, Path) else tuple(poke)
        self._timeout_s = timeout_s
        self._most_bytes = most_bytes
        self._now = now
        self._say = say
        self._folder = MirrorFolder(git.mirror)
        self._loop = Loop(
            self.fetch_once,
            random=random,
            resync_s=interval_s,
            backoff=Backoff(first_s=0.5, limit_s=max(0.5, interval_s)),
            on_failure=self._failed,
        )
        self._refusal = ""
        self._verification: Verification | None = None
        if policy is not None:
            self._verification = Verification(policy, git, self._run, path=os.environ.get("PATH"))
        self._tip: str | None = None
        self._reverting: Reverting | None = None
        if pushing is not None:
            self._reverting = Reverting(git, pushing, self._run, self._verification, now=now, pause_s=interval_s)
        self.state = FetchState(redacted(git.remote.url), git.remote.shown)

    async def open(self) -> None:
        """Take the folder (one fetcher a folder), heal what a killed git left, make the mirror where there is none.

        Raises:
            BadInput: another fetcher has the folder, or what is there is not a mirror of ours.
        """
        if self._verification is not None:
            self._verification.demand()
        await self._folder.take()
        if not self._folder.is_made:
            await self._must(self._git.init(), "make the mirror")
        self._folder.sweep()
        before = read_state(self._mirror)
        if before is not None and (before.repository, before.branch) == (self.state.repository, self.state.branch):
            self.state = before
        self._folder.listen(self._loop.wake)

    def close(self) -> None:
        """Let go of the folder."""
        self._folder.close()

    async def run(self) -> None:
        """Fetch whenever woken or due, for ever."""
        await self._loop.run()

    def stop(self) -> None:
        """End `run` after the fetch that is under way."""
        self._loop.stop()

    async def fetch_once(self) -> None:
        """Look, fetch if the reference moved, write the state, poke the reconciler if anything is different.

        Raises:
            Unavailable: the repository did not answer, or what it sent was refused: later it may be better.
            BadInput: the credentials cannot be used.
        """
        self._tip = None
        try:
            await self._look()
            await self._revert()
        except OSError as error:  # a full disk, a folder that went: no reason for the other sources to end
            what = f"the mirror cannot be written: {error.strerror or error}"
            raise Unavailable(Problem(what, str(self._mirror), "check the folder's space and owner")) from error

    async def _look(self) -> None:
        before = self.state
        held = await self._fit(reference(self._mirror, TRACKED))
        try:
            tip = await self._where(held)
            self._tip = tip
            if tip is None:
                return
            if not self._to_do(tip, held):
                waits = self._waits(tip)
                standing = Standing.NOT_VERIFIED if waits else Standing.CURRENT
                self._stand(before, standing, held, before.message if waits else "")
                return
            got = await self._brought(held)
        except MuslinError as error:
            if self.state is before:  # not a word of git's: the credentials cannot be read
                self._stand(before, Standing.UNREACHABLE, held, error.problems[0].what)
            raise
        if got is None:
            self._stand(before, Standing.REFUSED, held, self._refusal or "git fetch failed")
            raise Unavailable(self._problem("could not be fetched"))
        held, now_held = got
        identity = ""
        if self._verification is not None:
            identity = self._verification.identity
            verdict = await self._verification.check(now_held, before.verified)
            if verdict.reason is not None:
                fresh = replace(before, waits=tip, policy=identity)
                self._stand(fresh, Standing.NOT_VERIFIED, held, f"{verdict.reason}: {verdict.message}", told=before)
                return
        if self._looks_first and now_held != held:
            await self._must(self._git.follow(now_held), "follow the commit")
        forward = (
            held is None or held == now_held or (await self._run(self._git.is_ancestor(held, now_held))).status == 0
        )
        fresh = replace(
            before,
            rewritten_from=None if forward else held,
            tip=tip,
            waits=None,
            policy=identity,
            verified=now_held if self._verification is not None else None,
        )
        self._stand(fresh, Standing.CURRENT, now_held, "", told=before)
        if now_held != before.commit:
            await self._run(self._git.tidy())

    async def _revert(self) -> None:
        """Do what reconcilers ask for, once the branch was seen; a push of ours is looked at at once."""
        if self._reverting is None or self._tip is None:
            return
        before = self.state
        found = await self._reverting.look(self._tip, before.reverts)
        if found == before.reverts:
            return
        for each in found:
            if each not in before.reverts:
                self._say(f"revert of {each.commit}: {each}")
        fresh = replace(before, reverts=found)
        self._stand(fresh, before.standing, before.commit, before.message, told=before)
        self._loop.wake()

    @property
    def _looks_first(self) -> bool:
        """Whether what is fetched is looked at before it is followed, so that a reader never sees it too early."""
        return self._verification is not None or self._git.remote.following is not Following.BRANCH

    async def _fit(self, held: str | None) -> str | None:
        """What is held, unless signatures are required today and it was never verified: then it is followed no more."""
        if held is None or self._verification is None or held == self.state.verified:
            return held
        if self.state.verified is None and held == self._verification.anchor:
            return held
        self._say(f"{held} was never verified and is not followed")
        await self._must(self._git.follow(held, FORMER), "let go of a commit")
        await self._must(self._git.forget(), "let go of a commit")
        return None

    async def _where(self, held: str | None) -> str | None:
        """The id that the repository's reference points at now; None where it has none, which has been said."""
        remote, before = self._git.remote, self.state
        if remote.following is Following.COMMIT:
            return remote.branch
        seen = await self._run(self._git.ls_remote(), 1 << 20, secrets=True)
        if seen.status not in (0, 2):
            self._stand(before, Standing.UNREACHABLE, held, seen.told or "git ls-remote failed")
            raise Unavailable(self._problem("cannot be reached"))
        tip = _seen(seen.text, remote.reference)
        if tip is not None and not is_object_id(tip):
            self._stand(before, Standing.REFUSED, held, "the repository has ids of SHA-256, which are not read")
            return None
        if tip is None:
            what = f"the repository has no {remote.following} {remote.branch}"
            self._stand(before, Standing.BRANCH_MISSING, held, what)
        return tip

    def _to_do(self, tip: str, held: str | None) -> bool:
        """Whether the mirror is not what the repository is, or what it is was not looked at by the rules of today."""
        if self._verification is not None and self.state.policy != self._verification.identity:
            return True
        if self._waits(tip):
            return False
        return held is None or tip != (self.state.tip if self._looks_first else held)

    def _waits(self, tip: str) -> bool:
        standing = self.state.standing is Standing.NOT_VERIFIED
        return standing and self._verification is not None and self.state.waits == tip

    async def _brought(self, held: str | None) -> tuple[str | None, str] | None:
        """Fetch; gives (what was held, what is there now), None where it was refused and `_refusal` says why."""
        if (size := self._folder.size()) > self._most_bytes:
            self._refusal = (
                f"the mirror has {size} bytes, {self._most_bytes} is the limit; move the folder away to begin anew"
            )
            return None
        for attempt in (1, 2):
            shallow = held is None and self._verified_start is None
            name = FETCHED if self._looks_first else TRACKED
            fetched = await self._run(self._git.fetch(name, shallow=shallow), secrets=True)
            if fetched.status == 0:
                break
            self._refusal = fetched.told
            self._folder.sweep()
            if attempt == 2 or not await self._renewed():
                return None
            held = None
        if name == TRACKED and (now_held := reference(self._mirror, TRACKED)) is not None:
            return held, now_held
        commit = await self._run(self._git.commit_of(name))
        if commit.status != 0 or not is_object_id(commit.text.strip()):
            self._refusal = f"{self.state.branch} is not a commit"
            return None
        return held, commit.text.strip()

    @property
    def _verified_start(self) -> str | None:
        """The commit from which signatures are checked, whose history the mirror must reach."""
        return None if self._verification is None else self.state.verified or self._verification.anchor

    async def _renewed(self) -> bool:
        """Whether the mirror was damaged and is begun anew: it is a copy, and everything in it can be had again."""
        there = await self._run(self._git.tracked())
        if there.status == 1 or (there.status == 0 and (await self._run(self._git.sound())).status != 128):
            return False
        self._say("the mirror is damaged and is fetched anew")
        await self._folder.empty()
        await self._must(self._git.init(), "make the mirror")
        return True

    def _stand(
        self, before: FetchState, standing: Standing, commit: str | None, message: str, told: FetchState | None = None
    ) -> None:
        """Write the state down; say and poke where it differs in more than the time."""
        moment = self._now().astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        old = told or before
        since = old.since if old.standing is standing and old.since else moment
        fresh = replace(before, standing=standing, commit=commit, message=message[:1000], since=since, checked=moment)
        write_state(self._mirror, fresh)
        self.state = fresh
        if replace(self.state, checked=old.checked, since=old.since) != old:
            rewritten = f", rewritten from {self.state.rewritten_from}" if self.state.rewritten_from else ""
            self._say(f"{standing.value} {commit or '-'}{rewritten}{': ' if message else ''}{message}")
            self._poke()

    def _poke(self) -> None:
        for path in self._pokes:
            # nobody listens: the reconciler looks by itself when it starts, and polls
            with (
                contextlib.suppress(OSError),
                socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender,
            ):
                sender.sendto(b"fetched", str(path))

    def _problem(self, what: str) -> Problem:
        return Problem(
            f"branch {self.state.branch} of {self.state.repository} {what}: {self.state.message}",
            self.state.repository,
            "check address, credentials and network; the mirror keeps what it has",
        )

    def _failed(self, error: BaseException, retry_after_s: float | None) -> None:
        after = "" if retry_after_s is None else f"; again in {retry_after_s:.1f} s"
        self._say(f"{str(error).splitlines()[0]}{after}")

    async def _must(self, command: tuple[str, ...], what: str) -> Ran:
        ran = await self._run(command)
        if ran.status != 0:
            raise Failed(Problem(f"cannot {what}: {ran.told}", str(self._mirror), "check the folder's owner and space"))
        return ran

    async def _run(
        self,
        command: tuple[str, ...],
        keep: int = 16 << 10,
        *,
        secrets: bool = False,
        stdin: Path | None = None,
        more: Mapping[str, str] = _NOTHING,
    ) -> Ran:
        environment = self._git.environment(os.environ, secrets=secrets) | dict(more)
        ran = await run(
            command,
            environment=environment,
            folder=self._mirror,
            timeout_s=self._timeout_s,
            keep=keep,
            handed=(self._folder.lock,),
            stdin=stdin,
        )
        output = Credentials.without_secrets(ran.text, environment).encode() if secrets else ran.output
        return replace(ran, output=output, errors=Credentials.without_secrets(ran.errors, environment))


def _seen(told: str, wanted: str) -> str | None:
    """The id that a server gives for exactly this reference: it also tells others that end like it."""
    found = None
    for line in told.splitlines():
        object_id, tab, name = line.partition("\t")
        if tab and name == wanted:
            found = object_id
    return found
