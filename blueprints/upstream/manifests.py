"""Upstream's manifests, changed as decided: patches for a kustomization beside upstream's own file, and Typha whole.

Upstream's file is not repeated here: it is taken as it is released, and only what was decided is said of it. Patches
are strategic merges, which kustomize and `kubectl patch` read alike.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from blueprints.encapsulation import encapsulation_name
from blueprints.fact_parts import DatastoreWish
from blueprints.upstream import etcd
from blueprints.upstream.emitted import Emitted, text_of
from blueprints.upstream.network import Backend, Network
from blueprints.upstream.pools import environment
from blueprints.upstream.typha import NAME as TYPHA
from blueprints.upstream.typha import emitted_typha
from muslin.resources.places import FieldPath

__all__ = [
    "CONFIG", "NAMESPACE", "NODE", "addresses", "cni_network_config", "config_map", "config_patch", "files",
    "node_patch", "probes", "upstream_file",
]  # fmt: skip

NAMESPACE: Final = "kube-system"
CONFIG: Final = "calico-config"
NODE: Final = "calico-node"

_PROGRAM: Final = "/bin/calico-node"
_OF_IPV4: Final = {
    "_CIDR": "pod range",
    "_BLOCK_SIZE": "block size",
    "_IPIP": encapsulation_name(4),
    "_NAT_OUTGOING": "outgoing NAT",
}
"""Mapping[end of a variable for the default pool, the decision that it follows from]."""
_MTU_OF_IPV6: Final = ("FELIX_VXLANMTUV6", "FELIX_WIREGUARDMTUV6")
"""Upstream's file takes those of IPv4 from `veth_mtu` already."""


def config_map(network: Network) -> dict[str, Any]:
    """`calico-config` with all of its keys, to be applied as it is."""
    return _config_map(network).value


def config_patch(network: Network) -> dict[str, Any]:
    """What is said of upstream's `calico-config`, as a strategic merge.

    Its CNI configuration is left as upstream's version has it, unless pods get IPv6 addresses: then it must say so, and
    a patch cannot reach inside a text.
    """
    return _config_patch(network).value


def node_patch(network: Network, *, strategic: bool = True) -> dict[str, Any]:
    """What is said of the DaemonSet `calico-node`: environment and probes.

    Args:
        network: what was decided.
        strategic: as a strategic merge, which can take variables out. Else without that word, for who applies on the
            server's side: there such a variable says Never, which means the same.
    """
    patch = _node_patch(network).value
    if not strategic:
        for container in patch["spec"]["template"]["spec"]["containers"]:
            gone = {each["name"] for each in container["env"] if each.get("$patch") == "delete"}
            container["env"] = [
                {"name": each["name"], "value": "Never"} if each["name"] in gone else each for each in container["env"]
            ]
    return patch


def files(network: Network) -> Mapping[str, str]:
    """Mapping[path, text] of a folder for kustomize; upstream's own file is put beside them by whoever installs."""
    typha = emitted_typha(network)
    texts = {
        "manifests/kustomization.yaml": text_of([_kustomization(network)]),
        "manifests/calico-config.yaml": text_of([_config_patch(network)]),
        "manifests/calico-node.yaml": text_of([_node_patch(network)]),
    }
    if typha:
        texts["manifests/typha.yaml"] = text_of(typha)
    if network.datastore is DatastoreWish.ETCD:
        texts["manifests/without-secret.yaml"] = text_of([_without_secret()])
    return MappingProxyType(texts)


