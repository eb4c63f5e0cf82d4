"""What operators tell a reconciler: suspend, resume, approve, confirm, rollback, release."""

from __future__ import annotations

import asyncio
import getpass
import os
import re
import socket
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from muslin.cli.kinds import kind_named
from muslin.cli.options import Reach, reaching
from muslin.cli.printing import printable, short_commit
from muslin.errors import BadInput, Problem

if TYPE_CHECKING:
    from muslin.datastore.protocol import Datastore
    from reconciler.control import Answer

__all__ = ["approve", "confirm", "release", "resume", "rollback", "suspend"]

_F = TypeVar("_F", bound=Callable[..., Any])
_MAX_REASON = 500
_STATUS = "ReconcilerStatus"
_COMMIT = re.compile(r"([a-z0-9.-]+@)?[0-9a-f]{40}(,[a-z0-9.-]+@[0-9a-f]{40})*(~[0-9a-f]{8})?")


def _of_a_set(function: _F) -> _F:
    return click.option("--set", "set_name", metavar="NAME", default="default", show_default=True,
                        help="Which reconciler.")(function)  # fmt: skip


@click.command()
@_of_a_set
@click.option("--reason", required=True, metavar="TEXT", help="Why, for those who find it standing still.")
@reaching
def suspend(set_name: str, reason: str, reach: Reach) -> int:
    r"""Let the reconciler of a set write nothing any more, until `muslin resume`.

    It goes on reading and reporting: `muslin status` shows what it would do. Drift is not repaired either.

    \b
    muslin suspend --reason 'rack 7 is being moved' --datastore lab.db
    """
    from reconciler import control  # noqa: PLC0415 - after wrong usage is told

    answer = _do(
        reach, set_name, lambda store: control.suspend(store, set_name, reason=_reason(reason), by=_user(), at=_time())
    )
    already = answer is control.Answer.ALREADY_SO
    words = "was suspended before; that reason stands" if already else "is suspended; undo it with `muslin resume`"
    click.echo(f"Set {printable(set_name)} {words}.")
    return 0


@click.command()
@_of_a_set
@reaching
def resume(set_name: str, reach: Reach) -> int:
    r"""Undo `muslin suspend`: the reconciler looks at once, applies what is due and repairs drift.

    \b
    muslin resume --datastore lab.db
    """
    from reconciler import control  # noqa: PLC0415

    answer = _do(reach, set_name, lambda store: control.resume(store, set_name))
    already = answer is control.Answer.ALREADY_SO
    click.echo(f"Set {printable(set_name)} {'was not suspended' if already else 'goes on'}.")
    return 0


@click.command()
@click.argument("digest")
@_of_a_set
@reaching
def approve(digest: str, set_name: str, reach: Reach) -> int:
    r"""Let one plan be applied: the one with this digest, as `muslin plan` and `muslin status` print it.

    If the world moves before it is applied, the plan is made anew and applied only if it is the same.

    \b
    muslin approve sha256:0f3c... --datastore lab.db
    """
    from reconciler import control  # noqa: PLC0415

    name, _, content = digest.partition(":")
    if name != "sha256" or len(content) != 64 or set(content) - set("0123456789abcdef"):
        fix = "copy it whole from `muslin plan` or `muslin status`"
        raise BadInput(Problem(f"{printable(digest)} is no digest of a plan", "DIGEST", fix))
    answer = _do(reach, set_name, lambda store: control.approve(store, set_name, digest, by=_user(), at=_time()))
    already = answer is control.Answer.ALREADY_SO
    click.echo(f"Set {printable(set_name)}: {'it was approved before' if already else 'approved'}.")
    return 0


