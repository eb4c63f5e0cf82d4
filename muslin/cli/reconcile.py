"""`muslin fetch` and `muslin reconcile`: the two processes that bring a repository's files into a datastore."""

from __future__ import annotations

import sys

import click

__all__ = ["fetch", "reconcile", "webhook"]

_PASSED_ON = {"ignore_unknown_options": True, "help_option_names": []}


@click.command(context_settings=_PASSED_ON)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def fetch(arguments: tuple[str, ...]) -> None:
    """Keep a bare mirror of a git repository up to date."""
    from reconciler.fetch_process import main  # noqa: PLC0415 - only this verb pays for it

    sys.exit(main(arguments))


@click.command(context_settings=_PASSED_ON)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def reconcile(arguments: tuple[str, ...]) -> None:
    """Keep a datastore in line with a mirror."""
    from reconciler.process import main  # noqa: PLC0415 - only this verb pays for it

    sys.exit(main(arguments))


@click.command(context_settings=_PASSED_ON)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def webhook(arguments: tuple[str, ...]) -> None:
    """Hear from a git server that somebody pushed."""
    from reconciler.webhook_process import main  # noqa: PLC0415 - only this verb pays for it

    sys.exit(main(arguments))