def cni_network_config(network: Network) -> str:
    """The CNI configuration as JSON but for what is in `__...__`, which install-cni fills in on each node."""
    calico: dict[str, Any] = {
        "type": "calico",
        "log_level": "info",
        "log_file_path": "/var/log/calico/cni/cni.log",
    }
    if network.datastore is DatastoreWish.ETCD:
        calico |= {
            "etcd_endpoints": "__ETCD_ENDPOINTS__",
            "etcd_key_file": "__ETCD_KEY_FILE__",
            "etcd_cert_file": "__ETCD_CERT_FILE__",
            "etcd_ca_cert_file": "__ETCD_CA_CERT_FILE__",
        }
    else:
        calico |= {"datastore_type": "kubernetes", "nodename": "__KUBERNETES_NODE_NAME__"}
    ipam: dict[str, Any] = {"type": "calico-ipam"}
    if 6 in network.facts.families:
        ipam |= {"assign_ipv4": "true" if 4 in network.facts.families else "false", "assign_ipv6": "true"}
    calico |= {
        "mtu": "__CNI_MTU__",
        "ipam": ipam,
        "policy": {"type": "k8s"},
        "kubernetes": {"kubeconfig": "__KUBECONFIG_FILEPATH__"},
    }
    portmap = {"type": "portmap", "snat": True, "capabilities": {"portMappings": True}}
    whole = {"name": "k8s-pod-network", "cniVersion": "0.3.1", "plugins": [calico, portmap]}
    return json.dumps(whole, indent=2).replace('"__CNI_MTU__"', "__CNI_MTU__")  # a number takes its place


def probes(backend: Backend) -> dict[str, dict[str, Any]]:
    """Mapping[field, probe] of calico-node: BIRD is asked where BIRD runs."""
    bird = backend is Backend.BIRD

    def command(*asked: str) -> dict[str, Any]:
        return {"command": [_PROGRAM, *(f"-{each}" for each in asked if bird or not each.startswith("bird"))]}

    return {
        "livenessProbe": {
            "exec": command("felix-live", "bird-live"),
            "periodSeconds": 10,
            "initialDelaySeconds": 10,
            "failureThreshold": 6,
        },
        "readinessProbe": {"exec": command("felix-ready", "bird-ready"), "periodSeconds": 10},
    }


def _config_map(network: Network) -> Emitted:
    data = etcd.config_data(network) if network.datastore is DatastoreWish.ETCD else {}
    data |= {
        "typha_service_name": TYPHA if network.typha_replicas else "none",
        "calico_backend": network.backend.value,
        "veth_mtu": str(network.mtu),
        "cni_network_config": cni_network_config(network),
    }
    why: dict[FieldPath, str] = {
        ("data", "typha_service_name"): network.told("fan-out"),
        ("data", "calico_backend"): network.told("backend"),
        ("data", "veth_mtu"): network.told("MTU")
        + "\nTunnels get it as well; with 0 these variables would hide what FelixConfiguration says.",
    }
    if network.datastore is DatastoreWish.ETCD:
        why["data", "etcd_endpoints"] = network.told("datastore")
    value = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": CONFIG, "namespace": NAMESPACE},
        "data": data,
    }
    return Emitted(value, "" if "etcd_endpoints" in data else network.told("datastore"), why)


def _config_patch(network: Network) -> Emitted:
    whole = _config_map(network)
    if 6 in network.facts.families:
        text = "Whole, for IPv6: compare it with upstream's; older versions of that have the plugin bandwidth too."
        return Emitted(whole.value, whole.header, {**whole.why, ("data", "cni_network_config"): text})
    data = {name: value for name, value in whole.value["data"].items() if name != "cni_network_config"}
    return Emitted({**whole.value, "data": data}, whole.header, whole.why)


def addresses(network: Network) -> dict[str, str]:
    """Mapping[variable of calico-node, value]: how a node finds its own addresses.

    Without IPv4 there is no address to take BGP's router id from (RFC 6286): it is made of the node's name.
    """
    told = {"IP": "none"}
    for version, name in ((4, "IP"), (6, "IP6")):
        if version in network.facts.families:
            method = f"cidr={','.join(network.subnets(version))}"
            told |= {name: "autodetect", f"{name}_AUTODETECTION_METHOD": method}
    if 4 not in network.facts.families:
        told["CALICO_ROUTER_ID"] = "hash"
    return {**told, "FELIX_IPV6SUPPORT": "true" if 6 in network.facts.families else "false"}


