"""The network configuration of a CNI request: Calico's fields, and `pod` for a world without Kubernetes. Pure.

Three kinds of fields: those we act on; those that are the agent's own business (datastore, logs), accepted so that
Calico's files work; and those that would change the result and that we don't do yet, refused unless they say what we
do anyway. A field that nobody knows is an error with a suggestion.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from muslin.errors import Problem
from muslin.net import InterfaceAddress, parse_interface_address, parse_prefix
from runtime.cni.answer import SUPPORTED_VERSIONS, CniError, Code
from runtime.cni.pod import Pod, parse_pod

__all__ = ["Network", "Previous", "parse_network"]

_WHERE = "network configuration"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]*")
_AGENTS = {
    "type", "nodename", "nodename_file", "nodename_file_optional", "datastore_type", "etcd_endpoints",
    "etcd_discovery_srv", "etcd_key_file", "etcd_cert_file", "etcd_ca_cert_file", "calico_api_group", "qps", "burst",
    "kubernetes", "policy", "log_level", "log_file_path", "log_file_max_size", "log_file_max_age",
    "log_file_max_count", "endpoint_status_dir", "require_mtu_file", "readiness_gates", "include_default_routes",
    "capabilities", "runtimeConfig", "dns", "ipMasq", "disableCheck", "disableGC", "cniVersions", "socket",
    "feature_control", "ipam_lock_file",
}  # fmt: skip
_FIXED: Mapping[str, tuple[Any, ...]] = {
    "mode": ("",), "num_queues": (0, 1), "device_type": ("", "veth"), "dataplane_options": ({},),
    "vxlan_mac_prefix": ("",), "vxlan_vni": (0,), "args": ({},),
}  # fmt: skip
"""Fields that we don't do yet, and the values that mean nothing."""
_MAX_UNKNOWN = 20
"""Fields told at most: a suggestion costs time."""
_OURS = {"cniVersion", "name", "ipam", "mtu", "container_settings", "policy_setup_timeout_seconds", "prevResult", "pod"}
_KNOWN = frozenset(_OURS | _AGENTS)
_IPAM_FIXED: Mapping[str, tuple[Any, ...]] = {
    "type": ("calico-ipam", "muslin-ipam"), "assign_ipv4": ("true",), "assign_ipv6": ("false",), "subnet": ("",),
    "ipv6_pools": ([],),
}  # fmt: skip
_IPAM_KNOWN = frozenset({"ipv4_pools", *_AGENTS})


@dataclass(frozen=True, slots=True)
class Previous:
    """What an earlier ADD answered, as far as CHECK compares it."""

    addresses: tuple[InterfaceAddress, ...]
    interfaces: tuple[tuple[str, str | None], ...]
    """Name and sandbox (None on the host) of each interface."""


@dataclass(frozen=True, slots=True)
class Network:
    """A checked network configuration.

    Attributes:
        version: in which the answer is written.
        name: of the network; part of the IPAM handle.
        mtu: None leaves it to the agent (the node's).
        pools: names or prefixes of the pools to assign from, in order; empty leaves the choice to the pools.
        policy_timeout_s: how long ADD waits for policy; None is the agent's default.
        pod: as declared, None where Kubernetes' arguments name it.
    """

    version: str
    name: str
    mtu: int | None = None
    pools: tuple[str, ...] = ()
    policy_timeout_s: int | None = None
    previous: Previous | None = None
    pod: Pod | None = None


