"""What `pulumi stack export` writes, as far as hand-over needs it: the objects of a stack, and whether they stay.

Read as data; nothing of Pulumi is imported or run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from muslin.errors import BadInput, Problem
from muslin.resources.keys import Key

__all__ = ["Exported", "StackObject", "marked", "read_state"]

_OURS: Final = "kubernetes:projectcalico.org/v3:"
_NODE: Final = "kubernetes:core/v1:NodePatch"
_OF_PULUMI_ALONE: Final = frozenset({"CalicoNodeStatus"})
"""Kinds that only ask for a report: they go with the stack, and nobody takes them over."""


@dataclass(frozen=True, slots=True)
class StackObject:
    """One Kubernetes object of a stack.

    Attributes:
        urn: of its resource.
        key: of the object; None for kinds that are not the reconciler's, such as Secret.
        name: kind and name, for people.
        kept: whether it stays when the stack goes (`retainOnDelete`).
    """

    urn: str
    key: Key | None
    name: str
    kept: bool


@dataclass(frozen=True, slots=True)
class Exported:
    """A stack as exported."""

    stack: str
    objects: tuple[StackObject, ...]
    document: Mapping[str, Any]

    @property
    def unmarked(self) -> tuple[StackObject, ...]:
        """Those that would be deleted with the stack."""
        return tuple(each for each in self.objects if not each.kept)


def read_state(text: bytes | str, where: str) -> Exported:
    """The stack in an exported state.

    Raises:
        BadInput: it is no such file, of a version that is not known, or a stack without objects of ours.
    """
    try:
        document = json.loads(text)
        version, resources = document["version"], document["deployment"].get("resources") or []
        urns = [(str(each["urn"]), each) for each in resources]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        fix = "give what `pulumi stack export --file FILE` wrote, or the name of a stack"
        raise BadInput(Problem("this is no exported stack of Pulumi", where, fix)) from error
    if not isinstance(version, int) or version < 3:
        raise BadInput(Problem(f"version {version} of an exported stack is not known", where, "export it again"))
    objects = tuple(_objects(urns))
    if not any(each.key is not None for each in objects):
        fix = "name the stack whose program has ReferenceNetwork or a part of it"
        raise BadInput(Problem("the stack has no objects of projectcalico.org/v3", where, fix))
    return Exported(urns[0][0].split("::")[0].rpartition(":")[2], objects, document)


def marked(exported: Exported) -> dict[str, Any]:
    """The same state with every object kept when the stack goes, and none protected: for `pulumi stack import`."""
    keep = {each.urn for each in exported.objects}
    deployment = exported.document["deployment"]
    resources = [
        {**{name: value for name, value in each.items() if name != "protect"}, "retainOnDelete": True}
        if each["urn"] in keep
        else each
        for each in deployment["resources"]
    ]
    return {**exported.document, "deployment": {**deployment, "resources": resources}}


def _objects(resources: list[tuple[str, Any]]) -> Iterator[StackObject]:
    for urn, each in resources:
        type_ = str(each.get("type", ""))
        kind = type_.rpartition(":")[2].removesuffix("Patch")
        if not type_.startswith("kubernetes:") or kind in _OF_PULUMI_ALONE:
            continue
        inputs = each.get("inputs")
        metadata = inputs.get("metadata") if isinstance(inputs, Mapping) else None
        given = metadata if isinstance(metadata, Mapping) else {}
        name, namespace = str(given.get("name", "")), given.get("namespace")
        ours = type_.startswith(_OURS) or type_ == _NODE
        key = Key(kind, name, str(namespace) if namespace else None) if ours and name else None
        spoken = "/".join(part for part in (kind, str(namespace or ""), name) if part)
        yield StackObject(urn, key, spoken, bool(each.get("retainOnDelete")))
