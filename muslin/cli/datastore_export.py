"""`datastore migrate export`: everything of a locked datastore as one text, in calicoctl's form.

Three parts with `===` between them: lists of each kind as YAML, ClusterInformation as JSON, and address management as
JSON with etcd's keys. Nodes get the names that Kubernetes knows them by, and what names a node follows.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Final

import click

from muslin.cli.datastore import is_locked
from muslin.cli.kinds import SHOWN_KINDS
from muslin.cli.options import Reach, reaching
from muslin.cli.printing import by_name
from muslin.cli.stored import mapping_at, mappings_at, text_at
from muslin.cli.wording import Ended
from muslin.datastore.initialize import CLUSTER_INFORMATION
from muslin.datastore.protocol import Datastore, Json
from muslin.datastore.settings import KubernetesSettings
from muslin.errors import Problem
from muslin.resources.keys import Key

__all__ = ["EXPORTED_KINDS", "IPAM_PARTS", "SEPARATOR", "export"]

EXPORTED_KINDS: Final = (
    "IPPool", "BGPPeer", "Tier", "GlobalNetworkPolicy", "StagedGlobalNetworkPolicy", "GlobalNetworkSet", "HostEndpoint",
    "KubeControllersConfiguration", "NetworkPolicy", "StagedNetworkPolicy", "StagedKubernetesNetworkPolicy",
    "NetworkSet", "Node", "BGPConfiguration", "FelixConfiguration", "IPReservation", "BGPFilter",
)  # fmt: skip
"""In the order in which they are written; Nodes before what names them."""

SEPARATOR: Final = "===\n"
IPAM_PARTS: Final[Mapping[str, str]] = {
    "block_affinities": "BlockAffinity", "blocks": "IPAMBlock", "handles": "IPAMHandle",
}  # fmt: skip
"""Mapping[part of the last section, kind]."""

_STORED = ("uid", "resourceVersion", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")
_OF_KUBERNETES = "knp.default."
"""Policies that controllers made of Kubernetes' own are made again over there."""


@click.command()
@reaching
def export(reach: Reach) -> None:
    r"""Print everything of a locked datastore; WorkloadEndpoints, Profiles and Kubernetes' own policies stay out.

    \b
    muslin datastore migrate lock
    muslin datastore migrate export > everything.yaml

    Exit status 1 if the datastore is not locked, or a Node has no name in Kubernetes.
    """
    text = asyncio.run(_export(reach))
    click.echo(text, nl=False)


async def _export(reach: Reach) -> str:
    from muslin.yaml.write import dump  # noqa: PLC0415 - a heavy library

    settings = reach.settings()
    async with reach.store() as store:
        if not await is_locked(store):
            what = "datastore is not locked. Run the `calicoctl datastore migrate lock` command"
            line = f"{what} in order to begin migration"
            raise Ended(line, Problem("the datastore is not locked", "ClusterInformation default", "lock it first"))
        if isinstance(settings, KubernetesSettings):
            line = "invalid datastore type: kubernetes to export from for datastore migration. "
            line += "Datastore type must be etcdv3"
            problem = Problem("a Kubernetes datastore can't be exported", "DATASTORE_TYPE", "export from etcd")
            raise Ended(line, problem, input_=True)
        names = await _kubernetes_names(store)
        parts = [dump(by_name(await _list(store, kind, names))) + "---\n" for kind in EXPORTED_KINDS]
        information = (await store.get(CLUSTER_INFORMATION)).value
        addresses = await _addresses(store, names)
    return SEPARATOR.join(["".join(parts), *(json.dumps(each, indent=2) + "\n" for each in (information, addresses))])


async def _kubernetes_names(store: Datastore) -> dict[str, str]:
    """Mapping[node, its name in Kubernetes]. Raises Ended where there is none."""
    names: dict[str, str] = {}
    for entry in (await store.list("Node")).entries:
        references = mappings_at(entry.value, "spec", "orchRefs")
        found = next((text_at(each, "nodeName") for each in references if text_at(each, "orchestrator") == "k8s"), "")
        if not found:
            what = f"node {entry.key.name} missing a 'k8s' orchestrator reference"
            line = f"unable to process metadata for export for Node resource: {what}. Unable to export data unless "
            line += "every node has a 'k8s' orchestrator reference"
            fix = "set spec.orchRefs to its name in Kubernetes, or delete the Node"
            raise Ended(line, Problem(what, str(entry.key), fix))
        names[entry.key.name] = found
    return names


async def _list(store: Datastore, kind: str, names: Mapping[str, str]) -> Json:
    listing = await store.list(kind)
    values = [_exported(entry.key, entry.value, names) for entry in listing.entries]
    kept = [value for value in values if not text_at(value, "metadata", "name").startswith(_OF_KUBERNETES)]
    return {
        "apiVersion": SHOWN_KINDS[kind].api_version,
        "kind": f"{kind}List",
        "metadata": {"resourceVersion": listing.revision},
        "items": kept,
    }


def _exported(key: Key, value: Json, names: Mapping[str, str]) -> dict[str, Any]:
    metadata = {name: held for name, held in mapping_at(value, "metadata").items() if name not in _STORED}
    if key.kind == "Node":
        metadata["name"] = names[key.name]
    elif key.kind in ("FelixConfiguration", "BGPConfiguration") and key.name.startswith("node."):
        node = key.name.removeprefix("node.")
        metadata["name"] = f"node.{names.get(node, node)}"
    return {**value, "metadata": metadata}


async def _addresses(store: Datastore, names: Mapping[str, str]) -> dict[str, Any]:
    """Address management as calicoctl writes it: etcd's keys and values, nodes by their new names; empty parts out."""
    from muslin.conversion.etcd import to_etcd  # noqa: PLC0415 - only this verb pays for it
    from muslin.conversion.etcd_keys import etcd_key  # noqa: PLC0415
    from muslin.conversion.node_names import renamed  # noqa: PLC0415

    found: dict[str, Any] = {}
    for part, kind in IPAM_PARTS.items():
        pairs = []
        for entry in (await store.list(kind)).entries:
            try:
                key, value = renamed(entry.key, entry.value, names)
                pairs.append({"Key": etcd_key(key, value), "Value": to_etcd(key, value), "TTL": 0})
            except (KeyError, TypeError, ValueError) as error:
                what = f"{entry.key} can't be read: {error}"
                fix = "see what it is with `muslin datastore check`; write it again in its kind's form, or delete it"
                raise Ended(f"Error exporting {part}: {what}", Problem(what, str(entry.key), fix)) from error
        if pairs:
            found[part] = pairs
    for entry in (await store.list("IPAMConfiguration")).entries:
        found["config"] = {"Key": etcd_key(entry.key, entry.value), "Value": to_etcd(entry.key, entry.value), "TTL": 0}
    return found
