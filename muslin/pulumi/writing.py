"""The objects of one component as Pulumi resources: each under a stable name, after what it waits for, one for each.

An object that is ours is made, or adopted where it is there. Of an object that somebody else owns (kubelet's Nodes,
the settings that agents make for themselves, Calico's own tiers) only our fields are written, by a Patch resource: it
makes nothing but these ours, and its end gives them back instead of deleting the object.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource, CustomResourcePatch

from muslin.pulumi.arguments import ReferenceNetworkArgs
from muslin.pulumi.naming import WRITER, annotated, resource_name, spoken, writer
from muslin.pulumi.ordering import Objects, ordered, turns_mesh_off, waits_for
from muslin.resources.keys import Key

if TYPE_CHECKING:
    from muslin.pulumi.gate import Waiting

__all__ = ["Writing", "is_shared"]

_SHARED: Final = frozenset(
    {Key("FelixConfiguration", "default"), *(Key("Tier", name) for name in ("default", "kube-admin", "kube-baseline"))}
)
"""What agents or Calico's API make for themselves, with fields of their own."""

_NODE_ANNOTATIONS: Final = {"asNumber": "ASNumber", "routeReflectorClusterID": "RouteReflectorClusterID"}
"""Mapping[field of a Node's spec.bgp, annotation of the core Node that holds it], as Calico keeps them."""


def is_shared(key: Key, args: ReferenceNetworkArgs) -> bool:
    """Whether only our fields of the object are written, and the object stays when we go."""
    return key.kind == "Node" or key in _SHARED or spoken(key) in args.shared


class Writing:
    """Registers the objects of one component.

    Args:
        component: parent of the resources; its name is the beginning of theirs.
        args: as given to it.
        opts: options for all, such as the provider.
    """

    def __init__(
        self, component: pulumi.ComponentResource, name: str, args: ReferenceNetworkArgs, opts: pulumi.ResourceOptions
    ) -> None:
        self._name, self._args = name, args
        self._below = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(parent=component))
        self.opts = pulumi.ResourceOptions.merge(
            self._below, pulumi.ResourceOptions(retain_on_delete=args.retain or None)
        )
        self.made: dict[Key, pulumi.CustomResource] = {}

    def objects(
        self,
        objects: Objects,
        *,
        first: Sequence[pulumi.Resource] = (),
        gates: Sequence[Waiting] = (),
    ) -> None:
        """Register all of them.

        Args:
            objects: what to write.
            first: what all of it waits for.
            gates: what is asked, after everything that comes earlier, before the mesh goes off.
        """
        for key in ordered(objects):
            after = [self.made[each] for each in waits_for(key, objects, list(self.made))]
            if turns_mesh_off(key, objects[key]) and gates:
                after = [self._make(each.key, each.value, [*first, *after], each.annotations) for each in gates]
            self.made[key] = self._make(key, objects[key], [*first, *after])

    def _make(
        self,
        key: Key,
        value: Mapping[str, Any],
        after: Sequence[pulumi.Resource],
        more: Mapping[str, str] | None = None,
    ) -> pulumi.CustomResource:
        protect = True if key.kind == "IPPool" and self._args.protect_pools else None
        opts = pulumi.ResourceOptions.merge(
            # what only asks for a report is of no use to whoever takes over: it goes with the stack
            self._below if key.kind == "CalicoNodeStatus" else self.opts,
            pulumi.ResourceOptions(depends_on=list(after) or None, protect=protect),
        )
        name = resource_name(self._name, key)
        noted = {WRITER: writer(), **(more or {})}
        metadata = annotated(value["metadata"], force=spoken(key) in self._args.force, more=noted)
        if key.kind == "Node":
            return _node(name, metadata, value, opts)
        shared = is_shared(key, self._args)
        # what was ours and is shared now, or the other way, is the same: as a new one its former self would be deleted
        former = pulumi.Alias(type_=f"kubernetes:{value['apiVersion']}:{key.kind}{'' if shared else 'Patch'}")
        kind = CustomResourcePatch if shared else CustomResource
        return kind(
            name,
            api_version=value["apiVersion"],
            kind=key.kind,
            metadata=metadata,
            spec=value.get("spec"),
            opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(aliases=[former])),
        )


def _node(
    name: str, metadata: dict[str, Any], value: Mapping[str, Any], opts: pulumi.ResourceOptions
) -> pulumi.CustomResource:
    """What is declared of a Node, on kubelet's own: Calico keeps it in labels and annotations there."""
    from pulumi_kubernetes.core.v1 import NodePatch  # noqa: PLC0415 - only where something is declared of nodes
    from pulumi_kubernetes.meta.v1 import ObjectMetaPatchArgs  # noqa: PLC0415 - as above

    bgp = (value.get("spec") or {}).get("bgp") or {}
    kept = {f"projectcalico.org/{name}": str(bgp[field]) for field, name in _NODE_ANNOTATIONS.items() if field in bgp}
    full = {**metadata, "annotations": {**metadata["annotations"], **kept}}
    made: pulumi.CustomResource = NodePatch(name, metadata=ObjectMetaPatchArgs(**full), opts=opts)
    return made
