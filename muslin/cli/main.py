"""The command `muslin`: finds the verb, runs it, and turns what went wrong into words and an exit status.

A verb's module is imported only when that verb is used, so that `muslin speaker` does not pay for `muslin lab`.
Exit statuses: 0 fine, 1 failed, 2 wrong usage or input; `plan` answers 2 when there are changes.
"""

from __future__ import annotations

import importlib
import sys

import click

from muslin.errors import BadInput, MuslinError

__all__ = ["main"]

_VERBS: dict[str, tuple[str, str]] = {
    "explain": ("muslin.cli.explain:explain", "Show what a blueprint decides about a cluster, and why."),
    "render": ("muslin.cli.render:render", "Write a blueprint's resources as YAML files."),
    "plan": ("muslin.cli.plan:plan", "Show what files would change in a datastore. Exit 2: there are changes."),
    "reconcile": ("muslin.cli.reconcile:reconcile", "Keep a datastore in line with a git repository."),
    "fetch": ("muslin.cli.reconcile:fetch", "Keep a bare mirror of a git repository up to date."),
    "status": ("muslin.cli.status:status", "Show what the reconciler has applied, and what holds it up."),
    "get": ("muslin.cli.get:get", "Show resources, as calicoctl does."),
    "node": ("muslin.cli.node:node", "Look at one node: BGP sessions."),
    "lab": ("muslin.cli.lab:lab", "A whole cluster in network namespaces on this machine."),
    "agent": ("muslin.cli.processes:agent", "Run the agent of a node: routes, policy, pods."),
    "speaker": ("muslin.cli.processes:speaker", "Run the BGP speaker of a node."),
}


class _Verbs(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _VERBS:
            return None
        module, _, attribute = _VERBS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Verbs"):
            formatter.write_dl([(verb, text) for verb, (_, text) in _VERBS.items()])


@click.command(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="muslin", message="muslin %(version)s")
def _muslin() -> None:
    r"""Calico's reference architecture as a program: decide, reconcile, carry the packets.

    \b
    Try it on this machine, without root:    muslin lab demo
    Ask what it decides about your cluster:  muslin explain cluster.yaml
    """


def main(arguments: list[str] | None = None) -> None:
    """Run one verb and exit with its status."""
    try:
        status = _muslin.main(args=arguments, standalone_mode=False)
    except click.exceptions.Exit as exit_:
        sys.exit(exit_.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except click.Abort:
        click.echo("stopped", err=True)
        sys.exit(130)
    except MuslinError as error:
        for problem in error.problems:
            click.echo(f"error: {problem}", err=True)
        sys.exit(2 if isinstance(error, BadInput) else 1)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    sys.exit(status if isinstance(status, int) else 0)


if __name__ == "__main__":
    main()
