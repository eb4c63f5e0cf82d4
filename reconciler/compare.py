"""When two objects mean the same, what differs field by field, and how ours and others' fields are merged.

Objects are compared as canonical JSON: as Calico's client writes them, its defaults included, without status and
without the metadata that only a store fills. Labels and annotations belong to whoever set them, key by key; so do the
fields of kinds that several programs write (`SHARED_KINDS`). Everything else of an object belongs to its one owner.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from muslin import resources
from muslin.datastore.protocol import Json

__all__ = ["ABSENT", "SHARED_KINDS", "FieldChange", "canonical", "differences", "merged", "ours", "stripped"]

SHARED_KINDS: Final = frozenset({"Node"})
"""Kinds whose spec has several writers: an agent writes a node's addresses, a file its route reflector's id."""

ABSENT: Final = None
"""Stands for a field that is not there; canonical JSON has no nulls, so it cannot be mistaken for a value."""

_METADATA: Final = frozenset({"name", "namespace", "labels", "annotations"})
_NAME_BY_NAME: Final = ("labels", "annotations")


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field that differs. `path` is as people write it, `spec.ingress[0].action`; None means not there."""

    path: str
    old: Any
    new: Any


def stripped(value: Json) -> dict[str, Any]:
    """The part of an object that a person declares: without status and without a store's metadata."""
    given = value.get("metadata")
    metadata = given if isinstance(given, Mapping) else {}
    kept = {name: content for name, content in metadata.items() if name in _METADATA and content}
    return {name: content for name, content in value.items() if name != "status"} | {"metadata": kept}


def canonical(value: Json) -> dict[str, Any]:
    """The canonical JSON of an object from a store; one that cannot be read is taken as it is, so that it differs.

    Defaults that a client or a server of Calico writes are filled in, so that it makes no difference who wrote it.
    """
    try:
        return stripped(resources.as_stored(resources.load(value)))
    except Exception:  # noqa: BLE001  whatever is wrong with one object must not stop the others
        return stripped(value)


def ours(live: Json, desired: Json, base: Json | None) -> dict[str, Any]:
    """Of a live object, canonical, only what we declare or declared: others' keys are left out.

    Args:
        live: what is there.
        desired: what the commit declares; the base once more where it declares nothing.
        base: what we last applied, None where we never did.
    """
    base = base or {}
    metadata = dict(live["metadata"])
    for name in _NAME_BY_NAME:
        claimed = {**_mapping(base, "metadata", name), **_mapping(desired, "metadata", name)}
        kept = {key: content for key, content in _mapping(live, "metadata", name).items() if key in claimed}
        metadata.pop(name, None)
        if kept:
            metadata[name] = kept
    result = dict(live) | {"metadata": metadata}
    if live.get("kind") in SHARED_KINDS and isinstance(live.get("spec"), Mapping):
        result["spec"] = _claimed(live["spec"], desired.get("spec"), base.get("spec"))
    return result


def merged(stored: Json, desired: Json, base: Json | None) -> dict[str, Any]:
    """The object to write over `stored`: what is desired, what others added kept, what we no longer declare gone."""
    base = base or {}
    given = stored.get("metadata")
    metadata = dict(given) if isinstance(given, Mapping) else {}
    for name in _NAME_BY_NAME:
        content = _three_way(
            metadata.pop(name, None), _mapping(base, "metadata", name), _mapping(desired, "metadata", name)
        )
        if content:
            metadata[name] = content
    result = {name: content for name, content in stored.items() if name == "status"}
    result |= {**desired, "metadata": dict(desired["metadata"]) | metadata}
    if desired.get("kind") in SHARED_KINDS:
        result["spec"] = _three_way(stored.get("spec"), base.get("spec") or {}, desired.get("spec") or {})
    return result


def differences(old: Json, new: Json) -> tuple[FieldChange, ...]:
    """Every field that differs, in the order of the new object; whole values where one side has none."""
    return tuple(_differences(old, new, ""))


def _differences(old: Any, new: Any, path: str) -> Iterator[FieldChange]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in (*new, *(name for name in old if name not in new)):
            yield from _differences(old.get(name, ABSENT), new.get(name, ABSENT), _joined(path, name))
    elif _is_list(old) and _is_list(new):
        for index in range(max(len(old), len(new))):
            yield from _differences(
                old[index] if index < len(old) else ABSENT,
                new[index] if index < len(new) else ABSENT,
                f"{path}[{index}]",
            )
    elif old != new:
        yield FieldChange(path, old, new)


def _joined(path: str, name: str) -> str:
    if "." in name or "/" in name:
        return f"{path}[{name!r}]"
    return f"{path}.{name}" if path else name


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _mapping(value: Json, *path: str) -> Mapping[str, Any]:
    current: Any = value
    for name in path:
        current = current.get(name) if isinstance(current, Mapping) else None
    return current if isinstance(current, Mapping) else {}


def _claimed(live: Any, desired: Any, base: Any) -> Any:
    """Of nested mappings, the keys that one of ours names."""
    if not isinstance(live, Mapping) or not (isinstance(desired, Mapping) or isinstance(base, Mapping)):
        return live
    wanted = desired if isinstance(desired, Mapping) else {}
    former = base if isinstance(base, Mapping) else {}
    return {
        name: _claimed(content, wanted.get(name), former.get(name))
        for name, content in live.items()
        if name in wanted or name in former
    }


def _three_way(live: Any, base: Any, desired: Mapping[str, Any]) -> dict[str, Any]:
    """What is desired over what others added; what was ours and is not desired any more goes, down to its leaves."""
    former = base if isinstance(base, Mapping) else {}
    result: dict[str, Any] = {}
    for name, content in live.items() if isinstance(live, Mapping) else ():
        if name in desired or name not in former:
            result[name] = content
        elif isinstance(content, Mapping) and isinstance(former[name], Mapping):
            others = _three_way(content, former[name], {})
            if others:
                result[name] = others
    for name, content in desired.items():
        result[name] = (
            _three_way(result.get(name), former.get(name), content) if isinstance(content, Mapping) else content
        )
    return result
