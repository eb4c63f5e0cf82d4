"""The fetcher process: keeps a bare mirror of one branch of one repository up to date, and does nothing else.

It executes git with the argument lists of `commands`, writes only into the mirror's folder, and never looks at what
it fetched. A repository that is away, a branch that vanished and a rewritten branch are said in the state file of
the mirror, which keeps what it had, so nobody takes an outage for an empty repository.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import math
import os
import resource
import shutil
import signal
import socket
import stat
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Final

from muslin.errors import BadInput, Failed, MuslinError, Problem, Unavailable
from reconciler.commands import TRACKED, Git, Remote, redacted
from reconciler.fetch_state import FetchState, Standing, read_state, write_state
from reconciler.loop import Backoff, Loop

__all__ = ["WAKE_FIFO", "Fetcher", "main"]

WAKE_FIFO: Final = "muslin-wake"
_LOCK_FILE: Final = "muslin-fetch.lock"
_OF_GIT: Final = ("objects", "refs", "logs", "packed-refs", "HEAD", "config", "info", "branches", "hooks", "shallow")
"""What `git init` and `git fetch` make in the mirror; the rest is ours."""
_KEPT_OUTPUT: Final = 16 * 1024
_MEMORY: Final = 4 << 30


@dataclass(frozen=True, slots=True)
class _Ran:
    status: int
    output: str
    errors: str


class Fetcher:
    """Keeps the mirror up to date. `open` first, then `fetch_once` or `run`.

    Args:
        git: which mirror and which remote.
        poke: datagram socket of the reconciler that is told about each change, None for nobody.
        interval_s: how often to look without being woken.
        timeout_s: how long one git command may take.
        random: jitter of polling.
        now: wall clock for the state file.
        say: is given one line for the log.
    """

    def __init__(
        self,
        git: Git,
        *,
        poke: Path | None,
        interval_s: float,
        timeout_s: float,
        random: Random,
        now: Callable[[], datetime],
        say: Callable[[str], None],
    ) -> None:
        self._git = git
        self._mirror = git.mirror
        self._poke_path = poke
        self._timeout_s = timeout_s
        self._now = now
        self._say = say
        self._lock: int | None = None
        self._fifo: int | None = None
        self._loop = Loop(
            self.fetch_once,
            random=random,
            resync_s=interval_s,
            backoff=Backoff(first_s=0.5, limit_s=max(0.5, interval_s)),
            on_failure=self._failed,
        )
        self.state = FetchState(redacted(git.remote.url), git.remote.branch)

    async def open(self) -> None:
        """Take the folder (one fetcher a folder), heal what a killed git left, make the mirror where there is none.

        Raises:
            BadInput: another fetcher has the folder, or what is there is not a mirror of ours.
        """
        self._mirror.mkdir(parents=True, exist_ok=True)
        entries = {entry.name for entry in self._mirror.iterdir()}
        if entries and _LOCK_FILE not in entries:
            raise BadInput(
                Problem(f"{self._mirror} is not empty and not a mirror of ours", str(self._mirror), "give a new folder")
            )
        # git children inherit this descriptor: after a SIGKILL of ours the folder is free when the last of them ended
        self._lock = os.open(self._mirror / _LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        await self._take()
        if not (self._mirror / "objects").is_dir() or not (self._mirror / "HEAD").is_file():
            await self._must(self._git.init(), "make the mirror")
        for left in (
            "HEAD.lock",
            "config.lock",
            "packed-refs.lock",
            "gc.pid",
            f"{TRACKED}.lock",
            f"logs/{TRACKED}.lock",
        ):
            (self._mirror / left).unlink(missing_ok=True)
        for part in (self._mirror / "objects").glob("pack/tmp_*"):
            part.unlink(missing_ok=True)
        before = read_state(self._mirror)
        if before is not None and (before.repository, before.branch) == (self.state.repository, self.state.branch):
            self.state = before
        self._listen()

    def close(self) -> None:
        """Let go of the folder."""
        if self._fifo is not None:
            with contextlib.suppress(RuntimeError):
                asyncio.get_running_loop().remove_reader(self._fifo)
            os.close(self._fifo)
            self._fifo = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def run(self) -> None:
        """Fetch whenever woken or due, for ever."""
        await self._loop.run()

    def stop(self) -> None:
        """End `run` after the fetch that is under way."""
        self._loop.stop()

    async def fetch_once(self) -> None:
        """Look, fetch if the branch moved, write the state, poke the reconciler if anything is different.

        Raises:
            Unavailable: the repository did not answer, or what it sent was refused: later it may be better.
        """
        before = self.state
        held = (await self._run(self._git.tracked())).output.strip() or None
        seen = await self._run(self._git.ls_remote())
        if seen.status == 2:
            self._stand(before, Standing.BRANCH_MISSING, held, f"the repository has no branch {before.branch}")
            return
        if seen.status != 0:
            self._stand(before, Standing.UNREACHABLE, held, _last_line(seen) or "git ls-remote failed")
            raise Unavailable(self._problem("cannot be reached"))
        rewritten = before.rewritten_from
        if held is None or seen.output.split()[:1] != [held]:
            fetched = await self._run(self._git.fetch())
            if fetched.status != 0 and await self._renewed():
                held = None
                fetched = await self._run(self._git.fetch())
            if fetched.status != 0:
                self._stand(before, Standing.REFUSED, held, _last_line(fetched) or "git fetch failed")
                raise Unavailable(self._problem("could not be fetched"))
            now_held = (await self._must(self._git.tracked(), "read the mirror")).output.strip()
            forward = held is None or (await self._run(self._git.is_ancestor(held, now_held))).status == 0
            rewritten, held = (None if forward else held), now_held
        self._stand(replace(before, rewritten_from=rewritten), Standing.CURRENT, held, "", told=before)
        if held != before.commit:
            await self._run(self._git.tidy())

    async def _renewed(self) -> bool:
        """Whether the mirror was damaged and is begun anew: it is a copy, and everything in it can be had again."""
        there = await self._run(self._git.tracked())
        if there.status == 1 or (there.status == 0 and (await self._run(self._git.sound())).status != 128):
            return False
        self._say("the mirror is damaged and is fetched anew")
        for name in _OF_GIT:
            left = self._mirror / name
            if left.is_dir() and not left.is_symlink():
                await asyncio.to_thread(shutil.rmtree, left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)
        await self._must(self._git.init(), "make the mirror")
        return True

    def _stand(
        self, before: FetchState, standing: Standing, commit: str | None, message: str, told: FetchState | None = None
    ) -> None:
        """Write the state down; say and poke where it differs in more than the time."""
        moment = self._now().astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        old = told or before
        since = old.since if old.standing is standing and old.since else moment
        self.state = replace(
            before, standing=standing, commit=commit, message=message[:1000], since=since, checked=moment
        )
        write_state(self._mirror, self.state)
        if replace(self.state, checked=old.checked, since=old.since) != old:
            rewritten = f", rewritten from {self.state.rewritten_from}" if self.state.rewritten_from else ""
            self._say(f"{standing.value} {commit or '-'}{rewritten}{': ' if message else ''}{message}")
            self._poke()

    def _poke(self) -> None:
        if self._poke_path is None:
            return
        # nobody listens: the reconciler looks by itself when it starts, and polls
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender,
        ):
            sender.sendto(b"fetched", str(self._poke_path))

    async def _take(self) -> None:
        assert self._lock is not None
        deadline = asyncio.get_running_loop().time() + 5.0
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if asyncio.get_running_loop().time() > deadline:
                    raise BadInput(
                        Problem(
                            "another fetcher works in this folder",
                            str(self._mirror),
                            "give each fetcher its own folder",
                        )
                    ) from None
                # flock has no way to wait with a limit
                await asyncio.sleep(0.05)
            else:
                return

    def _listen(self) -> None:
        """Be woken through the FIFO. Opened for writing as well, so that it never reports its end."""
        path = self._mirror / WAKE_FIFO
        if not path.exists():
            os.mkfifo(path)
        path.chmod(0o622)
        self._fifo = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW)
        if not stat.S_ISFIFO(os.fstat(self._fifo).st_mode):
            raise BadInput(Problem("this is not a FIFO", str(path), "remove it; the fetcher makes it anew"))
        asyncio.get_running_loop().add_reader(self._fifo, self._woken)

    def _woken(self) -> None:
        assert self._fifo is not None
        with contextlib.suppress(BlockingIOError):
            os.read(self._fifo, 65536)
        self._loop.wake()

    def _problem(self, what: str) -> Problem:
        return Problem(
            f"branch {self.state.branch} of {self.state.repository} {what}: {self.state.message}",
            self.state.repository,
            "check address, credentials and network; the mirror keeps what it has",
        )

    def _failed(self, error: BaseException, retry_after_s: float | None) -> None:
        after = "" if retry_after_s is None else f"; again in {retry_after_s:.1f} s"
        self._say(f"{str(error).splitlines()[0]}{after}")

    async def _must(self, command: tuple[str, ...], what: str) -> _Ran:
        ran = await self._run(command)
        if ran.status != 0:
            raise Failed(
                Problem(f"cannot {what}: {_last_line(ran)}", str(self._mirror), "check the folder's owner and space")
            )
        return ran

    async def _run(self, command: tuple[str, ...]) -> _Ran:
        """One git command, limited in time and in what we keep of its output; its whole group ends with it."""
        assert self._lock is not None
        child = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self._git.environment(os.environ),
            cwd=self._mirror,
            start_new_session=True,
            pass_fds=(self._lock,),
        )
        assert child.stdout is not None
        assert child.stderr is not None
        try:
            async with asyncio.timeout(self._timeout_s):
                output, errors, status = await asyncio.gather(_some(child.stdout), _some(child.stderr), child.wait())
        except TimeoutError:
            return _Ran(-1, "", f"git took longer than {self._timeout_s:g} s")
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            await child.wait()
        return _Ran(status, output, errors)


async def _some(stream: asyncio.StreamReader) -> str:
    """The end of a stream; the rest is read and dropped, so that a talkative server fills no memory."""
    kept = b""
    while chunk := await stream.read(65536):
        kept = (kept + chunk)[-_KEPT_OUTPUT:]
    return kept.decode("utf-8", "replace")


def _last_line(ran: _Ran) -> str:
    """What git said, on one printable line: its first `fatal` or `error`, else the last line."""
    lines = ["".join(c if c.isprintable() else " " for c in line).strip() for line in ran.errors.splitlines()]
    lines = [line for line in lines if line]
    blamed = [line for line in lines if line.startswith(("fatal:", "error:"))]
    return (blamed or lines[-1:] or [""])[0][:500]


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds above 0")
    return value


def _bytes(text: str) -> int:
    value = int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0
    if not value:
        raise argparse.ArgumentTypeError(f"{text} is not a number of bytes above 0")
    return value


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="muslin fetch",
        description="""\