@click.command()
@_of_a_set
@click.option("--reason", required=True, metavar="TEXT", help="Why, for those who wrote the commit.")
@click.option("--to", "to", metavar="COMMIT", help="Go back to this commit. Default: the one before.")
@reaching
def rollback(set_name: str, reason: str, to: str | None, reach: Reach) -> int:
    r"""Take back the commit in force: the one before it is applied again, as any commit is.

    The commit stays held until the branch shows another one, or `muslin release` lets it be tried again.

    \b
    muslin rollback --reason 'the shop lost its database' --datastore lab.db

    Exit status 1 if nothing is in force, or no earlier commit is known.
    """
    from reconciler import control  # noqa: PLC0415

    if to is not None and not _COMMIT.fullmatch(to):
        fix = "give all 40 hexadecimal digits, or for a set of several sources the id of `muslin history -o json`"
        raise BadInput(Problem(f"{printable(to)} is no commit's id", "--to", fix))
    answer = _do(
        reach,
        set_name,
        lambda store: control.rollback(store, set_name, reason=_reason(reason), by=_user(), at=_time(), to=to),
    )
    words = {
        control.Answer.DONE: f"goes back to {short_commit(to) if to else 'the commit before'}; see `muslin status`",
        control.Answer.ALREADY_SO: "is going back already; see `muslin status`",
        control.Answer.NOTHING_IN_FORCE: "has no commit in force: there is nothing to take back",
        control.Answer.NO_EARLIER_COMMIT: "knows no earlier commit: name one with --to",
    }
    done = answer in (control.Answer.DONE, control.Answer.ALREADY_SO)
    click.echo(f"Set {printable(set_name)} {words[answer]}.", err=not done)
    return 0 if done else 1


@click.command()
@click.argument("kind")
@click.argument("name")
@_of_a_set
@reaching
def confirm(kind: str, name: str, set_name: str, reach: Reach) -> int:
    r"""Let the reconciler remove one object that no commit declares any more.

    Pools, tiers and the BGP configuration go only with a word for each: `muslin status` names those that wait. The
    word holds for the commit in force; another one asks again.

    \b
    muslin confirm ippool old-pods --datastore lab.db
    """
    from muslin.resources.keys import Key  # noqa: PLC0415 - after wrong usage is told
    from reconciler import control  # noqa: PLC0415

    key = Key(kind_named(kind).name, name)
    answer = _do(reach, set_name, lambda store: control.confirm(store, set_name, key))
    already = answer is control.Answer.ALREADY_SO
    click.echo(f"Set {printable(set_name)}: {printable(str(key))} {'was confirmed before' if already else 'may go'}.")
    return 0


@click.command()
@_of_a_set
@reaching
def release(set_name: str, reach: Reach) -> int:
    r"""Let a commit be tried again that was taken back, by itself or by `muslin rollback`.

    \b
    muslin release --datastore lab.db
    """
    from reconciler import control  # noqa: PLC0415

    answer = _do(reach, set_name, lambda store: control.release(store, set_name))
    already = answer is control.Answer.ALREADY_SO
    click.echo(f"Set {printable(set_name)}: {'no commit was held' if already else 'the held commit is tried again'}.")
    return 0


def _do(reach: Reach, set_name: str, deed: Callable[[Datastore], Awaitable[Answer]]) -> Answer:
    """The command, and a word if nobody is there who would do it: the name may be another's, or mistyped."""
    from reconciler import control  # noqa: PLC0415 - after wrong usage is told

    async def run() -> tuple[Answer, set[str]]:
        async with reach.store(gate=False) as store:
            return await deed(store), {each.key.name for each in (await store.list(_STATUS)).entries}

    answer, reported = asyncio.run(run())
    if answer is control.Answer.DONE and set_name not in reported:
        known = f"; there are {printable(', '.join(sorted(reported)))}" if reported else ""
        click.echo(
            f"warning: no reconciler of set {printable(set_name)} has reported to this datastore{known}", err=True
        )
    return answer


def _reason(text: str) -> str:
    if not text.strip() or len(text) > _MAX_REASON:
        fix = f"write a sentence of at most {_MAX_REASON} characters"
        raise BadInput(Problem("a reason is missing or too long", "--reason", fix))
    return printable(text.strip())


def _user() -> str:
    """Who asks, as well as this machine knows: for people, nothing is decided by it."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = str(os.getuid())
    return f"{name}@{socket.gethostname()}"


def _time() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