def _variables(network: Network) -> tuple[dict[str, str | None], dict[str, str]]:
    """Mapping[variable, value or None where it must not be], and Mapping[variable, text above it]."""
    told: dict[str, str | None] = {}
    why: dict[str, str] = {}
    if network.datastore is DatastoreWish.KUBERNETES:
        told["DATASTORE_TYPE"] = "kubernetes"
        why["DATASTORE_TYPE"] = network.told("datastore")
    told |= addresses(network)
    why["IP"] = "A node is reached by its address in these subnets, whatever other interfaces it has."
    if network.nftables:
        told["FELIX_NFTABLESMODE"] = "Enabled"
        why["FELIX_NFTABLESMODE"] = "As kube-proxy, which writes nftables here."
    for pool in network.pools:
        if not pool.metadata.name.startswith("default-"):
            continue
        version, given = pool.spec.cidr.version, environment(pool)
        decisions = {"_VXLAN": encapsulation_name(6)} if version == 6 else _OF_IPV4
        why |= {f"CALICO_IPV{version}POOL{suffix}": network.told(name) for suffix, name in decisions.items()}
        first = next(iter(given))
        starts = f"Where calico-node starts first, it creates {pool.metadata.name} as the resource says."
        why[first] = f"{starts}\n{why.get(first, '')}"
        told |= given
    return told, why


def _node_patch(network: Network) -> Emitted:
    told, why = _variables(network)
    env: list[dict[str, Any]] = []
    comments: dict[FieldPath, str] = {}
    container: FieldPath = ("spec", "template", "spec", "containers", 0)

    def add(entry: dict[str, Any], text: str = "") -> None:
        comments[(*container, "env", len(env))] = text.rstrip()
        env.append(entry)

    if network.typha_replicas:
        add(_from_config("FELIX_TYPHAK8SSERVICENAME", "typha_service_name"), network.told("fan-out"))
    for name, value in told.items():
        add({"name": name, "$patch": "delete"} if value is None else {"name": name, "value": value}, why.get(name, ""))
    if 6 in network.facts.families:
        for name in _MTU_OF_IPV6:
            add(_from_config(name, "veth_mtu"))
    comments[(*container, "livenessProbe")] = network.told("backend")
    pod = {"containers": [{"name": NODE, "env": env, **probes(network.backend)}]}
    patch = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": NODE, "namespace": NAMESPACE},
        "spec": {"template": {"spec": pod}},
    }
    header = "A patch: merged into upstream's DaemonSet, whose other variables stay as they are."
    return Emitted(patch, header, comments)


def _from_config(name: str, key: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"configMapKeyRef": {"name": CONFIG, "key": key}}}


def upstream_file(network: Network) -> str:
    """Which of upstream's files the patches are for."""
    return "calico-etcd.yaml" if network.datastore is DatastoreWish.ETCD else "calico.yaml"


def _kustomization(network: Network) -> Emitted:
    upstream = upstream_file(network)
    patches = ["calico-config.yaml", "calico-node.yaml"]
    header = (
        f"Upstream's {upstream} of {network.version} belongs beside this file, as it is released:\n"
        f"  https://raw.githubusercontent.com/projectcalico/calico/{network.version}/manifests/{upstream}\n"
        "Then: kubectl apply --server-side -k ."
    )
    if network.datastore is DatastoreWish.ETCD:
        patches.append("without-secret.yaml")
        header += f"\nBefore that, from files that are not committed:\n  {etcd.secret_command()}"
    value = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [upstream, *(["typha.yaml"] if network.typha_replicas else [])],
        "patches": [{"path": path} for path in patches],
    }
    return Emitted(value, header)


def _without_secret() -> Emitted:
    value = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": etcd.SECRET, "namespace": NAMESPACE},
        "$patch": "delete",
    }
    return Emitted(value, "Upstream's file holds this Secret without content; the real one is made from files.")
