"""How an object, its Pulumi resource and its annotations are called: stable, since a new name is a new resource."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from muslin.resources.keys import Key

__all__ = ["FIELD_MANAGER", "annotated", "resource_name", "spoken"]

FIELD_MANAGER: Final = "muslin"
"""The reconciler's name in the record of who manages which field: an object can then go over without a conflict.

The same text as in `muslin/datastore/kubernetes`, which is not loaded for it; a test compares the two.
"""

_MANAGER: Final = "pulumi.com/patchFieldManager"
_FORCE: Final = "pulumi.com/patchForce"


def resource_name(component: str, key: Key) -> str:
    """`network-ippool-default-ipv4-ippool`: component, kind, namespace where there is one, name."""
    return "-".join(part for part in (component, key.kind.lower(), key.namespace, key.name) if part)


def spoken(key: Key) -> str:
    """`IPPool/default-ipv4-ippool`, as the arguments name objects; `NetworkPolicy/shop/starting` with a namespace."""
    return "/".join(part for part in (key.kind, key.namespace, key.name) if part)


def annotated(
    metadata: Mapping[str, Any], *, force: bool = False, more: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Metadata with what the provider reads in annotations: who writes, and whether by force."""
    annotations = {**metadata.get("annotations", {}), _MANAGER: FIELD_MANAGER, **(more or {})}
    if force:
        annotations[_FORCE] = "true"
    return {**metadata, "annotations": annotations}
