"""What `muslin init --from-cluster` reads of a Kubernetes API: nodes, settings of kubeadm and kube-proxy, what runs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from blueprints import found
from blueprints.found_running import facts_of_running, unsaid_peers
from muslin import yaml
from muslin.cli.printing import printable
from muslin.errors import BadInput, Problem

if TYPE_CHECKING:
    from muslin.kubernetes.client import KubernetesClient

__all__ = ["facts_of_cluster", "facts_of_text"]

_SYSTEM: Final = "/api/v1/namespaces/kube-system"
_CALICO: Final = ("/apis/projectcalico.org/v3", "/apis/crd.projectcalico.org/v1")
"""Native resources, and those of the clusters that store them in the older group."""


def facts_of_text(octets: bytes, name: str) -> dict[str, Any]:
    """Facts of a kubeadm configuration. Raises BadInput where it tells nothing, or something wrong."""
    documents = [document.value for document in yaml.load(octets, name)]
    try:
        told = found.facts_of_kubeadm(documents)
    except (ValueError, TypeError) as error:
        raise BadInput(Problem(str(error), name, "correct it; kubeadm would refuse it as well")) from None
    if not told:
        fix = "give a file with ClusterConfiguration, as `kubeadm config print init-defaults` shows"
        raise BadInput(Problem("this is no configuration of kubeadm that tells of a network", name, fix))
    return told


async def facts_of_cluster(context: str | None) -> dict[str, Any]:
    """Facts of the cluster that the kubeconfig leads to; what may not be read is left out. Raises MuslinError."""
    from muslin.kubernetes.client import KubernetesClient  # noqa: PLC0415 - only for this
    from muslin.kubernetes.finding import find_access  # noqa: PLC0415

    usual = Path.home() / ".kube" / "config"
    kubeconfig = os.environ.get("KUBECONFIG") or (str(usual) if usual.exists() else None)
    client = await KubernetesClient.connect(find_access(kubeconfig=kubeconfig, context=context))
    try:
        nodes = await _all(client, "/api/v1/nodes")
        told = found.facts_of_nodes(nodes)
        for name, key in (("kubeadm-config", "ClusterConfiguration"), ("kube-proxy", "config.conf")):
            settings = await _optional(client, f"{_SYSTEM}/configmaps/{name}")
            text = str(((settings or {}).get("data") or {}).get(key, ""))
            if text:
                told = found.merged(told, facts_of_text(text.encode(), name))
        dns = await _optional(client, f"{_SYSTEM}/services/kube-dns")
        if dns is not None:
            told = found.merged(told, found.facts_of_dns(dns))
        runs = await _running(client, nodes)
        if "serviceRanges" in told:  # what is announced may be a part of these
            runs.pop("serviceRanges", None)
        return found.merged(told, runs)
    finally:
        await client.close()


async def _running(client: KubernetesClient, nodes: list[Mapping[str, Any]]) -> dict[str, Any]:
    for group in _CALICO:
        pools = await _optional(client, f"{group}/ippools")
        if pools is not None and pools.get("items"):
            settings = await _optional(client, f"{group}/bgpconfigurations/default")
            peers = await _optional(client, f"{group}/bgppeers")
            felix = await _optional(client, f"{group}/felixconfigurations/default")
            listed = (peers or {}).get("items") or ()
            for name in unsaid_peers(listed, nodes, settings):
                told = f"warning: the BGPPeer {printable(name)} is left out: say under topOfRack which racks it serves"
                click.echo(told, err=True)
            try:
                return facts_of_running(pools["items"], settings, nodes, listed, felix)
            except ValueError as error:
                fix = "correct the object in the cluster, or leave --from-cluster out"
                raise BadInput(Problem(str(error), f"the cluster, {group}", fix)) from None
    return {}


async def _all(client: KubernetesClient, path: str) -> list[Mapping[str, Any]]:
    listed: list[Mapping[str, Any]] = []
    more: str | None = None
    while True:
        page = await client.page(path, continue_=more)
        listed += page.get("items") or ()
        more = page.get("metadata", {}).get("continue")
        if not more:
            return listed


async def _optional(client: KubernetesClient, path: str) -> dict[str, Any] | None:
    """An object, or None where there is none, or we may not read it."""
    from muslin.kubernetes.errors import Forbidden, NotFound  # noqa: PLC0415

    try:
        return await client.get(path)
    except (NotFound, Forbidden):
        return None
