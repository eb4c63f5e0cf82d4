"""An installation by manifests as upstream releases it, as far as the decisions touch it; and one as decided."""

from __future__ import annotations

import copy
from typing import Any, Final

from blueprints.fact_parts import DatastoreWish
from blueprints.upstream import manifests, operator, typha
from blueprints.upstream.network import Network
from blueprints.upstream.verify.installed import Found, Installed
from muslin.cli.strategic import strategic_merge
from muslin.resources import dump
from muslin.yaml.write import dump_documents

__all__ = [
    "MERGE_KEYS",
    "by_manifests",
    "by_the_operator",
    "found",
    "installed",
    "merged",
    "upstreams_objects",
    "upstreams_text",
]

MERGE_KEYS: Final = {"containers": "name", "env": "name", "volumes": "name", "volumeMounts": "mountPath"}
"""Mapping[list of a pod, the field that tells its entries apart]: the API's `patchMergeKey`."""
_CNI: Final = """{
  "name": "k8s-pod-network", "cniVersion": "0.3.1",
  "plugins": [
    {"type": "calico", %s, "mtu": __CNI_MTU__, "ipam": {"type": "calico-ipam"}, "policy": {"type": "k8s"},
     "kubernetes": {"kubeconfig": "__KUBECONFIG_FILEPATH__"}},
    {"type": "portmap", "snat": true, "capabilities": {"portMappings": true}}
  ]
}"""


def _from_config(name: str, key: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"configMapKeyRef": {"name": "calico-config", "key": key}}}


def upstreams_objects(*, etcd: bool = False) -> list[dict[str, Any]]:
    """calico-config and calico-node of `calico.yaml`, or of `calico-etcd.yaml` with its Secret that holds nothing."""
    data = {"typha_service_name": "none", "calico_backend": "bird", "veth_mtu": "0"}
    data["cni_network_config"] = _CNI % (
        '"etcd_endpoints": "__ETCD_ENDPOINTS__"' if etcd else '"datastore_type": "kubernetes"'
    )
    if etcd:
        data |= {"etcd_endpoints": "http://<ETCD_IP>:<ETCD_PORT>", "etcd_ca": "", "etcd_cert": "", "etcd_key": ""}
    store = [{"name": "DATASTORE_TYPE", "value": "kubernetes"}, {"name": "WAIT_FOR_DATASTORE", "value": "true"}]
    env = [
        *([_from_config("ETCD_ENDPOINTS", "etcd_endpoints")] if etcd else store),
        _from_config("CALICO_NETWORKING_BACKEND", "calico_backend"),
        {"name": "CLUSTER_TYPE", "value": "k8s,bgp"},
        {"name": "IP", "value": "autodetect"},
        {"name": "CALICO_IPV4POOL_IPIP", "value": "Always"},
        {"name": "CALICO_IPV4POOL_VXLAN", "value": "Never"},
        {"name": "CALICO_IPV6POOL_VXLAN", "value": "Never"},
        _from_config("FELIX_IPINIPMTU", "veth_mtu"),
        _from_config("FELIX_VXLANMTU", "veth_mtu"),
        _from_config("FELIX_WIREGUARDMTU", "veth_mtu"),
        {"name": "FELIX_IPV6SUPPORT", "value": "false"},
        {"name": "FELIX_HEALTHENABLED", "value": "true"},
    ]
    container = {
        "name": "calico-node",
        "image": "quay.io/calico/node:v3.32.1",
        "env": env,
        "livenessProbe": {
            "exec": {"command": ["/bin/calico-node", "-felix-live", "-bird-live"]},
            "periodSeconds": 10,
            "initialDelaySeconds": 10,
            "failureThreshold": 6,
            "timeoutSeconds": 10,
        },
        "readinessProbe": {
            "exec": {"command": ["/bin/calico-node", "-felix-ready", "-bird-ready"]},
            "periodSeconds": 10,
            "timeoutSeconds": 10,
        },
    }
    labels = {"k8s-app": "calico-node"}
    node = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "calico-node", "namespace": "kube-system", "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"hostNetwork": True, "containers": [container]}},
        },
    }
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "calico-config", "namespace": "kube-system"},
        "data": data,
    }
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {"name": "calico-etcd-secrets", "namespace": "kube-system"},
    }
    return copy.deepcopy([config, node, *([secret] if etcd else [])])


def upstreams_text(*, etcd: bool = False) -> str:
    """The same as a file."""
    return dump_documents(upstreams_objects(etcd=etcd))


def merged(network: Network) -> list[dict[str, Any]]:
    """Upstream's objects with our patches merged into them, and Typha."""
    etcd = network.datastore is DatastoreWish.ETCD
    config, node, *_ = upstreams_objects(etcd=etcd)
    return [
        strategic_merge(config, manifests.config_patch(network), MERGE_KEYS),
        strategic_merge(node, manifests.node_patch(network), MERGE_KEYS),
        *copy.deepcopy(list(typha.typha(network))),
    ]


def found(objects: list[dict[str, Any]]) -> tuple[Found, ...]:
    """As if they had been read."""
    return tuple(Found(each, "installed") for each in objects)


def by_manifests(network: Network) -> list[dict[str, Any]]:
    """Everything that stands in a cluster where this network was installed by manifests."""
    return [*merged(network), *map(dump, network.blueprint.resources)]


def by_the_operator(network: Network) -> list[dict[str, Any]]:
    """The same by the operator."""
    told = copy.deepcopy(list(operator.installation(network)))
    return [*told, *map(dump, network.blueprint.resources), dump(operator.components_policy())]


def installed(objects: list[dict[str, Any]], *, running: bool = False) -> Installed:
    """These objects as an installation."""
    return Installed(found(objects), running=running)
