"""Options that several verbs share, and how they are opened."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from muslin.errors import BadInput, Problem

if TYPE_CHECKING:
    from muslin.datastore.embedded import EmbeddedDatastore

__all__ = ["check_datastore", "datastore_option", "open_datastore"]

_F = TypeVar("_F", bound=Callable[..., Any])


def datastore_option(function: _F) -> _F:
    """Add `--datastore FILE` (or MUSLIN_DATASTORE): the embedded datastore to work on."""
    return click.option(
        "--datastore",
        envvar="MUSLIN_DATASTORE",
        metavar="FILE",
        default="/var/lib/muslin/datastore.db",
        show_default=True,
        help="File of the embedded datastore; also from MUSLIN_DATASTORE.",
    )(function)


@contextlib.asynccontextmanager
async def open_datastore(path: str) -> AsyncIterator[EmbeddedDatastore]:
    """The datastore in an existing file; closes it at the end. Raises BadInput where there is no such file."""
    from muslin.datastore.embedded import EmbeddedDatastore  # noqa: PLC0415 - wrong usage is told before it is paid for

    check_datastore(path)
    store = EmbeddedDatastore.open(path)
    try:
        yield store
    finally:
        await store.close()


def check_datastore(path: str) -> None:
    """Refuse a path at which a datastore would have to be made first: that is not for who only looks."""
    try:
        size = Path(path).stat().st_size if Path(path).is_file() else None
    except OSError as error:
        raise _refused(f"the datastore can't be looked at: {error.strerror}", path) from error
    except ValueError as error:
        raise _refused(f"{path!r} can't be a file: {error}", path) from error
    if size is None:
        what = "is not a file" if Path(path).exists() else "is not there"
        raise _refused(f"the datastore {path} {what}", path)
    if size == 0:
        raise _refused(f"{path} is empty, and no datastore", path)


def _refused(what: str, path: str) -> BadInput:
    where = "MUSLIN_DATASTORE" if os.environ.get("MUSLIN_DATASTORE") == path else "--datastore"
    return BadInput(Problem(what, where, "give the file of a running cluster; `muslin lab up` prints its own"))
