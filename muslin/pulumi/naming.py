"""How an object, its Pulumi resource and its annotations are called: stable, since a new name is a new resource."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pulumi

from muslin.resources.keys import Key

__all__ = ["FIELD_MANAGER", "MANAGER_NAMED", "WRITER", "annotated", "resource_name", "spoken", "writer"]

FIELD_MANAGER: Final = "muslin"
"""Pulumi's name in the record of who manages which field, whoever's program it is: `muslin adopt` knows it.

The same text as in `muslin/datastore/kubernetes`, which is not loaded for it; a test compares the two.
"""

MANAGER_NAMED: Final = "pulumi.com/patchFieldManager"
"""The annotation by which an object names who manages what Pulumi writes of it."""

WRITER: Final = "stacks.muslin/writer"
"""The annotation by which an object names the stack that writes it: all of them share one manager, and two of them
would silently remove each other's fields."""

_FORCE: Final = "pulumi.com/patchForce"


def resource_name(component: str, key: Key) -> str:
    """`network-ippool-default-ipv4-ippool`: component, kind, namespace where there is one, name."""
    return "-".join(part for part in (component, key.kind.lower(), key.namespace, key.name) if part)


def spoken(key: Key) -> str:
    """`IPPool/default-ipv4-ippool`, as the arguments name objects; `NetworkPolicy/shop/starting` with a namespace."""
    return "/".join(part for part in (key.kind, key.namespace, key.name) if part)


def writer() -> str:
    """`project/stack` of the program that runs."""
    return f"{pulumi.get_project()}/{pulumi.get_stack()}"


def annotated(
    metadata: Mapping[str, Any], *, force: bool = False, more: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Metadata with what the provider reads in annotations: who writes, and whether by force."""
    annotations = {**metadata.get("annotations", {}), MANAGER_NAMED: FIELD_MANAGER, **(more or {})}
    if force:
        annotations[_FORCE] = "true"
    return {**metadata, "annotations": annotations}
