"""The command `muslin`: finds the verb, runs it, and turns what went wrong into words and an exit status.

A verb's module is imported only when that verb is used, so that `muslin speaker` does not pay for `muslin lab`.
Exit statuses: 0 fine, 1 failed, 2 wrong usage or input. `plan` answers 2 when there are changes, so 1 for all errors.
Called `calicoctl`, or as `muslin ctl`, it is `muslin.cli.ctl` instead; called `kubectl-muslin`, a plugin of kubectl.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from pathlib import Path
from typing import Any

import click

from muslin.cli.printing import printable
from muslin.cli.verbs import CALICO_VERBS, LazyGroup, global_options, mark_examples
from muslin.errors import BadInput, MuslinError, Problem

__all__ = ["main"]

_VERBS: dict[str, tuple[str, str]] = {
    "init": ("muslin.cli.init:init", "Write the file of facts that blueprints decide from."),
    "explain": ("muslin.cli.explain:explain", "Show what a blueprint decides about a cluster, and why."),
    "render": ("muslin.cli.render:render", "Write a blueprint's resources as YAML files."),
    "check": ("muslin.cli.check:check", "Check a folder's files offline; text, JSON, JUnit or SARIF."),
    "verify-install": ("muslin.cli.verify_install:verify_install", "Compare an installation of upstream Calico."),
    "plan": ("muslin.cli.plan:plan", "Show what files would change in a datastore. Exit 2: there are changes."),
    "reconcile": ("muslin.cli.reconcile:reconcile", "Keep a datastore in line with a git repository."),
    "fetch": ("muslin.cli.reconcile:fetch", "Keep a bare mirror of a git repository up to date."),
    "webhook": ("muslin.cli.reconcile:webhook", "Hear from a git server that somebody pushed, and wake fetch."),
    "status": ("muslin.cli.status:status", "Show what the reconciler has applied, and what holds it up."),
    "history": ("muslin.cli.history:history", "Show what the reconciler has done, when, and whose commit it was."),
    "suspend": ("muslin.cli.steering:suspend", "Let the reconciler write nothing for a while."),
    "resume": ("muslin.cli.steering:resume", "Undo suspend."),
    "approve": ("muslin.cli.steering:approve", "Let a plan be applied that waits for a person."),
    "rollback": ("muslin.cli.steering:rollback", "Take back the commit in force."),
    "confirm": ("muslin.cli.steering:confirm", "Let the reconciler remove a pool, a tier or the BGP configuration."),
    "release": ("muslin.cli.steering:release", "Let a commit be tried again that was taken back."),
    "adopt": ("muslin.cli.adopt:adopt", "Take a Pulumi stack's objects over for the reconciler, or give them back."),
    **CALICO_VERBS,
    "ctl": ("muslin.cli.ctl:ctl", "All verbs of calicoctl, with its exit statuses and messages."),
    "crds": ("muslin.cli.crds:crds", "Print the definitions that make Kubernetes serve our kinds."),
    "schema": ("muslin.cli.crds:schema", "Print the JSON Schema of our kinds, for editors."),
    "lab": ("muslin.cli.lab:lab", "A whole cluster in network namespaces on this machine."),
    "agent": ("muslin.cli.processes:agent", "Run the agent of a node: routes, policy, pods."),
    "speaker": ("muslin.cli.processes:speaker", "Run the BGP speaker of a node."),
}

_TWO_MEANS_CHANGES = frozenset({"plan"})
"""Verbs whose exit status 2 is an answer: all their errors are 1."""


class _Verbs(LazyGroup):
    """The verbs, with a word for those who mistype one."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _VERBS and not args[0].startswith("-"):
            from difflib import get_close_matches  # noqa: PLC0415 - only for mistakes

            meant = get_close_matches(args[0], _VERBS, 1)
            fix = f"did you mean {meant[0]}?" if meant else f"use one of {', '.join(_VERBS)}"
            raise BadInput(Problem(f"there is no verb {args[0]!r}", "muslin", fix))
        name, command, rest = super().resolve_command(ctx, args)
        if isinstance(ctx.obj, dict):
            ctx.obj["verb"] = name
        return name, command, rest


