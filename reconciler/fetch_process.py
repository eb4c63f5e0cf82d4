"""The fetcher process: options, limits, and one fetcher for each source."""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import signal
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from muslin.errors import BadInput, MuslinError, Problem
from reconciler import confinement, hook, sources_file
from reconciler.commands import Git
from reconciler.credentials import Credentials
from reconciler.fetch_state import Standing
from reconciler.fetcher import Fetcher
from reconciler.pushing import BRANCH, Pushing
from reconciler.remotes import Remote, Transport
from reconciler.reverts import AUTHOR
from reconciler.signatures import Policy
from reconciler.sources_file import Origin, Role

__all__ = ["main"]


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
Keep a bare mirror of one branch up to date for `muslin reconcile`, or with
--sources the mirrors of several. Executes git and its transports, for
signatures ssh-keygen and gpgv, and nothing else, with fixed argument lists, and
writes one folder. Looks again after every interval, and at once when a
post-receive hook or `muslin webhook` wakes it.""",
        epilog="""\
examples:
  muslin fetch --repository https://git.example/net.git --mirror mirror.git
  muslin fetch --repository ssh://git@git.example/net.git --mirror mirror.git \\
      --ssh-key key --known-hosts known_hosts --poke reconcile.wake
  muslin fetch --repository /srv/net.git --allow-local --mirror mirror.git --once
  muslin fetch --sources /etc/muslin/sources.yaml

exit status: 0 ended as asked, 1 it failed (with --once also: the mirror is not
current), 2 wrong usage""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    one = parser.add_mutually_exclusive_group(required=True)
    one.add_argument("--repository", help="https://..., ssh://..., or a path with --allow-local")
    one.add_argument("--sources", type=Path, help="file that names sources and sets; then no other option but --once")
    parser.add_argument("--branch", help="the branch to follow (main)")
    parser.add_argument("--tag", help="the tag to follow, instead of a branch")
    parser.add_argument("--commit", help="the commit to stay at, instead of a branch; all 40 digits")
    parser.add_argument("--mirror", type=Path, help="the only folder that is written")
    parser.add_argument("--poke", type=Path, action="append", help="a reconciler's wake socket; repeatable")
    parser.add_argument("--interval", type=_seconds, default=30.0, help="seconds between looks without a push (30)")
    parser.add_argument("--timeout", type=_seconds, default=60.0, help="seconds that one git command may take (60)")
    parser.add_argument(
        "--max-bytes",
        type=_bytes,
        default=256 << 20,
        help="size of the largest file written, and an eighth of a mirror's (256 MiB)",
    )
    parser.add_argument("--allow-local", action="store_true", help="allow a repository on this machine")
    parser.add_argument("--ssh-key", type=Path, help="private key for ssh; then no agent is asked")
    parser.add_argument("--known-hosts", type=Path, help="known_hosts file for ssh: no other host key is believed")
    parser.add_argument("--user", default="git", help="name that goes with the token (git)")
    parser.add_argument("--token-file", type=Path, help="file with a token for https, read for every fetch")
    parser.add_argument("--client-certificate", type=Path, help="certificate for https, PEM")
    parser.add_argument("--client-key", type=Path, help="its private key, PEM")
    parser.add_argument("--authority", type=Path, help="the only authorities that are believed, PEM")
    parser.add_argument("--pinned-key", help="the only public key that is believed: sha256//...")
    parser.add_argument("--allowed-signers", type=Path, help="commits must be signed by one of these ssh keys")
    parser.add_argument("--keyring", type=Path, help="commits must be signed by one of these OpenPGP keys")
    parser.add_argument("--anchor", help="commit from which signatures are checked")
    parser.add_argument(
        "--revert-requests", type=Path, metavar="FILE", help="push reverts that `--ask-revert` asks for"
    )
    parser.add_argument("--revert-branch", metavar="NAME", help=f"where they are pushed to ({BRANCH})")
    parser.add_argument("--revert-tracked", action="store_true", help="push them to the branch that is followed")
    parser.add_argument("--revert-key", type=Path, metavar="FILE", help="private ssh key by which they are signed")
    parser.add_argument("--revert-author", metavar="TEXT", help="their author: Name <address>")
    parser.add_argument("--install-hook", action="store_true", help="let pushes into a local repository wake us")
    parser.add_argument("--once", action="store_true", help="fetch once and end; exit status 1 if not current")
    return parser.parse_args(argv)