def parse_network(value: Mapping[str, Any]) -> Network:
    """A network configuration from decoded JSON.

    Raises:
        CniError: with all problems; code UNSUPPORTED_FIELD only if every one is of that kind.
    """
    version = value.get("cniVersion", "0.2.0")
    if version not in SUPPORTED_VERSIONS:
        fix = "use one of " + ", ".join(SUPPORTED_VERSIONS)
        raise CniError(
            Code.INCOMPATIBLE_VERSION, Problem(f"version {version!r} is not supported", _at("cniVersion"), fix)
        )
    unsupported = list(_unsupported(value, _FIXED, _KNOWN, ""))
    problems: list[Problem] = []
    name = value.get("name")
    if not (isinstance(name, str) and _NAME.fullmatch(name)):
        problems.append(Problem(f"{name!r} is not a network's name", _at("name"), "for example k8s-pod-network"))
    pools = _pools(value.get("ipam", {}), problems, unsupported)
    settings = value.get("container_settings", {})
    forwarding = settings.get("allow_ip_forwarding", False) if isinstance(settings, dict) else None
    if not isinstance(forwarding, bool):
        fix = "container_settings: {allow_ip_forwarding: false}"
        problems.append(Problem("container_settings has a wrong form", _at("container_settings"), fix))
    elif forwarding:
        what = "a pod that forwards packets is not supported by this plugin"
        unsupported.append(Problem(what, _at("container_settings.allow_ip_forwarding"), "set it to false"))
    pod: Pod | None = None
    if "pod" in value:
        pod, wrong = parse_pod(value["pod"])
        problems += wrong
    network = Network(
        version=version,
        name=str(name),
        mtu=_number(value, "mtu", 68, 65535, problems) or None,
        pools=pools,
        policy_timeout_s=_number(value, "policy_setup_timeout_seconds", 1, 300, problems) or None,
        previous=_previous(value["prevResult"], problems) if "prevResult" in value else None,
        pod=pod,
    )
    if problems or unsupported:
        code = Code.BAD_NETWORK_CONFIG if problems else Code.UNSUPPORTED_FIELD
        raise CniError(code, [*problems, *unsupported])
    return network


def _at(path: str) -> str:
    return f"{_WHERE}  {path}"


def _unsupported(
    value: Mapping[str, Any], fixed: Mapping[str, tuple[Any, ...]], known: frozenset[str], prefix: str
) -> list[Problem]:
    problems: list[Problem] = []
    for key, found in value.items():
        if len(problems) == _MAX_UNKNOWN:
            break
        shown = f"{prefix}{key}"
        if key in fixed and not any(found == only and type(found) is type(only) for only in fixed[key]):
            fix = f"leave it out, or {' or '.join(repr(only) for only in fixed[key])}"
            problems.append(Problem(f"{shown}: {str(found)[:100]!r} is not supported", _at(shown), fix))
        elif key not in fixed and key not in known:
            near = difflib.get_close_matches(key[:100], [*known, *fixed], n=1)
            fix = f"did you mean {near[0]}?" if near else "leave it out"
            problems.append(Problem(f"{shown[:120]!r} is not a field that we know", _at(shown[:120]), fix))
    return problems


def _pools(ipam: Any, problems: list[Problem], unsupported: list[Problem]) -> tuple[str, ...]:
    if not isinstance(ipam, dict):
        problems.append(Problem("ipam is not an object", _at("ipam"), 'ipam: {"type": "calico-ipam"}'))
        return ()
    unsupported += _unsupported(ipam, _IPAM_FIXED, _IPAM_KNOWN, "ipam.")
    pools = ipam.get("ipv4_pools", [])
    if not isinstance(pools, list) or not all(isinstance(pool, str) and 0 < len(pool) <= 253 for pool in pools):
        fix = "a list of pools' names or prefixes"
        problems.append(Problem("ipv4_pools has a wrong form", _at("ipam.ipv4_pools"), fix))
        return ()
    for index, pool in enumerate(pools):
        if "/" in pool:
            try:
                parse_prefix(pool)
            except ValueError as error:
                problems.append(Problem(str(error), _at(f"ipam.ipv4_pools[{index}]"), "the pool's name or prefix"))
    return tuple(pools)


def _number(value: Mapping[str, Any], key: str, low: int, high: int, problems: list[Problem]) -> int:
    found = value.get(key, 0)
    if type(found) is int and (found == 0 or low <= found <= high):
        return found
    shown = str(found)[:40] if not isinstance(found, int) else "it"
    problems.append(
        Problem(f"{key}: {shown!r} is out of range", _at(key), f"a number of {low}..{high}, or 0 for unset")
    )
    return 0


def _previous(value: Any, problems: list[Problem]) -> Previous | None:
    try:
        interfaces = tuple((str(each["name"]), each.get("sandbox") or None) for each in value.get("interfaces", []))
        addresses = tuple(parse_interface_address(str(each["address"])) for each in value.get("ips", []))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        what = f"prevResult can't be read: {type(error).__name__}: {error}"
        problems.append(Problem(what[:300], _at("prevResult"), "pass the result of ADD unchanged"))
        return None
    return Previous(addresses, interfaces)
