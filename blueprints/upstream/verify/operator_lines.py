"""An installation by the operator against the decisions: Installation, APIServer, and what the operator reports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from blueprints.decision import section
from blueprints.fact_parts import DatastoreWish
from blueprints.upstream.network import Backend, Network
from blueprints.upstream.operator import COMPONENTS_POLICY
from blueprints.upstream.pools import of_the_operator
from blueprints.upstream.verify.installed import Found, Installed, value_at
from blueprints.upstream.verify.lines import Line, Verdict, compared, of_mtu, untold
from muslin.resources.places import FieldPath

__all__ = ["SYSTEM", "operator_lines"]

SYSTEM: Final = "calico-system"
"""Namespace of what the operator runs."""

_API: Final = "operator.tigera.io/v1"
_DATASTORE: Final = section("Kubernetes Datastore Mode (Recommended)")
_VXLAN: Final = section("VXLAN Configuration")
_MTU: Final = section("MTU Configuration")
_SUBNETS: Final = section("Native")
_POLICY: Final = section("Network Policy Enforcement")
_UNSET: Final = {
    4: {"blockSize": 26, "encapsulation": "IPIP", "natOutgoing": "Enabled", "nodeSelector": "all()"},
    6: {"blockSize": 122, "encapsulation": "None", "natOutgoing": "Disabled", "nodeSelector": "all()"},
}
"""Mapping[family, what the operator takes where a pool does not say]."""


def operator_lines(network: Network, installed: Installed) -> Iterator[Line]:
    """Every line about what the operator is told."""
    installation = next(installed.all("Installation"), None)
    if network.datastore is not DatastoreWish.KUBERNETES:
        fix = "install by manifests: muslin render --for manifests"
        place = "" if installation is None else installation.place("kind")
        yield compared("datastore", network.datastore.value, "kubernetes", _DATASTORE, fix=fix, place=place)
    yield _named_default(installation)
    yield _of(installation, "CNI plugin", ("cni", "type"), "Calico", _API)
    yield _of(installation, "IPAM plugin", ("cni", "ipam", "type"), "Calico", _API)
    bgp = "Enabled" if network.backend is Backend.BIRD else "Disabled"
    yield _of(installation, "bgp", ("calicoNetwork", "bgp"), bgp, _VXLAN)
    yield _mtu(network, installation)
    yield from _pools(network, installation)
    for version in network.facts.families:
        yield _autodetection(network, installation, version)
    if network.nftables:
        yield _of(installation, "linuxDataplane", ("calicoNetwork", "linuxDataplane"), "Nftables", _API)
    yield _api_server(installed)
    yield from _components(installed)
    if installed.running and installation is not None:
        yield from _reported(installation)


def _named_default(installation: Found | None) -> Line:
    place = "" if installation is None else installation.place("metadata", "name")
    name = None if installation is None else installation.name
    return compared(
        "Installation", "default", name, _API, fix="name it default: the operator reads no other", place=place
    )


def _of(installation: Found | None, check: str, path: FieldPath, expected: str, source: str) -> Line:
    found = None if installation is None else installation.at("spec", *path)
    place = "" if installation is None else installation.place("spec", *path)
    fix = f"set spec.{'.'.join(map(str, path))} of the Installation to {expected}"
    return compared(check, expected, None if found is None else str(found), source, fix=fix, place=place)


def _mtu(network: Network, installation: Found | None) -> Line:
    found = None if installation is None else installation.at("spec", "calicoNetwork", "mtu")
    place = "" if installation is None else installation.place("spec", "calicoNetwork", "mtu")
    told, fix = (
        None if found is None else str(found),
        f"set spec.calicoNetwork.mtu of the Installation to {network.mtu}",
    )
    return of_mtu("mtu", network.mtu, told, _MTU, one_mtu=network.one_mtu, fix=fix, place=place)


def _pools(network: Network, installation: Found | None) -> Iterator[Line]:
    path: FieldPath = ("spec", "calicoNetwork", "ipPools")
    listed = None if installation is None else installation.at(*path)
    given = [each for each in listed if isinstance(each, Mapping)] if isinstance(listed, list) else []
    wanted = [of_the_operator(pool) for pool in network.pools]
    for pool, expected in zip(network.pools, wanted, strict=True):
        found = next((each for each in given if each.get("cidr") == expected["cidr"]), None)
        index = 0 if found is None else given.index(found)
        place = "" if installation is None else installation.place(*path, *(() if found is None else (index,)))
        name, source = pool.metadata.name, _source(expected["encapsulation"])
        if found is None:
            others = ", ".join(str(each.get("cidr")) for each in given)
            fix = f"list it under spec.calicoNetwork.ipPools: {expected['cidr']}"
            yield compared(f"pool {name}", expected["cidr"], others or None, source, fix=fix, place=place)
            continue
        for field, value in expected.items():
            unset: Any = name if field == "name" else _UNSET[pool.spec.cidr.version].get(field)
            told = found.get(field, unset)
            at = "" if installation is None else installation.place(*path, index, field)
            fix = f"set {field} of the pool {expected['cidr']} to {value}; block size and range only before it is used"
            yield compared(f"pool {name} {field}", str(value), str(told), source, fix=fix, place=at)
    ranges = {each["cidr"] for each in wanted}
    for index, each in enumerate(given):
        if each.get("cidr") not in ranges:
            place = "" if installation is None else installation.place(*path, index)
            fix = "remove it once no pod has an address of it, or say it in the facts"
            told = str(each.get("cidr"))
            yield Line("pools beyond the decided", "none", told, Verdict.DIFFERS, fix, _SUBNETS, place)


def _source(encapsulation: str) -> str:
    titles = {
        "None": "Single Subnet Configuration",
        "IPIPCrossSubnet": "Multi-Subnet Configuration",
        "IPIP": "Full IP-in-IP Configuration",
    }
    return section(titles.get(encapsulation, "VXLAN Configuration"))


def _autodetection(network: Network, installation: Found | None, version: int) -> Line:
    name = f"nodeAddressAutodetectionV{version}"
    path: FieldPath = ("spec", "calicoNetwork", name)
    found = None if installation is None else installation.at(*path)
    place = "" if installation is None else installation.place(*path)
    expected, fix = ", ".join(network.subnets(version)), f"set cidrs of {name} to the nodes' subnets"
    cidrs = value_at(found, ("cidrs",))
    if isinstance(cidrs, list) and cidrs:
        told = ", ".join(map(str, cidrs))
        return compared(
            name, expected, told, _SUBNETS, fix=fix, place=place, same=lambda a, b: {*a.split(", ")} == {*b.split(", ")}
        )
    if value_at(found, ("kubernetes",)) == "NodeInternalIP":
        return Line(name, expected, "the node's address in Kubernetes", Verdict.HOLDS, "", _SUBNETS, place)
    if installation is None or (found is None and version == 6):
        return compared(name, expected, None, _SUBNETS, fix=fix, place=place)
    why = "the first interface that is found: a node with several may take another"
    return untold(name, expected, why, _SUBNETS, fix=fix, place=place)


def _api_server(installed: Installed) -> Line:
    found = next(installed.all("APIServer"), None)
    name = None if found is None else found.name
    fix = "apply an APIServer named default: the operator changes pools only through it"
    place = "" if found is None else found.place("metadata", "name")
    return compared("APIServer", "default", name, _API, fix=fix, place=place)


def _components(installed: Installed) -> Iterator[Line]:
    """Where the default policy is, what the operator runs needs a policy of its own before it."""
    deny, policy = (installed.find("GlobalNetworkPolicy", name) for name in ("default-deny", COMPONENTS_POLICY))
    fix = "push operator/3-calico-components.yaml before the default policy: it would cut Calico's API server off"
    told = None if policy is None else COMPONENTS_POLICY
    place = "" if policy is None else policy.place("spec")
    if deny is None and policy is None:
        why = "no default policy was read, which it is for"
        yield untold("policy for components", COMPONENTS_POLICY, why, _POLICY, fix=fix)
    else:
        yield compared("policy for components", COMPONENTS_POLICY, told, _POLICY, fix=fix, place=place)


def _reported(installation: Found) -> Iterator[Line]:
    """What the operator says of itself."""
    conditions = installation.at("status", "conditions")
    states = {
        str(each.get("type")): (str(each.get("status")), str(each.get("message", "")))
        for each in (conditions if isinstance(conditions, list) else ())
        if isinstance(each, Mapping)
    }
    place = installation.place("status", "conditions")
    status, message = states.get("Ready", (None, ""))
    told = None if status is None else status if status == "True" else f"{status}: {message}"
    fix = "see kubectl get tigerastatus"
    yield compared("the operator is ready", "True", told, _API, fix=fix, place=place)
