"""Objects of the older CRDs, `crd.projectcalico.org/v1`, as `projectcalico.org/v3` objects, and back.

The older CRDs keep an object's metadata as JSON in an annotation, because the API server of Calico shows the object
under its own group, with labels and a UID of its own. Source: calico.md section 1a.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from muslin.conversion.kinds import CRD_KINDS, NAMED_POLICIES, ApiGroup
from muslin.conversion.policy_names import names_of_policy, shown_name
from muslin.conversion.reading import (
    API_VERSION,
    Converted,
    Json,
    as_list,
    as_mapping,
    as_text,
    as_texts,
    compact_json,
    metadata_of,
    parse_json,
    place,
)
from muslin.conversion.uids import convert_uid
from muslin.errors import BadInput, Problem
from muslin.resources.keys import Key

__all__ = ["METADATA", "from_v1", "key_of_v1", "to_v1", "v1_names"]

METADATA: Final = "projectcalico.org/metadata"
"""Annotation in which the metadata of an object stand."""

_OURS = ("projectcalico.org/", "operator.tigera.io/")
_ORDER = (
    "name", "generateName", "selfLink", "generation", "creationTimestamp", "deletionTimestamp",
    "deletionGracePeriodSeconds", "labels", "annotations", "ownerReferences", "finalizers",
)  # fmt: skip
_OF_THE_OBJECT = ("namespace", "resourceVersion", "uid", "managedFields")
"""Metadata that are never in the annotation: the object behind has its own."""


def to_v1(value: Json, *, stored_as: str | None = None) -> dict[str, Any]:
    """The object to write into the older CRDs.

    Args:
        value: the object as Calico's clients see it.
        stored_as: the name under which it is already stored, where that is another than its own (`v1_names`).

    Raises:
        BadInput: its UID or that of an owner is none.
    """
    kind = as_text(value.get("kind"))
    metadata = metadata_of(value)
    kept = {name: part for name, part in metadata.items() if name not in _OF_THE_OBJECT and part not in (None, {}, [])}
    if kind not in NAMED_POLICIES:
        kept.pop("name", None)
    if "ownerReferences" in kept:
        owners = as_list(kept["ownerReferences"])
        kept["ownerReferences"] = [_owner(owner, (ApiGroup.V3.value,), ApiGroup.V1.value) for owner in owners]
    annotations = {METADATA: compact_json(_canonical(kept), sort=False)} | _ours(metadata.get("annotations"))
    written: dict[str, Any] = {"name": stored_as or metadata.get("name")}
    written |= {name: metadata[name] for name in ("namespace", "resourceVersion") if metadata.get(name)}
    if metadata.get("uid"):
        written["uid"] = _converted(str(metadata["uid"]))
    if labels := _ours(metadata.get("labels")):
        written["labels"] = labels
    written["annotations"] = annotations
    stored = CRD_KINDS.get(kind)
    body = {name: part for name, part in value.items() if name not in ("apiVersion", "kind", "metadata")}
    if kind == "BlockAffinity" and isinstance(as_mapping(body.get("spec")).get("deleted"), bool):
        body["spec"] = {**body["spec"], "deleted": "true" if body["spec"]["deleted"] else "false"}
    v1_kind = stored.v1_kind if stored else kind
    return {"apiVersion": ApiGroup.V1.value, "kind": v1_kind, "metadata": written, **body}


def from_v1(cr: Json) -> Converted:
    """The object behind one of the older CRDs, as Calico's clients see it; never raises."""
    kind = _KIND_OF_V1.get(as_text(cr.get("kind")), as_text(cr.get("kind")))
    outer, problems = metadata_of(cr), list[Problem]()

    def tell(what: str, path: str, fix: str = "write the object again with a tool of Calico") -> None:
        problems.append(Problem(what, place(kind, cr, path), fix))

    annotations = as_texts(outer.get("annotations"))
    inner = _recorded(annotations.pop(METADATA, None), tell)
    annotations |= as_texts(inner.get("annotations"))
    labels = as_texts(outer.get("labels")) | as_texts(inner.get("labels"))
    stored_name = as_text(outer.get("name"))
    metadata: dict[str, Any] = dict(inner) or {k: v for k, v in outer.items() if k != "managedFields"}
    metadata["name"] = stored_name
    if kind in NAMED_POLICIES:
        tier = as_text(as_mapping(cr.get("spec")).get("tier"))
        metadata["name"] = as_text(inner.get("name")) or shown_name(stored_name, tier)
    metadata |= {"labels": labels, "annotations": annotations}
    metadata |= {name: outer.get(name) for name in ("namespace", "resourceVersion", "uid")}
    metadata["creationTimestamp"] = inner.get("creationTimestamp") or outer.get("creationTimestamp")
    metadata["deletionTimestamp"] = outer.get("deletionTimestamp") or inner.get("deletionTimestamp")
    if isinstance(metadata["uid"], str) and metadata["uid"]:
        try:
            metadata["uid"] = convert_uid(metadata["uid"])
        except ValueError as error:
            tell(str(error), "metadata.uid", "delete the object, and create it again")
    if "ownerReferences" in metadata:
        metadata["ownerReferences"] = _owners(metadata["ownerReferences"], tell)
    body = {name: part for name, part in cr.items() if name not in ("apiVersion", "kind", "metadata")}
    if kind == "BlockAffinity" and isinstance(body.get("spec"), Mapping) and "deleted" in body["spec"]:
        body["spec"] = {**body["spec"], "deleted": _flag(body["spec"]["deleted"], tell)}
    kept = {name: part for name, part in metadata.items() if part not in (None, "", {}, [])}
    return Converted({"apiVersion": API_VERSION, "kind": kind, "metadata": kept, **body}, tuple(problems))