Keep a bare mirror of one branch up to date for `muslin reconcile`. Executes git
and its transports and nothing else, with a fixed argument list, and writes one
folder. Looks again after every interval, and at once when a post-receive hook
wakes it.""",
        epilog="""\
examples:
  muslin fetch --repository https://git.example/net.git --mirror mirror.git
  muslin fetch --repository ssh://git@git.example/net.git --mirror mirror.git \\
      --ssh-key key --known-hosts known_hosts --poke reconcile.wake
  muslin fetch --repository /srv/net.git --allow-local --mirror mirror.git --once

exit status: 0 ended as asked, 1 it failed (with --once also: the mirror is not
current), 2 wrong usage""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--repository", required=True, help="https://..., ssh://..., or a path with --allow-local")
    parser.add_argument("--branch", default="main", help="the branch to follow (main)")
    parser.add_argument("--mirror", required=True, type=Path, help="the only folder that is written")
    parser.add_argument("--poke", type=Path, help="the reconciler's wake socket")
    parser.add_argument("--interval", type=_seconds, default=30.0, help="seconds between looks without a push (30)")
    parser.add_argument("--timeout", type=_seconds, default=60.0, help="seconds that one git command may take (60)")
    parser.add_argument(
        "--max-bytes", type=_bytes, default=256 << 20, help="size of the largest file written (256 MiB)"
    )
    parser.add_argument("--allow-local", action="store_true", help="allow a repository on this machine")
    parser.add_argument("--ssh-key", type=Path, help="private key for ssh")
    parser.add_argument("--known-hosts", type=Path, help="known_hosts file for ssh")
    parser.add_argument("--once", action="store_true", help="fetch once and end; exit status 1 if not current")
    return parser.parse_args(argv)


