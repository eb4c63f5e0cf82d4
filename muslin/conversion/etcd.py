"""Objects as the JSON that etcd keeps, and back: Calico's own, so that its tools read what we wrote.

Most kinds are kept as they are. The kinds of address management have a form of their own there, older than the CRDs.
Source: calico.md sections 1b and 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from muslin.conversion.etcd_keys import key_of, owner_of
from muslin.conversion.kinds import IPAM_KINDS, NAMED_POLICIES
from muslin.conversion.policy_names import shown_name
from muslin.conversion.reading import (
    API_VERSION,
    Json,
    as_list,
    as_mapping,
    as_text,
    as_texts,
    compact_json,
    parse_json,
)
from muslin.conversion.v1 import METADATA
from muslin.ipam.names import affinity_labels
from muslin.resources.keys import Key

__all__ = ["from_etcd", "to_etcd"]

_RENAMED: Final[Mapping[str, Mapping[str, str]]] = {
    "IPAMBlock": {"affinityClaimTime": "affinity_claim_time"},
    "IPAMConfiguration": {"strictAffinity": "strict_affinity", "autoAllocateBlocks": "auto_allocate_blocks"},
}
"""Mapping[kind, Mapping[field, what etcd calls it]]."""
_ONLY_OF_CRDS: Final[Mapping[str, tuple[str, ...]]] = {
    "IPAMBlock": ("strictAffinity",),
    "BlockAffinity": ("node", "type", "cidr"),
    "IPAMHandle": ("handleID",),
}
"""Fields that the key says, or that nobody reads."""


def to_etcd(key: Key, value: Json) -> dict[str, Any]:
    """What to write for an object. Metadata of kinds of address management are not kept there."""
    if key.kind not in IPAM_KINDS:
        return _resource(key, value)
    spec = as_mapping(value.get("spec"))
    names = _RENAMED.get(key.kind, {})
    left_out = _ONLY_OF_CRDS.get(key.kind, ())
    found = {names.get(name, name): part for name, part in spec.items() if name not in left_out}
    if key.kind == "IPAMBlock":
        found.setdefault("affinity", None)
        found["attributes"] = [
            {"handle_id": None, "secondary": None, **attribute} if isinstance(attribute, Mapping) else attribute
            for attribute in as_list(spec.get("attributes"))
        ]
    if key.kind != "IPAMConfiguration":
        found.setdefault("deleted", False)
    return found


def from_etcd(path: str, found: Any) -> tuple[Key, dict[str, Any]] | None:
    """The object under a key of etcd, and its key with us; None if the key is none of ours.

    An affinity may be empty, as old releases wrote it. What is no JSON object becomes an object that no model accepts,
    so that whoever decodes it meets the problem.
    """
    key = key_of(path)
    if key is None:
        return None
    if key.kind == "BlockAffinity" and not found:
        found = {}
    if not isinstance(found, Mapping):
        return key, {**_named(key), "unreadable": str(found)[:200]}
    if key.kind not in IPAM_KINDS:
        value = _shown(key, found)
        return key._replace(name=as_text(as_mapping(value.get("metadata")).get("name")) or key.name), value
    former = {theirs: ours for ours, theirs in _RENAMED.get(key.kind, {}).items()}
    spec: dict[str, Any] = {former.get(str(name), str(name)): part for name, part in found.items()}
    value = _named(key)
    match key.kind:
        case "IPAMBlock":
            spec = _block(spec)
        case "BlockAffinity":
            kind, host, prefix = owner_of(path) or ("", "", None)
            spec = {"state": "", "deleted": False, **spec, "node": host, "type": kind, "cidr": str(prefix)}
            if prefix is not None:
                value["metadata"]["labels"] = affinity_labels(host, prefix, kind)
        case "IPAMHandle":
            spec = {"deleted": False, **spec, "handleID": path.rpartition("/handle/")[2].split("\r")[0]}
        case "IPAMConfiguration":
            spec = {"strictAffinity": False, "autoAllocateBlocks": False, **spec}
    return key, {**value, "spec": spec}


def _named(key: Key) -> dict[str, Any]:
    metadata = {"name": key.name} | ({"namespace": key.namespace} if key.namespace else {})
    return {"apiVersion": API_VERSION, "kind": key.kind, "metadata": metadata}


def _block(spec: dict[str, Any]) -> dict[str, Any]:
    """A block as the CRDs have it; an owner that only the oldest releases wrote is an affinity."""
    host = spec.pop("hostAffinity", None)
    if host and not spec.get("affinity"):
        spec["affinity"] = f"host:{host}"
    kept = {name: part for name, part in spec.items() if part is not None}
    attributes = spec.get("attributes") or []
    if isinstance(attributes, list):
        attributes = [
            {name: part for name, part in each.items() if part is not None} if isinstance(each, Mapping) else each
            for each in attributes
        ]
    return {"deleted": False, "strictAffinity": False, **kept, "attributes": attributes}


def _resource(key: Key, value: Json) -> dict[str, Any]:
    metadata = {n: part for n, part in as_mapping(value.get("metadata")).items() if n != "resourceVersion"}
    if key.kind in NAMED_POLICIES:
        annotations = as_texts(metadata.get("annotations"))
        metadata["annotations"] = {**annotations, METADATA: compact_json({"name": key.name})}
    return {**value, "metadata": metadata}


def _shown(key: Key, found: Json) -> dict[str, Any]:
    value = dict(found)
    given = found.get("metadata")
    if key.kind not in NAMED_POLICIES or not isinstance(given, Mapping):
        return value
    metadata = dict(given)
    annotations = dict(as_mapping(metadata.get("annotations")))
    recorded = annotations.pop(METADATA, None)
    metadata["annotations"] = annotations
    if not annotations:
        del metadata["annotations"]
    tier = as_text(as_mapping(found.get("spec")).get("tier"))
    metadata["name"] = _recorded_name(recorded) or shown_name(key.name, tier)
    return {**value, "metadata": metadata}


def _recorded_name(recorded: Any) -> str:
    try:
        return as_text(as_mapping(parse_json(as_text(recorded))).get("name"))
    except ValueError:
        return ""
