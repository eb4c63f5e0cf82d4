"""The command by the name of `calicoctl`: the same verbs, its exit statuses, and its words in the first line.

Exit status 1 for everything that goes wrong. The first line (or lines) on standard error is the reference's, for the
scripts that look for it; the place and what to do follow.
"""

from __future__ import annotations

import errno
import os
import re
from typing import Any

import click

from muslin.cli.printing import printable
from muslin.cli.verbs import CALICO_VERBS, LazyGroup, global_options, mark_examples
from muslin.cli.wording import Ended, first_line
from muslin.errors import MuslinError, Problem

__all__ = ["ctl", "status_of"]

_SHORT = re.compile(r"^-[^-]")


@click.command(
    cls=LazyGroup,
    verbs=CALICO_VERBS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@global_options
def ctl() -> None:
    r"""The calicoctl command line tool: manage Calico network and security policy, endpoints and nodes.

    \b
    calicoctl get nodes -o wide
    calicoctl apply -f policies/
    calicoctl ipam show --show-blocks

    Exit status: 0 fine, 1 not.
    """


def status_of(arguments: list[str], name: str = "calicoctl") -> int:
    """Run one verb and say what went wrong as calicoctl does; gives the exit status.

    Args:
        arguments: what follows the name.
        name: how we were called, for usage.
    """
    mark_examples(ctl)
    shared: dict[str, Any] = {"calicoctl": True}
    try:
        color = False if os.environ.get("NO_COLOR") else None
        answer = ctl.main(arguments, name, standalone_mode=False, obj=shared, color=color)
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())  # calicoctl shows its help, and is content
        return 0
    except click.ClickException as error:
        _tell(_usage(error), [_usage_problem(error)])
        return 1
    except (click.Abort, KeyboardInterrupt):
        return 130
    except MuslinError as error:
        _tell(first_line(error), error.problems, plain=not isinstance(error, Ended))
        return 1
    except OSError as error:
        if error.errno != errno.EPIPE:  # whoever read us has seen enough
            _tell(f"{error.strerror or error}", ())
        return 1
    except Exception as error:
        if os.environ.get("MUSLIN_TRACEBACK"):
            raise
        _tell(f"{type(error).__name__}: {error}", [_fault()])
        return 1
    return int(isinstance(answer, int) and answer != 0)


def _tell(line: str, problems: Any, *, plain: bool = False) -> None:
    """The reference's line, then of each problem what that line does not say, its place and what to do."""
    lines = [printable(each) for each in line.split("\n")]
    for problem in problems:
        if not plain and len(problems) > 1 and problem.what not in line:
            lines.append(printable(f"  {problem.what}"))
        lines += [printable(f"  where: {problem.where}"), printable(f"  fix:   {problem.fix}")]
    click.echo("\n".join(lines), err=True)


def _usage(error: click.ClickException) -> str:
    """Wrong usage in the words of the reference's library for command lines."""
    match error:
        case click.exceptions.NoSuchOption():
            name = error.option_name
            return f"unknown shorthand flag: '{name[1]}' in {name}" if _SHORT.match(name) else f"unknown flag: {name}"
        case click.exceptions.BadOptionUsage() if "requires an argument" in error.message:
            name = error.option_name
            return (
                f"flag needs an argument: '{name[1]}' in {name}"
                if _SHORT.match(name)
                else f"flag needs an argument: {name}"
            )
        case click.exceptions.MissingParameter(param=click.Option() as option):
            return f'required flag(s) "{option.name}" not set'
        case click.exceptions.MissingParameter() if error.ctx is not None:
            wanted = sum(isinstance(each, click.Argument) and each.required for each in error.ctx.command.params)
            given = sum(
                isinstance(each, click.Argument) and bool(each.name and error.ctx.params.get(each.name))
                for each in error.ctx.command.params
            )
            return f"accepts {wanted} arg(s), received {given}"
        case click.UsageError() if error.message.startswith("No such command "):
            name = error.message.removeprefix("No such command ").strip("'.")
            return f'unknown command "{name}" for "{error.ctx.command_path if error.ctx else "calicoctl"}"'
    return error.format_message()


def _usage_problem(error: click.ClickException) -> Problem:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "calicoctl"
    return Problem(error.format_message(), command, f"see `{command} --help`")


def _fault() -> Problem:
    return Problem("a fault of this program", "muslin", "report it, with what MUSLIN_TRACEBACK=1 prints")