def _origin(arguments: argparse.Namespace) -> Origin:
    """The one source that the options name. Raises BadInput."""
    if arguments.mirror is None:
        raise BadInput(Problem("no folder for the mirror is given", "--mirror", "give one"))
    branch = arguments.branch
    if branch is None and arguments.tag is None and arguments.commit is None:
        branch = "main"
    remote = Remote.parse(
        arguments.repository, branch, tag=arguments.tag, commit=arguments.commit, allow_local=arguments.allow_local
    )
    credentials = Credentials(
        arguments.ssh_key,
        arguments.known_hosts,
        arguments.user,
        arguments.token_file,
        arguments.client_certificate,
        arguments.client_key,
        arguments.authority,
        arguments.pinned_key,
    )
    problems = credentials.problems(remote.transport)
    if problems:
        raise BadInput(problems)
    policy = None
    if arguments.allowed_signers is not None or arguments.keyring is not None:
        policy = Policy(arguments.allowed_signers, keyring=arguments.keyring, anchor=arguments.anchor)
        problems = policy.problems()
    elif arguments.anchor is not None:
        problems = (
            Problem("an anchor is of signatures, and none are asked for", "--anchor", "give --allowed-signers"),
        )
    if problems:
        raise BadInput(problems)
    pushing = _pushing(arguments)
    if pushing is not None and (problems := pushing.problems(remote, policy)):
        raise BadInput(problems)
    return Origin(
        "default",
        remote,
        arguments.mirror.absolute(),
        credentials,
        policy,
        arguments.interval,
        arguments.timeout,
        tuple(arguments.poke or ()),
        None,
        pushing,
    )


def _pushing(arguments: argparse.Namespace) -> Pushing | None:
    given = (arguments.revert_branch, arguments.revert_key, arguments.revert_author)
    if arguments.revert_requests is None:
        if arguments.revert_tracked or any(each is not None for each in given):
            fix = "give --revert-requests, the file of the reconciler's --ask-revert"
            raise BadInput(Problem("no reverts are asked for", "--revert-...", fix))
        return None
    if arguments.revert_tracked and arguments.revert_branch is not None:
        where = "--revert-branch, --revert-tracked"
        raise BadInput(Problem("two places for one commit are given", where, "give one of the two"))
    branch = None if arguments.revert_tracked else arguments.revert_branch or BRANCH
    requests = (arguments.revert_requests.absolute(),)
    return Pushing(requests, "", branch, arguments.revert_key, arguments.revert_author or AUTHOR)


def _install(origin: Origin) -> None:
    if origin.remote.transport is not Transport.FILE:
        raise BadInput(
            Problem("the repository is not on this machine", "--install-hook", "let its server tell `muslin webhook`")
        )
    hook.install(Path(origin.remote.url), origin.mirror / hook.WAKE_FIFO)


async def _serve(origins: Sequence[Origin], say: Callable[[str], None], *, once: bool, largest: int) -> int:
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)

    def told(name: str) -> Callable[[str], None]:
        return say if len(origins) == 1 else lambda line: say(f"{name}: {line}")

    fetchers = [
        Fetcher(
            Git(each.mirror, each.remote, each.credentials),
            poke=each.pokes,
            interval_s=each.interval_s,
            timeout_s=each.timeout_s,
            random=Random(),  # noqa: S311  jitter, not a secret
            now=lambda: datetime.now(UTC),
            say=told(each.name),
            policy=each.policy,
            most_bytes=8 * largest,
            pushing=each.pushing,
        )
        for each in origins
    ]
    try:
        for fetcher in fetchers:
            await fetcher.open()
        if once:
            errors = await asyncio.gather(*(each.fetch_once() for each in fetchers), return_exceptions=True)
            for error in errors:
                if error is not None:
                    raise error
            return 0 if all(each.state.standing is Standing.CURRENT for each in fetchers) else 1
        async with asyncio.TaskGroup() as group:
            for fetcher in fetchers:
                group.create_task(fetcher.run())
    except asyncio.CancelledError:
        return 0
    finally:
        for fetcher in fetchers:
            fetcher.close()
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """The process. Gives the exit status: 0 ended as asked, 1 failed, 2 wrong usage."""
    arguments = _arguments(sys.argv[1:] if argv is None else argv)

    def say(line: str) -> None:
        print(f"muslin fetch: {line}", file=sys.stderr, flush=True)  # noqa: T201  the process's log

    try:
        largest = arguments.max_bytes
        if arguments.sources is None:
            origins: tuple[Origin, ...] = (_origin(arguments),)
            if arguments.install_hook:
                _install(origins[0])
        else:
            sources = sources_file.load(arguments.sources, Role.FETCHER)
            origins, largest = sources.origins, sources.max_bytes
        for each in origins:
            each.mirror.mkdir(parents=True, exist_ok=True)
        confinement.limit(largest_file=largest)
        pushed = [each for each in origins if each.pushing is not None]
        local = [Path(each.remote.url) for each in pushed if each.remote.transport is Transport.FILE]
        lacking = confinement.confine(
            writes=[*(each.mirror for each in origins), *local],
            programs=confinement.fetching(
                {each.remote.transport for each in origins},
                signatures=any(each.policy is not None for each in origins),
                path=os.environ.get("PATH"),
                signs=any(each.pushing is not None and each.pushing.key is not None for each in pushed),
            ),
        )
        if lacking:
            say(lacking)
        return asyncio.run(_serve(origins, say, once=arguments.once, largest=largest))
    except MuslinError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2 if isinstance(error, BadInput) else 1


if __name__ == "__main__":
    sys.exit(main())