async def _serve(arguments: argparse.Namespace, say: Callable[[str], None]) -> int:
    remote = Remote.parse(arguments.repository, arguments.branch, allow_local=arguments.allow_local)
    fetcher = Fetcher(
        Git(arguments.mirror.absolute(), remote, arguments.ssh_key, arguments.known_hosts),
        poke=arguments.poke,
        interval_s=arguments.interval,
        timeout_s=arguments.timeout,
        random=Random(),  # noqa: S311  jitter, not a secret
        now=lambda: datetime.now(UTC),
        say=say,
    )
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        await fetcher.open()
        if arguments.once:
            await fetcher.fetch_once()
            return 0 if fetcher.state.standing is Standing.CURRENT else 1
        await fetcher.run()
    except asyncio.CancelledError:
        return 0
    finally:
        fetcher.close()
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """The process. Gives the exit status: 0 ended as asked, 1 failed, 2 wrong usage."""
    arguments = _arguments(sys.argv[1:] if argv is None else argv)
    # every file that git or we write ends here, so that a repository cannot fill the disk with one pack
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    limit = arguments.max_bytes if hard == resource.RLIM_INFINITY else min(arguments.max_bytes, hard)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY if hard == resource.RLIM_INFINITY else min(_MEMORY, hard), hard))

    def say(line: str) -> None:
        print(f"muslin fetch: {line}", file=sys.stderr, flush=True)  # noqa: T201  the process's log

    try:
        return asyncio.run(_serve(arguments, say))
    except MuslinError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2 if isinstance(error, BadInput) else 1


if __name__ == "__main__":
    sys.exit(main())
