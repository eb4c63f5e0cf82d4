"""Opens the datastore that settings name; a driver is imported only when its store is opened."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from muslin.datastore.configuration import EMBEDDED_VARIABLE
from muslin.datastore.protocol import Datastore
from muslin.datastore.settings import DatastoreSettings, EmbeddedSettings, EtcdSettings, KubernetesSettings
from muslin.errors import BadInput, Problem

__all__ = ["check", "named", "open_store", "opened"]


async def open_store(
    settings: DatastoreSettings, *, make: bool = False, wake_after_s: float = 0.0, **identity: Any
) -> Datastore:
    """The store, ready to be used on the running loop; close it when done.

    Args:
        settings: which, and how it is reached.
        make: make the embedded datastore's file where there is none; otherwise that is refused, since whoever only
            looks, or keeps a kernel in line with it, must not mistake an empty store for the cluster's.
        wake_after_s: see `EmbeddedDatastore`; other stores wake their watchers themselves.
        identity: `now` and `new_uid` of objects to come, for stores that let their users choose: not Kubernetes.

    Raises:
        BadInput: the settings can't be right.
        Unavailable: the store does not answer.
        Forbidden: it does not let us in.
    """
    match settings:
        case EmbeddedSettings(path):
            from muslin.datastore.embedded import EmbeddedDatastore  # noqa: PLC0415 - the others do without SQLite

            if not make:
                check(settings)
            return EmbeddedDatastore.open(path, wake_after_s=wake_after_s, **identity)
        case EtcdSettings():
            from muslin.datastore.etcd import EtcdDatastore  # noqa: PLC0415 - gRPC is loaded for etcd alone

            return await EtcdDatastore.open(settings, **identity)
        case KubernetesSettings():
            from muslin.datastore.kubernetes import KubernetesDatastore  # noqa: PLC0415 - so is aiohttp

            return await KubernetesDatastore.open(settings)


@contextlib.asynccontextmanager
async def opened(settings: DatastoreSettings, *, make: bool = False, **identity: Any) -> AsyncIterator[Datastore]:
    """As `open_store`; closes the store at the end."""
    store = await open_store(settings, make=make, **identity)
    try:
        yield store
    finally:
        await store.close()


def named(settings: DatastoreSettings) -> str:
    """Which store it is, for people: never a secret."""
    match settings:
        case EmbeddedSettings(path):
            return path
        case EtcdSettings(endpoints=endpoints, discovery_srv=srv):
            return f"etcd {','.join(endpoints) or srv}"
        case KubernetesSettings(api_endpoint=endpoint, kubeconfig=kubeconfig, context=context):
            return f"Kubernetes {endpoint or kubeconfig or '(of this pod)'}{f', context {context}' if context else ''}"


def check(settings: DatastoreSettings) -> None:
    """Refuse an embedded datastore that is not there yet. Raises BadInput."""
    if not isinstance(settings, EmbeddedSettings):
        return
    path, assumed = settings.path, settings.assumed
    try:
        size = Path(path).stat().st_size if Path(path).is_file() else None
    except OSError as error:
        raise _refused(f"the datastore can't be looked at: {error.strerror}", path) from error
    except ValueError as error:
        raise _refused(f"{path!r} can't be a file: {error}", path) from error
    if size is None:
        what = "is not a file" if Path(path).exists() else "is not there"
        raise _refused(f"the datastore {path} {what}", path, assumed=assumed)
    if size == 0:
        raise _refused(f"{path} is empty, and no datastore", path)


def _refused(what: str, path: str, *, assumed: bool = False) -> BadInput:
    if assumed:
        fix = "name one: --datastore FILE, --config FILE, a kubeconfig, or DATASTORE_TYPE and what goes with it"
        return BadInput(
            Problem(f"no datastore is named, and {what.removeprefix('the datastore ')}", "--datastore", fix)
        )
    where = EMBEDDED_VARIABLE if os.environ.get(EMBEDDED_VARIABLE) == path else "--datastore"
    named = "" if where == EMBEDDED_VARIABLE else f" --datastore {shlex.quote(path)}"
    fix = (
        f"give the file of a running cluster (`muslin lab up` prints its own); `muslin apply{named} -f FILE` makes one"
    )
    return BadInput(Problem(what, where, fix))
