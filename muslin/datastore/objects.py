"""An object's text and the metadata that only a store writes: shared by the drivers that keep JSON text.

`resourceVersion` is never kept in the text: it is the revision of the write, put in when the object is read. So
the text of an object and the text in the history are the same.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from muslin.datastore.protocol import Entry, Json, Revision
from muslin.errors import BadInput, Problem
from muslin.kubernetes.json_writer import JsonWriter
from muslin.resources.keys import Key

__all__ = [
    "MAX_OBJECT_BYTES", "UNREADABLE", "entry", "parse", "problems_of", "random_uid", "revision_number", "text_of",
    "text_of_new", "text_of_update", "timestamp",
]  # fmt: skip

MAX_OBJECT_BYTES = 1_500_000
"""Largest text of one object. The same order as etcd's request limit (1.5 MiB), so that a move there works."""

UNREADABLE = "unreadable"
"""Field of an object that stands for what is no object: the beginning of it, or why it is none."""

_encoder = JsonWriter(ensure_ascii=True)


def random_uid() -> str:
    """A random UUID (version 4, RFC 9562), in half the time that `uuid` takes to make an object of it first."""
    digits = os.urandom(16).hex()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def timestamp(now: datetime) -> str:
    """RFC 3339 in UTC with whole seconds, as Kubernetes writes creationTimestamp."""
    here = now if now.tzinfo is UTC else now.astimezone(UTC)
    return here.isoformat(timespec="seconds")[:-6] + "Z"  # without +00:00


def text_of_new(key: Key, value: Json, *, uid: str, now: datetime) -> str:
    """Text of an object that is created: identity and birth are ours, whatever the caller put there.

    Raises:
        BadInput: it cannot be kept, or is not the object that the key names.
    """
    return text_of(key, value, {"uid": uid, "creationTimestamp": timestamp(now)})


def text_of_update(key: Key, value: Json, former: str) -> str:
    """Text of an object that replaces `former`: it keeps identity and birth. Raises `BadInput` as `text_of_new`."""
    old = parse(key, former).get("metadata")
    kept = {name: old[name] for name in ("uid", "creationTimestamp") if name in old} if isinstance(old, dict) else {}
    return text_of(key, value, kept)


def entry(key: Key, text: str, revision: int) -> Entry:
    """The object as its reader sees it, `metadata.resourceVersion` filled."""
    value = parse(key, text)
    metadata = value.get("metadata")
    if isinstance(metadata, dict):
        metadata["resourceVersion"] = str(revision)
    return Entry(key, value, Revision(str(revision)), problems_of(key, value))


def problems_of(key: Key, value: Mapping[str, Any]) -> tuple[Problem, ...]:
    """What to tell of an object that stands for what is none; nothing of any other."""
    if UNREADABLE not in value:
        return ()
    shown = str(value[UNREADABLE])
    what = f"what is stored here is no object: {shown[:60]!r}{'...' if len(shown) > 60 else ''}"
    return (Problem(what, str(key), f"write {key} again in its kind's form, or delete it"),)


def parse(key: Key, text: str) -> dict[str, Any]:
    """The object of a text.

    A text that is no JSON object (somebody wrote into the file by hand) must not hide the others: it becomes an
    object that no model accepts, so that whoever decodes it meets the problem at this one.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict):
        return value
    metadata: dict[str, Any] = {"name": key.name} | ({"namespace": key.namespace} if key.namespace else {})
    return {"kind": key.kind, "metadata": metadata, UNREADABLE: str(text)[:200]}


def revision_number(revision: str) -> int | None:
    """The number behind a revision, None if this text never was a revision of ours."""
    return int(revision) if revision.isascii() and revision.isdigit() and len(revision) <= 18 else None


def text_of(key: Key, value: Json, stamped: Mapping[str, Any]) -> str:
    """Text of an object with this identity and birth. Raises `BadInput` as `text_of_new`."""
    given = value.get("metadata", {})
    if not isinstance(given, Mapping):
        raise BadInput(Problem("metadata is not a mapping", f"{key}  metadata", "give name and namespace there"))
    for name, expected, found in (
        ("kind", key.kind, value.get("kind", key.kind)),
        ("metadata.name", key.name, given.get("name", key.name)),
        ("metadata.namespace", key.namespace, given.get("namespace") or None if key.namespace is None
         else given.get("namespace", key.namespace)),
    ):  # fmt: skip
        if found != expected:
            raise BadInput(
                Problem(
                    f"the object says {found!r} where its key says {expected!r}", f"{key}  {name}", "make them equal"
                )
            )
    metadata: dict[str, Any] = {"name": key.name}
    if key.namespace is not None:
        metadata["namespace"] = key.namespace
    metadata |= given
    for name in ("resourceVersion", "uid", "creationTimestamp"):
        metadata.pop(name, None)
    metadata |= stamped
    try:
        text = _encoder.encode({**value, "kind": key.kind, "metadata": metadata})
        if not (key.kind + key.name + (key.namespace or "")).isascii():
            str(key).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise BadInput(
            Problem(f"the object cannot be written as JSON: {error}", str(key), "use JSON's types, without cycles")
        ) from None
    if len(text) > MAX_OBJECT_BYTES:
        raise BadInput(
            Problem(
                f"the object has {len(text)} bytes, {MAX_OBJECT_BYTES} is the limit", str(key), "split it into several"
            )
        )
    return text