@click.command(
    cls=_Verbs, verbs=_VERBS, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(package_name="muslin", message="muslin %(version)s")
@global_options
def _muslin() -> None:
    r"""Calico's reference architecture as a program: decide, reconcile, carry the packets.

    \b
    Try it on this machine, without root:    muslin lab demo
    Ask what it decides about your cluster:  muslin explain cluster.yaml
    Each verb tells more:                    muslin plan --help

    Exit status: 0 fine, 1 failed, 2 wrong usage or input; `plan` answers 2 when there are changes.
    """


def main(arguments: list[str] | None = None) -> None:
    """Run one verb and exit with its status; never ends in a traceback, unless MUSLIN_TRACEBACK asks for one."""
    _prepare_streams()
    given = sys.argv[1:] if arguments is None else arguments
    if called := _called_calicoctl(given, arguments):
        from muslin.cli.ctl import status_of  # noqa: PLC0415 - as `muslin` nobody pays for it

        sys.exit(_flushed(status_of(called[1], called[0])))
    mark_examples(_muslin)
    asked: dict[str, Any] = {}
    status = _status_of(given, asked)
    if status == 2 and asked.get("failed") and asked.get("verb") in _TWO_MEANS_CHANGES:
        status = 1
    sys.exit(_flushed(status))


def _called_calicoctl(given: list[str], arguments: list[str] | None) -> tuple[str, list[str]] | None:
    """Our name and what follows it, where we go by the name of calicoctl; None where we do not."""
    name = Path(sys.argv[0]).name if arguments is None else "muslin"
    if name == "calicoctl" or name.startswith("calicoctl-") or name == "kubectl-calico":
        return "calicoctl", given
    return ("muslin ctl", given[1:]) if given[:1] == ["ctl"] else None


def _status_of(arguments: list[str], asked: dict[str, Any]) -> int:
    """Run the verb, and say what went wrong. `asked` is told the verb, and whether it failed."""
    try:
        color = False if os.environ.get("NO_COLOR") else None
        name = "kubectl muslin" if Path(sys.argv[0]).name == "kubectl-muslin" else "muslin"
        answer = _muslin.main(arguments, name, standalone_mode=False, obj=asked, color=color)
        return answer if isinstance(answer, int) else 0
    except SystemExit as error:  # verbs that read their arguments themselves
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
    except click.ClickException as error:
        _tell(_usage_problem(error))
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        return 130
    except MuslinError as error:
        _tell(*error.problems)
        if not (isinstance(error, BadInput) or getattr(error, "input", False)):
            return 1
    except OSError as error:
        if error.errno != errno.EPIPE:  # whoever read us has seen enough
            _tell(_system_problem(error))
        return 1
    except Exception as error:
        if os.environ.get("MUSLIN_TRACEBACK"):
            raise
        _tell(_fault(error))
        return 1
    asked["failed"] = True
    return 2


def _flushed(status: int) -> int:
    """The status once all is written; 1 where it can't be (a full disk, a reader that is gone)."""
    try:
        sys.stdout.flush()
    except OSError as error:
        if status == 0 and error.errno != errno.EPIPE:
            _tell(_system_problem(error))
        # what is left in the buffer must not be tried again at exit
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return status or 1
    return status


def _prepare_streams() -> None:
    """Make sure that printing never fails by what is printed: text that the terminal's encoding lacks is escaped."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever started us
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - until the end
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _tell(*problems: Problem) -> None:
    for problem in problems:
        lines = f"error: {problem}".split("\n")
        click.echo("\n".join(printable(line) for line in lines), err=True)


def _usage_problem(error: click.ClickException) -> Problem:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "muslin"
    what = " ".join(error.format_message().split()).rstrip(".")
    return Problem(what[:1].lower() + what[1:], command, f"see `{command} --help`")


def _system_problem(error: OSError) -> Problem:
    where = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else "input or output"
    return Problem(
        f"the system refused: {error.strerror or error}", where, "check that it is there and that this user may use it"
    )


def _fault(error: Exception) -> Problem:
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    where = f"{at.tb_frame.f_globals.get('__name__')}, line {at.tb_lineno}" if at is not None else "muslin"
    return Problem(
        f"a fault of this program: {type(error).__name__}: {error}",
        where,
        "report it, with what MUSLIN_TRACEBACK=1 prints",
    )


if __name__ == "__main__":
    main()
