"""How verbs are told which datastore to use, and how they get at it: calicoctl's flags, and one of our own."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from muslin.errors import BadInput, Problem

if TYPE_CHECKING:
    from muslin.datastore.protocol import Datastore
    from muslin.datastore.settings import DatastoreSettings

__all__ = ["GLOBAL_OPTIONS", "LOG_LEVELS", "Reach", "reaching"]

_R = TypeVar("_R")

LOG_LEVELS = ("panic", "fatal", "error", "warn", "warning", "info", "debug", "trace")
GLOBAL_OPTIONS = ("config", "context", "datastore", "log_level", "allow_version_mismatch")
"""Options that may stand before the verb as well."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Which datastore a verb was asked to use.

    Attributes:
        datastore: the embedded one's file, if it was given.
        config: a CalicoAPIConfig file, if one was given.
        context: of the kubeconfig.
        allow_version_mismatch: do not compare versions.
        calicoctl: we go by that name, and do as it does.
        verbose: warnings are wanted where calicoctl gives none.
    """

    datastore: str | None = None
    config: str | None = None
    context: str | None = None
    allow_version_mismatch: bool = False
    calicoctl: bool = False
    verbose: bool = False

    def settings(self) -> DatastoreSettings:
        """What flags, file and environment come to. Raises BadInput."""
        from muslin.datastore.configuration import Asked, settings_of  # noqa: PLC0415 - wrong usage is told before

        asked = Asked(self.datastore, self.config, self.context, prefer_embedded=not self.calicoctl)
        return settings_of(asked, os.environ)

    @contextlib.asynccontextmanager
    async def store(self, *, gate: bool = True, make: bool = False) -> AsyncIterator[Datastore]:
        """The datastore, closed at the end.

        Args:
            gate: compare the cluster's version with ours first.
            make: make an embedded one that somebody named and that is not there, and say so.
        """
        from muslin.datastore.opening import opened  # noqa: PLC0415

        settings = self.settings()
        file = _missing(settings) if make else None
        async with opened(settings, make=file is not None) as store:
            if file is not None and not self.calicoctl:  # by that name, the first line on standard error is an error's
                click.echo(f"note: {file} was not there: a new datastore was made", err=True)
            if gate and not self.allow_version_mismatch:
                from muslin.cli.version_gate import pass_gate  # noqa: PLC0415

                await pass_gate(store, strict=self.calicoctl)
            yield store


def _missing(settings: DatastoreSettings) -> str | None:
    """The file of an embedded datastore that somebody named, and that is not there or empty."""
    path = getattr(settings, "path", None)
    if path is None or getattr(settings, "assumed", False):
        return None
    with contextlib.suppress(OSError, ValueError):
        return None if Path(path).exists() and Path(path).stat().st_size else path
    return None


def reaching(function: Callable[..., _R]) -> Callable[..., _R]:
    """Add `--config`, `--context`, `--datastore` and their like to a verb, which gets them as `reach`."""

    @functools.wraps(function)
    def call(*arguments: Any, **options: Any) -> _R:
        given = {name: options.pop(name) for name in GLOBAL_OPTIONS}
        context = click.get_current_context()
        shared: dict[str, Any] = context.obj if isinstance(context.obj, dict) else {}
        before: dict[str, Any] = shared.get("global", {})
        found: dict[str, Any] = {
            name: value if value not in (None, False) else before.get(name) for name, value in given.items()
        }
        level = found.pop("log_level")
        if level is not None and level.lower() not in LOG_LEVELS:
            what = f"unknown log level: {level}, expected one of: panic, fatal, error, warn, info, debug"
            raise BadInput(Problem(what, "--log-level", "leave it out, or use one of these"))
        found["verbose"] = level is not None and level.lower() in LOG_LEVELS[LOG_LEVELS.index("warn") :]
        found["allow_version_mismatch"] = bool(found["allow_version_mismatch"])
        return function(*arguments, reach=Reach(**found, calicoctl=bool(shared.get("calicoctl"))), **options)

    for option in (
        click.option("-c", "--config", metavar="FILE", help="A CalicoAPIConfig file. [/etc/calico/calicoctl.cfg]"),
        click.option("--context", metavar="NAME", help="Context of the kubeconfig to use."),
        click.option("--datastore", metavar="FILE", help="File of the embedded datastore; also from MUSLIN_DATASTORE."),
        click.option("-l", "--log-level", metavar="LEVEL", hidden=True),
        click.option("--allow-version-mismatch", is_flag=True, help="Do not compare the cluster's version with ours."),
    ):
        call = option(call)
    return call
