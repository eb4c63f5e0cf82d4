"""Groups of verbs whose modules are imported when they are asked for, and the verbs that calicoctl has as well."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import click

__all__ = ["CALICO_VERBS", "LazyGroup", "global_options", "mark_examples"]

_R = TypeVar("_R")

CALICO_VERBS: Final[Mapping[str, tuple[str, str]]] = {
    "get": ("muslin.cli.get:get", "Show objects, as calicoctl does."),
    "create": ("muslin.cli.write:create", "Create objects of files."),
    "apply": ("muslin.cli.write:apply", "Create or update objects of files."),
    "replace": ("muslin.cli.write:replace", "Update objects of files."),
    "delete": ("muslin.cli.delete:delete", "Delete objects."),
    "patch": ("muslin.cli.patch:patch", "Change fields of an object."),
    "label": ("muslin.cli.label:label", "Set or remove a label of an object."),
    "validate": ("muslin.cli.write:validate", "Check objects of files; needs no datastore."),
    "ipam": ("muslin.cli.ipam:ipam", "Addresses: who holds them, what leaks, settings."),
    "node": ("muslin.cli.node:node", "Look at one node: BGP sessions, diagnostics, what its kernel has."),
    "datastore": ("muslin.cli.datastore:datastore", "Move, check, back up and lock a datastore."),
    "cluster": ("muslin.cli.cluster:cluster", "Collect what helps to find a fault of a cluster."),
    "version": ("muslin.cli.version:version", "Show the versions of this program and of the cluster."),
}
"""Mapping[verb, (module:attribute, what it does)], in the order of their help."""


class LazyGroup(click.Group):
    """A group that knows its commands by name, and imports the one that is used.

    Args:
        verbs: as CALICO_VERBS.
    """

    def __init__(self, *arguments: Any, verbs: Mapping[str, tuple[str, str]], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.verbs = verbs

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """See click."""
        return list(self.verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """See click."""
        if cmd_name not in self.verbs:
            return None
        module, _, attribute = self.verbs[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        mark_examples(command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """See click."""
        with formatter.section("Verbs"):
            formatter.write_dl([(verb, text) for verb, (_, text) in self.verbs.items()])


def global_options(function: Callable[..., _R]) -> Callable[..., _R]:
    """Let `--context` and its like stand before the verb, as calicoctl does; `options.reaching` finds them."""

    @functools.wraps(function)
    def call(**options: Any) -> _R:
        shared = click.get_current_context().obj
        if isinstance(shared, dict):
            shared["global"] = options
        return function()

    for option in (
        click.option("-c", "--config", hidden=True),
        click.option("--context", hidden=True),
        click.option("--datastore", hidden=True),
        click.option("-l", "--log-level", hidden=True),
        click.option("--allow-version-mismatch", is_flag=True, hidden=True),
    ):
        call = option(call)
    return call


def mark_examples(command: click.Command) -> None:
    """Let click see where lines must not be joined: in our raw docstrings its mark stands as two characters."""
    if command.help:
        command.help = command.help.replace("\\b\n", "\b\n")
    for below in command.commands.values() if isinstance(command, click.Group) else ():
        mark_examples(below)
