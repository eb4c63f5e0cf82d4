"""Server-side apply and the API's record of who manages which field: `FieldOwnership` for one kind of CRD."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from muslin.conversion.reading import as_text, metadata_of
from muslin.datastore.field_ownership import FieldOwner, FieldsTaken, TakenField
from muslin.datastore.kubernetes.forms import Form
from muslin.datastore.kubernetes.refusals import said
from muslin.datastore.kubernetes.views import entry_of
from muslin.datastore.protocol import Conflict, Entry, NotFound, Revision
from muslin.kubernetes import errors as api
from muslin.kubernetes.client import KubernetesClient
from muslin.resources.keys import Key

__all__ = ["Target", "applied", "field_owners"]

_MANAGER: Final = re.compile(r'conflict with "([^"]*)"')


@dataclass(frozen=True, slots=True)
class Target:
    """An object as it is addressed: its key, the form in which its kind is stored, and where it is in the API."""

    key: Key
    form: Form
    address: str


async def applied(
    client: KubernetesClient, target: Target, value: dict[str, Any], revision: Revision | None, *, manager: str,
    force: bool,
) -> Entry:  # fmt: skip
    """See `FieldOwnership.apply`."""
    key, form, address = target.key, target.form, target.address
    body = form.stored(value, None if revision is None else {"metadata": {"resourceVersion": revision}})
    try:
        with said(key):
            raw = await client.apply(address, body, field_manager=manager, force=force)
    except api.NotFound as error:
        raise NotFound(key) from error
    except api.Conflict as error:
        taken = tuple(_taken(error))
        if taken:
            raise FieldsTaken(key, taken) from error
        with said(key):
            now = await client.get(address)
        raise Conflict(entry_of(form.kind, form.shown(now))) from error
    return entry_of(form.kind, form.shown(raw))


def _taken(error: api.Conflict) -> Iterator[TakenField]:
    for cause in error.causes:
        if cause.reason == "FieldManagerConflict":
            found = _MANAGER.search(cause.message)
            yield TakenField(cause.field.removeprefix("."), found.group(1) if found else cause.message)


def field_owners(raw: Mapping[str, Any]) -> tuple[FieldOwner, ...]:
    """What an object's managedFields say, the latest first."""
    listed = metadata_of(dict(raw)).get("managedFields")
    found = [
        FieldOwner(
            as_text(each.get("manager")),
            as_text(each.get("operation")),
            as_text(each.get("time")),
            tuple(_paths(each.get("fieldsV1"), "")),
        )
        for each in (listed if isinstance(listed, list) else ())
        if isinstance(each, Mapping)
    ]
    return tuple(sorted(found, key=lambda each: each.at, reverse=True))


def _paths(fields: Any, path: str) -> Iterator[str]:
    """The leaves of a fieldsV1: names begin with `f:`, what is in lists is the list's."""
    below = {name[2:]: inner for name, inner in fields.items() if name.startswith("f:")} if fields else {}
    if not below and path:
        yield path
    for name, inner in below.items():
        yield from _paths(inner, f"{path}.{name}" if path else name)
