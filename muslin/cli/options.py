"""Options that several verbs share, and how they are opened."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from muslin.datastore.embedded import EmbeddedDatastore
from muslin.errors import BadInput, Problem

__all__ = ["datastore_option", "open_datastore"]

_F = TypeVar("_F", bound=Callable[..., Any])


def datastore_option(function: _F) -> _F:
    """Add `--datastore FILE` (or MUSLIN_DATASTORE): the embedded datastore to work on."""
    return click.option(
        "--datastore",
        envvar="MUSLIN_DATASTORE",
        default="/var/lib/muslin/datastore.db",
        show_default=True,
        help="File of the embedded datastore; also from MUSLIN_DATASTORE.",
    )(function)


@contextlib.asynccontextmanager
async def open_datastore(path: str) -> AsyncIterator[EmbeddedDatastore]:
    """The datastore in an existing file; closes it at the end. Raises BadInput where there is no such file."""
    if not Path(path).is_file():
        raise BadInput(
            Problem(
                f"there is no datastore {path}",
                "--datastore" if os.environ.get("MUSLIN_DATASTORE") != path else "MUSLIN_DATASTORE",
                "give the file of a running cluster; `muslin lab up` prints its own",
            )
        )
    store = EmbeddedDatastore.open(path)
    try:
        yield store
    finally:
        await store.close()
