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
from muslin.errors import BadInput, Failed, Problem

if TYPE_CHECKING:
    from muslin.datastore.protocol import Datastore
    from reconciler.awaited import Awaited
    from reconciler.control import Answer

__all__ = ["approve", "confirm", "release", "resume", "rollback", "suspend"]

_F = TypeVar("_F", bound=Callable[..., Any])
_MAX_REASON = 500
_COMMIT = re.compile(r"([a-z0-9.-]+@)?[0-9a-f]{40}(,[a-z0-9.-]+@[0-9a-f]{40})*(~[0-9a-f]{8})?")


def _of_a_set(function: _F) -> _F:
    return click.option("--set", "set_name", metavar="NAME", default="default", show_default=True,
                        help="Which reconciler.")(function)  # fmt: skip


@click.command()
@_of_a_set
@click.option("--reason", required=True, metavar="TEXT", help="Why, for those who find it standing still.")
@click.option("--unseen", is_flag=True, help="Also if the reconciler of this set has yet to be started.")
@reaching
def suspend(set_name: str, reason: str, *, unseen: bool, reach: Reach) -> int:
    r"""Let the reconciler of a set write nothing any more, until `muslin resume`.

    It goes on reading and reporting: `muslin status` shows what it would do. Drift is not repaired either.

    \b
    muslin suspend --reason 'rack 7 is being moved' --datastore lab.db

    Exit status 1 if no reconciler of this set has reported: nothing would be suspended.
    """
    from reconciler import control  # noqa: PLC0415 - after wrong usage is told

    why = _reason(reason)
    answer = _do(
        reach,
        set_name,
        lambda store: control.suspend(store, set_name, reason=why, by=_user(), at=_time()),
        unseen=unseen,
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

    Exit status 1 if no plan with this digest waits, also where it is yet to be planned: push the commit first.
    """
    from reconciler import control  # noqa: PLC0415

    name, _, content = digest.partition(":")
    if name != "sha256" or len(content) != 64 or set(content) - set("0123456789abcdef"):
        fix = "copy it whole from `muslin plan` or `muslin status`"
        raise BadInput(Problem(f"{printable(digest)} is no digest of a plan", "DIGEST", fix))
    answer = _do(reach, set_name, lambda store: control.approve(store, set_name, digest, by=_user(), at=_time()),
                 lambda known: _waits_for_plan(known, digest, set_name))  # fmt: skip
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

    Exit status 1 if nothing is in force, no earlier commit is known, or the set goes back to another one already.
    """
    from reconciler import control  # noqa: PLC0415

    if to is not None and not _COMMIT.fullmatch(to):
        fix = "give all 40 hexadecimal digits, or for a set of several sources the id of `muslin history -o json`"
        raise BadInput(Problem(f"{printable(to)} is no commit's id", "--to", fix))
    why = _reason(reason)
    answer = _do(
        reach,
        set_name,
        lambda store: control.rollback(store, set_name, reason=why, by=_user(), at=_time(), to=to),
    )
    there = "wait until it is there (`muslin status`), then go on to yours"
    refused = {
        control.Answer.NOTHING_IN_FORCE: ("no commit is in force: nothing is to be taken back", "see `muslin status`"),
        control.Answer.NO_EARLIER_COMMIT: ("no earlier commit is known", "name one of `muslin history` with --to"),
        control.Answer.OTHER_SOURCES: (
            "that commit is of other sources",
            "copy it whole from `muslin history -o json`",
        ),
        control.Answer.GOES_ELSEWHERE: ("it is going back to another commit already", there),
    }
    if answer in refused:
        what, fix = refused[answer]
        raise Failed(Problem(what, f"set {printable(set_name)}", fix))
    words = {
        control.Answer.DONE: f"goes back to {short_commit(to) if to else 'the commit before'}; see `muslin status`",
        control.Answer.ALREADY_SO: "is going back already; see `muslin status`",
    }
    click.echo(f"Set {printable(set_name)} {words[answer]}.")
    return 0


@click.command()
@click.argument("kind")
@click.argument("name")
@_of_a_set
@reaching
def confirm(kind: str, name: str, set_name: str, reach: Reach) -> int:
    r"""Let the reconciler remove one object that no commit declares any more, or go on to the next stage.

    Pools, tiers and the BGP configuration go only with a word for each: `muslin status` names those that wait. The
    word holds for the commit in force; another one asks again. Of a change in stages, the number of the stage under
    way says that its pods are as they must be, or that nodes that report nothing are well.

    \b
    muslin confirm ippool old-pods --datastore lab.db
    muslin confirm stage 3 --datastore lab.db

    Exit status 1 if this object or stage does not wait for the word.
    """
    from muslin.resources.keys import Key  # noqa: PLC0415 - after wrong usage is told
    from reconciler import control  # noqa: PLC0415

    staged = kind.lower() in ("stage", "stages")
    key = Key("Stage" if staged else kind_named(kind).name, name)
    answer = _do(
        reach,
        set_name,
        lambda store: control.confirm(store, set_name, key),
        lambda known: _waits_to_go(known, str(key), set_name),
    )
    already = answer is control.Answer.ALREADY_SO
    done = "was confirmed before" if already else "may end" if staged else "may go"
    click.echo(f"Set {printable(set_name)}: {printable(str(key))} {done}.")
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


def _do(
    reach: Reach,
    set_name: str,
    deed: Callable[[Datastore], Awaitable[Answer]],
    waits: Callable[[Awaited], None] | None = None,
    *,
    unseen: bool = False,
) -> Answer:
    """The command, if somebody is there who would do it: the name may be another's, or mistyped.

    `waits` raises where nobody waits for this word; with `unseen` a set of which nothing is known is taken.
    """
    from reconciler.awaited import awaited  # noqa: PLC0415 - after wrong usage is told

    async def run() -> Answer:
        async with reach.store(gate=False) as store:
            known = await awaited(store, set_name)
            if not (known.reported or known.said or unseen):
                there = f"name one of {printable(', '.join(known.sets))}" if known.sets else "start `muslin reconcile`"
                what = f"no reconciler of set {printable(set_name)} has reported to this datastore"
                raise Failed(Problem(what, "--set", f"{there}; to suspend one before its start add --unseen"))
            if waits is not None:
                waits(known)
            return await deed(store)

    return asyncio.run(run())


def _waits_for_plan(known: Awaited, digest: str, set_name: str) -> None:
    """Raise Failed where no plan with this digest waits, and nobody approved it before."""
    if digest in (known.digest, known.control.approved and known.control.approved.digest):
        return
    if known.digest is None:
        fix = "push the commit; `muslin status` names the digest as soon as its plan waits"
    else:
        fix = (
            f"{printable(known.digest)} waits, for commit {short_commit(known.commit or '')}: read it and approve that"
        )
    raise Failed(Problem(f"no plan with the digest {digest} waits", f"set {printable(set_name)}", fix))


def _waits_to_go(known: Awaited, name: str, set_name: str) -> None:
    """Raise Failed where this object does not wait for a word, and had none before."""
    if name in (*known.objects, *known.control.confirmed):
        return
    if known.objects:
        fix = f"what waits: {printable(', '.join(known.objects))}"
    else:
        fix = "nothing waits; what a commit no longer declares is named by `muslin status` once it was looked at"
    raise Failed(Problem(f"{printable(name)} does not wait to be confirmed", f"set {printable(set_name)}", fix))


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