def v1_names(key: Key) -> tuple[str, ...]:
    """Names under which the object of a key may be stored, the one that is written today first."""
    return names_of_policy(key.name) if key.kind in NAMED_POLICIES else (key.name,)


def key_of_v1(cr: Json) -> Key:
    """The key of the object that `from_v1` gives."""
    metadata = metadata_of(from_v1(cr).value)
    kind = as_text(cr.get("kind"))
    return Key(_KIND_OF_V1.get(kind, kind), as_text(metadata.get("name")), as_text(metadata.get("namespace")) or None)


_KIND_OF_V1 = {stored.v1_kind: kind for kind, stored in CRD_KINDS.items()}


def _recorded(annotation: str | None, tell: Any) -> Json:
    if annotation is None:
        return {}
    path = f"metadata.annotations[{METADATA}]"
    try:
        found = parse_json(annotation)
    except ValueError as error:
        tell(f"the recorded metadata cannot be read: {error}", path)
        return {}
    if not isinstance(found, Mapping):
        tell("the recorded metadata are no mapping", path)
        return {}
    wrong = {"labels": Mapping, "annotations": Mapping, "ownerReferences": list, "finalizers": list, "name": str}
    bad = {name for name, form in wrong.items() if found.get(name) is not None and not isinstance(found[name], form)}
    for name in sorted(bad):
        tell(f"{name} in the recorded metadata has the wrong type", path)
    return {name: part for name, part in found.items() if name not in bad and name not in _OF_THE_OBJECT}


def _canonical(metadata: dict[str, Any]) -> dict[str, Any]:
    ordered = {name: metadata[name] for name in _ORDER if name in metadata}
    for name in ("labels", "annotations"):
        if isinstance(ordered.get(name), Mapping):
            ordered[name] = dict(sorted(ordered[name].items()))
    return ordered | {name: part for name, part in metadata.items() if name not in ordered}


def _ours(texts: Any) -> dict[str, str]:
    return {k: v for k, v in as_texts(texts).items() if k != METADATA and any(part in k for part in _OURS)}


def _owner(owner: Any, versions: tuple[str, ...], version: str) -> Any:
    if not isinstance(owner, Mapping) or owner.get("apiVersion") not in versions:
        return owner
    return {**owner, "apiVersion": version, "uid": _converted(str(owner.get("uid") or ""))}


def _owners(owners: Any, tell: Any) -> list[Any]:
    found = []
    for index, owner in enumerate(as_list(owners)):
        try:
            found.append(_owner(owner, (ApiGroup.V1.value, ApiGroup.V3.value), ApiGroup.V3.value))
        except BadInput as error:
            tell(error.problems[0].what, f"metadata.ownerReferences[{index}].uid")
            found.append(owner)
    return found


def _converted(uid: str) -> str:
    try:
        return convert_uid(uid)
    except ValueError as error:
        raise BadInput(Problem(str(error), "metadata.uid", "leave the UID to the datastore")) from None


def _flag(value: Any, tell: Any) -> bool:
    if isinstance(value, bool):
        return value
    match value:
        case None | "":
            return False
        case "1" | "t" | "T" | "TRUE" | "true" | "True":
            return True
        case "0" | "f" | "F" | "FALSE" | "false" | "False":
            return False
    tell(f"{value!r} is neither true nor false", "spec.deleted", "write true or false")
    return False
