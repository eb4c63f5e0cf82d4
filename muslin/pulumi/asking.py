"""Single questions to a cluster: what we may do, what it says to a dry run of a write, what is there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from enum import Enum
from typing import Any, Final, NamedTuple, TypeVar

from muslin.kubernetes import errors as api
from muslin.kubernetes.client import KubernetesClient
from muslin.pulumi.naming import FIELD_MANAGER
from muslin.resources.keys import Key

__all__ = [
    "OWNED",
    "PATCHED",
    "Entry",
    "Wanted",
    "annotations_of",
    "ask_each",
    "denied",
    "entry_of",
    "homeless",
    "tried",
]

_AT_ONCE: Final = 32
_Result = TypeVar("_Result")
_Asked = TypeVar("_Asked")

OWNED: Final = ("create", "delete", "get", "list", "patch", "watch")
"""What Pulumi's provider does with an object that it makes: it lists and watches to see it go, and whatever it waits
for."""

PATCHED: Final = ("get", "patch")
"""The same for an object of which only some fields are written."""


class Wanted(NamedTuple):
    """Rights that writing needs: verbs on one kind, in one namespace or everywhere."""

    kind: str
    group: str
    plural: str
    namespace: str | None
    verbs: tuple[str, ...]


class Entry(Enum):
    """Whether a Secret has an entry."""

    THERE = "it has it"
    ABSENT = "there is no such Secret"
    WITHOUT = "the Secret has no such entry"
    UNSEEN = "this user may not look"


async def ask_each(asked: Iterable[_Asked], ask: Callable[[_Asked], Awaitable[_Result]]) -> dict[_Asked, _Result]:
    """Mapping[each, answer]; so many at once."""
    room = asyncio.Semaphore(_AT_ONCE)
    keys = list(asked)

    async def one(key: _Asked) -> _Result:
        async with room:
            return await ask(key)

    return dict(zip(keys, await asyncio.gather(*(one(key) for key in keys)), strict=True))


async def denied(connection: KubernetesClient, wanted: Iterable[Wanted]) -> tuple[tuple[str, str], ...]:
    """(Kind, verb) of everything that we may not do."""
    asked = sorted({each._replace(verbs=(verb,)) for each in wanted for verb in each.verbs}, key=str)

    async def may(each: Wanted) -> bool:
        attributes = {
            "group": each.group, "resource": each.plural, "verb": each.verbs[0], "namespace": each.namespace or "",
        }  # fmt: skip
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        answer = await connection.create("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
        return bool((answer.get("status") or {}).get("allowed"))

    allowed = await ask_each(asked, may)
    return tuple(dict.fromkeys((each.kind, each.verbs[0]) for each in asked if not allowed[each]))


async def homeless(connection: KubernetesClient, key: Key) -> api.ApiError | None:
    """What is said of an object whose namespace is not there; None where it is, or where we may not know."""
    try:
        await connection.get(f"/api/v1/namespaces/{key.namespace}")
    except api.NotFound as error:
        return error
    except api.ApiError:
        return None
    return None


async def tried(
    connection: KubernetesClient, path: str, value: Mapping[str, Any] | None, *, force: bool = False
) -> api.ApiError | None:
    """What the server says to a dry run of the write; None for yes. Without a value: to a look at what is there."""
    try:
        if value is None:
            await connection.get(path)
        else:
            await connection.apply(path, value, field_manager=FIELD_MANAGER, force=force, dry_run=True)
    except api.ApiError as error:
        return error
    return None


async def annotations_of(connection: KubernetesClient, path: str) -> Mapping[str, str]:
    """Those of an object as it is; none where it is not there."""
    try:
        found = await connection.get(path)
    except api.ApiError:
        return {}
    return (found.get("metadata") or {}).get("annotations") or {}


async def entry_of(connection: KubernetesClient, secret: Key, name: str) -> Entry:
    """Whether the Secret has an entry of this name. Its value is not kept."""
    try:
        found = await connection.get(f"/api/v1/namespaces/{secret.namespace}/secrets/{secret.name}")
    except api.NotFound:
        return Entry.ABSENT
    except api.ApiError:
        return Entry.UNSEEN
    return Entry.THERE if name in (found.get("data") or {}) else Entry.WITHOUT
