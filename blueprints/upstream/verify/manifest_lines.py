"""An installation by upstream's manifests against the decisions: the ConfigMap calico-config, and who reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from blueprints.decision import section
from blueprints.fact_parts import DatastoreWish
from blueprints.upstream import etcd
from blueprints.upstream.etcd_endpoints import of_the_cluster
from blueprints.upstream.manifests import CONFIG, NAMESPACE, NODE
from blueprints.upstream.network import Network
from blueprints.upstream.typha import NAME as TYPHA
from blueprints.upstream.verify.installed import Found, Installed, value_at
from blueprints.upstream.verify.lines import Line, compared, of_mtu, untold
from blueprints.upstream.verify.mistakes import cni_plugins
from blueprints.upstream.verify.node_lines import Node, node_lines

__all__ = ["manifest_lines"]

_DATASTORE: Final = section("Kubernetes Datastore Mode (Recommended)")
_ETCD: Final = section("etcd Datastore Mode")
_VXLAN: Final = section("VXLAN Configuration")
_MTU: Final = section("MTU Configuration")
_CERTIFICATES: Final = "etcd-ca, etcd-cert, etcd-key"
_ETCD_TYPE: Final = "etcdv3"
"""What the plugin and calico-node take where nobody says a datastore."""


def manifest_lines(network: Network, installed: Installed) -> Iterator[Line]:
    """Every line, in the order of the document: datastore, fan-out, backend and probes, pools, MTU, addresses."""
    config = installed.find("ConfigMap", CONFIG, NAMESPACE)
    node = Node.of(installed, NAMESPACE)
    yield from _datastore(network, config, node)
    if network.datastore is DatastoreWish.ETCD:
        yield from _etcd(network, installed, config)
    yield _of_config(config, "typha_service_name", TYPHA if network.typha_replicas else "none", _DATASTORE)
    if network.typha_replicas:
        yield _finds_typha(node)
    yield _of_config(config, "calico_backend", network.backend.value, _VXLAN)
    yield _veth_mtu(network, config)
    yield from node_lines(network, node)


def _of_config(config: Found | None, key: str, expected: str, source: str) -> Line:
    """A key of calico-config."""
    found = None if config is None else config.at("data", key)
    place = "" if config is None else config.place("data", key)
    fix = f"set {key} of the ConfigMap {CONFIG} to {expected!r}"
    return compared(key, expected, None if found is None else str(found), source, fix=fix, place=place)


def _veth_mtu(network: Network, config: Found | None) -> Line:
    found = None if config is None else config.at("data", "veth_mtu")
    place = "" if config is None else config.place("data", "veth_mtu")
    fix = f"set veth_mtu of the ConfigMap {CONFIG} to {str(network.mtu)!r}"
    told, same = None if found is None else str(found), network.one_mtu and config is not None
    return of_mtu("veth_mtu", network.mtu, told, _MTU, one_mtu=same, fix=fix, place=place)


def _datastore(network: Network, config: Found | None, node: Node) -> Iterator[Line]:
    expected = _ETCD_TYPE if network.datastore is DatastoreWish.ETCD else "kubernetes"
    plugin = _calico_plugin(config)
    told = None if plugin is None else str(plugin.get("datastore_type", _ETCD_TYPE))
    place = "" if config is None else config.place("data", "cni_network_config")
    fix = f'say "datastore_type": "{expected}" of the plugin calico in cni_network_config'
    yield compared("CNI datastore", expected, told, _DATASTORE, fix=fix, place=place)
    told, place = node.text("DATASTORE_TYPE", _ETCD_TYPE), node.place_of("DATASTORE_TYPE")
    fix = f"set DATASTORE_TYPE of {NODE} to {expected}; without it, it is {_ETCD_TYPE}"
    yield compared("calico-node datastore", expected, told, _DATASTORE, fix=fix, place=place)


def _calico_plugin(config: Found | None) -> Mapping[str, Any] | None:
    """The CNI plugin of Calico in calico-config; None where there is none that can be read."""
    text = None if config is None else config.at("data", "cni_network_config")
    try:
        plugins = cni_plugins(text) if isinstance(text, str) else []
    except (ValueError, RecursionError):
        return None
    return next((each for each in plugins if value_at(each, ("type",)) == "calico"), None)


def _etcd(network: Network, installed: Installed, config: Found | None) -> Iterator[Line]:
    yield _of_config(config, "etcd_endpoints", ",".join(network.facts.etcd_endpoints), _ETCD)
    found = None if config is None else config.at("data", "etcd_endpoints")
    place = "" if config is None else config.place("data", "etcd_endpoints")
    endpoints = [each.strip() for each in found.split(",")] if isinstance(found, str) and found.strip() else []
    theirs = ", ".join(each for each in endpoints if of_the_cluster(network.facts, each))
    told = theirs or ("a separate one" if endpoints else None)
    fix = "run a separate etcd: nothing but Kubernetes may have access to its own"
    yield compared("etcd is not the cluster's", "a separate one", told, _ETCD, fix=fix, place=place)
    plain = ", ".join(each for each in endpoints if not each.startswith("https://"))
    told = plain or ("https" if endpoints else None)
    fix = "serve it with TLS, and name its members with https"
    yield compared("etcd has TLS", "https", told, _ETCD, fix=fix, place=place)
    for key, path in etcd.config_data(network).items():
        if key != "etcd_endpoints":
            yield _of_config(config, key, path, _ETCD)
    yield _secret(installed)


def _secret(installed: Installed) -> Line:
    check = "etcd certificates"
    secret = installed.find("Secret", etcd.SECRET, NAMESPACE)
    if not installed.running or "Secret" in installed.unread:
        why = installed.unread.get("Secret", "the Secret is made from files that nobody commits")
        return untold(check, _CERTIFICATES, why, _ETCD, fix=etcd.secret_command())
    data = None if secret is None else secret.at("data")
    keys = ", ".join(sorted(map(str, data))) if isinstance(data, Mapping) and data else None
    place = "" if secret is None else secret.place("data")
    return compared(check, _CERTIFICATES, keys, _ETCD, fix=etcd.secret_command(), place=place)


def _finds_typha(node: Node) -> Line:
    name = "FELIX_TYPHAK8SSERVICENAME"
    fix = f"let {name} of {NODE} come from key typha_service_name of {CONFIG}"
    variable = node.variable(name)
    if variable is not None and variable.text is None:
        return untold(name, TYPHA, variable.told, _DATASTORE, fix=fix, place=variable.place)
    return compared(name, TYPHA, node.text(name), _DATASTORE, fix=fix, place=node.place_of(name))
