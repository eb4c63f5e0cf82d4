"""Whether an object is Pulumi's, and how it goes from Pulumi to the reconciler and back: pure.

One writer at a time: Pulumi creates an object as one manager and applies it later as another, and two writers under
one manager of server-side apply silently remove each other's fields. So an object that Pulumi writes is left alone
until somebody hands it over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

__all__ = ["MANAGER", "handed_back", "handed_over", "is_pulumis"]

MANAGER: Final = "muslin"
"""Whom our components name as Pulumi's manager. Writes of Muslin's other tools are updates under it."""

_ANNOTATIONS: Final = ("pulumi.com/", "stacks.muslin/")
"""What begins so is for Pulumi's provider, or tells which stack writes."""

_NAMED: Final = "pulumi.com/patchFieldManager"
_OWN_NAME: Final = "pulumi-kubernetes"


def is_pulumis(value: Mapping[str, Any]) -> bool:
    """Whether Pulumi writes this object: it names its manager, or is one.

    Args:
        value: the object as JSON; `managedFields` where the store shows them.
    """
    metadata = _mapping(value.get("metadata"))
    if _NAMED in _mapping(metadata.get("annotations")):
        return True
    return any(str(each.get("manager", "")).startswith(_OWN_NAME) for each in _managed(value))


def handed_over(raw: Mapping[str, Any], to: str) -> list[dict[str, Any]]:
    """A JSON patch that makes Pulumi's object the reconciler's; empty where it is no more Pulumi's.

    Fields that Pulumi manages go to the reconciler's manager, and what Pulumi's side needs in annotations goes
    away. It holds only for the revision that was read.

    Args:
        raw: the object as it stands in the Kubernetes API.
        to: the reconciler's manager, as of `ownership.manager_of`: under another one it could not remove a field later.
    """
    if not is_pulumis(raw):
        return []
    annotations = [
        name for name in _mapping(_mapping(raw.get("metadata")).get("annotations")) if name.startswith(_ANNOTATIONS)
    ]
    managed = _merged([_under(each, to) if _is_of_pulumi(each) else dict(each) for each in _managed(raw)])
    return [
        *_moved(raw, managed),
        *({"op": "remove", "path": f"/metadata/annotations/{_escaped(name)}"} for name in annotations),
    ]


def handed_back(raw: Mapping[str, Any], applied: Mapping[str, Any], of: str) -> list[dict[str, Any]]:
    """A JSON patch that makes the reconciler's object Pulumi's; empty where it is already.

    What the reconciler applied, or declares, becomes what Pulumi's manager applied, so that Pulumi's first apply
    conflicts with nothing; and the annotation tells the reconciler to leave it. What others wrote under this name
    (`muslin patch`) stays an update, since an apply removes what it no longer names.

    Args:
        raw: the object as it stands in the Kubernetes API.
        applied: what the ledger says that we last applied.
        of: the reconciler's manager, as of `ownership.manager_of`.
    """
    if is_pulumis(raw):
        return []
    moved = [_under(each, MANAGER) if each.get("manager") == of else each for each in _managed(raw)]
    managed = _merged([part for each in moved for part in _split(each, applied)])
    annotated = isinstance(_mapping(raw.get("metadata")).get("annotations"), Mapping)
    add: list[dict[str, Any]] = [] if annotated else [{"op": "add", "path": "/metadata/annotations", "value": {}}]
    add.append({"op": "add", "path": f"/metadata/annotations/{_escaped(_NAMED)}", "value": MANAGER})
    return [*_moved(raw, managed), *add]


def _split(entry: Mapping[str, Any], applied: Mapping[str, Any]) -> list[dict[str, Any]]:
    """An entry of our manager as two: what we declare, applied, and the rest, as it is; one of others as it is."""
    if entry.get("manager") != MANAGER or entry.get("operation") == "Apply" or entry.get("subresource"):
        return [dict(entry)]
    ours, rest = _parted(_mapping(entry.get("fieldsV1")), applied)
    parts = [({**entry, "operation": "Apply", "fieldsV1": ours}, ours), ({**entry, "fieldsV1": rest}, rest)]
    return [part for part, fields in parts if fields]


def _parted(fields: Mapping[str, Any], value: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """(Fields that are in the value, the others). Members of lists go with their list."""
    ours: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for name, below in fields.items():
        step = name.removeprefix("f:")
        if not name.startswith("f:") or not isinstance(value, Mapping) or step not in value:
            rest[name] = below
        elif not below or not isinstance(value[step], Mapping):
            ours[name] = below
        else:
            inside, outside = _parted(below, value[step])
            ours |= {name: inside} if inside else {}
            rest |= {name: outside} if outside else {}
    return ours, rest


def _moved(raw: Mapping[str, Any], managed: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    revision = _mapping(raw.get("metadata")).get("resourceVersion")
    patch: list[dict[str, Any]] = [{"op": "test", "path": "/metadata/resourceVersion", "value": revision}]
    if managed:
        patch.append({"op": "replace", "path": "/metadata/managedFields", "value": list(managed)})
    return patch


def _is_of_pulumi(entry: Mapping[str, Any]) -> bool:
    """Whether Pulumi wrote it: under a name of its provider's, or applied under the one that our components name."""
    applied = entry.get("manager") == MANAGER and entry.get("operation") == "Apply"
    return applied or str(entry.get("manager", "")).startswith(_OWN_NAME)


def _under(entry: Mapping[str, Any], manager: str) -> dict[str, Any]:
    """The entry as what this manager applied; of a subresource (status) it stays an update."""
    operation = entry.get("operation") if entry.get("subresource") else "Apply"
    return {**entry, "manager": manager, "operation": operation}


def _merged(entries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One entry for each manager: the fields of those that became the same are joined."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for each in entries:
        identity = tuple(each.get(name) for name in ("manager", "operation", "apiVersion", "subresource"))
        known = found.get(identity)
        if known is None:
            found[identity] = each
        else:
            known["fieldsV1"] = _joined(_mapping(known.get("fieldsV1")), _mapping(each.get("fieldsV1")))
    return list(found.values())


def _joined(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Two sets of fields as one: names are steps of a path, and nothing else stands in them."""
    return {
        name: _joined(_mapping(one.get(name)), _mapping(other.get(name)))
        for name in (*one, *(name for name in other if name not in one))
    }


def _managed(value: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    given = _mapping(value.get("metadata")).get("managedFields")
    return [each for each in given if isinstance(each, Mapping)] if isinstance(given, list) else []


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _escaped(name: str) -> str:
    """A name as a step of a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")
