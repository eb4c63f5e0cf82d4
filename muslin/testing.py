"""Assertions for people's own blueprints and files: what a set of resources means, asked in a test.

Pure but for `files`, which reads a folder as the reconciler reads a commit. What resources mean is `muslin.semantics`'
business; a failed assertion says what is and what was meant.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from itertools import permutations
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from blueprints.decision import Blueprint
from blueprints.facts import Facts
from muslin import resources
from muslin.errors import BadInput
from muslin.resources.base import Resource
from muslin.resources.ip_pool import IPPool
from muslin.resources.node import Node
from muslin.resources.profile import Profile
from muslin.resources.workload_endpoint import WorkloadEndpoint
from muslin.semantics.routes import encapsulation, pool_of
from muslin.semantics.sessions import sessions
from muslin.semantics.snapshot import Snapshot
from muslin.semantics.verdict import Flow, verdict
from reconciler.local import read_folder

__all__ = [
    "Cluster", "Pod", "assert_encapsulation", "assert_not_reached", "assert_opens_nothing", "assert_reached",
    "assert_sessions", "cluster", "files",
]  # fmt: skip

_PROTOCOLS: Final[Mapping[str, int]] = MappingProxyType({"TCP": 6, "UDP": 17, "SCTP": 132})
_CLIENT_PORT: Final = 40000


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod as policies see it; `addresses` at most one of each family."""

    name: str
    namespace: str
    node: str
    addresses: tuple[str, ...]
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cluster:
    """Resources with the nodes and pods that they are about."""

    snapshot: Snapshot
    pods: Mapping[tuple[str, str], Pod]


def files(folder: Path) -> tuple[Resource, ...]:
    """What the manifests below a folder declare. Raises BadInput with every problem."""
    reading = read_folder(folder, name=str(folder))
    if reading.problems:
        raise BadInput(reading.problems)
    return tuple(resources.load(dict(each.value)) for each in reading.resources.values())


def cluster(
    facts: Facts,
    declared: Blueprint | Iterable[Resource],
    pods: Iterable[Pod] = (),
    namespaces: Mapping[str, Mapping[str, str]] | None = None,
) -> Cluster:
    """A cluster as its agents would make it: nodes of the facts, with what is declared of them.

    Args:
        facts: for the nodes' addresses and subnets.
        declared: a blueprint, or what `files` gives.
        pods: who may talk to whom is asked of these.
        namespaces: Mapping[namespace, its labels], where policies look at labels.
    """
    given = declared.resources if isinstance(declared, Blueprint) else tuple(declared)
    of_nodes = {each.metadata.name: each for each in given if isinstance(each, Node)}
    listed = {(each.namespace, each.name): each for each in pods}
    spaces = {each.namespace: dict((namespaces or {}).get(each.namespace, {})) for each in listed.values()}
    snapshot = Snapshot.of(
        [
            *(each for each in given if not isinstance(each, Node)),
            *_nodes(facts, of_nodes),
            *(_profile(name, labels) for name, labels in spaces.items()),
            *(_endpoint(each) for each in listed.values()),
        ]
    )
    return Cluster(snapshot, MappingProxyType(listed))


def _nodes(facts: Facts, declared: Mapping[str, Node]) -> Iterator[Node]:
    for told in facts.nodes:
        bgp: dict[str, Any] = {}
        labels = dict(told.labels)
        if told.name in declared:
            own = resources.dump(declared[told.name])
            bgp |= own["spec"].get("bgp", {})
            labels |= own["metadata"].get("labels", {})
        for version, name in ((4, "ipv4Address"), (6, "ipv6Address")):
            subnet, address = facts.subnet_of(told, version), told.address_of(version)
            if subnet is not None:
                bgp[name] = f"{address}/{subnet.cidr.prefixlen}"
        yield Node.model_validate({"metadata": {"name": told.name, "labels": labels}, "spec": {"bgp": bgp}})


def _profile(namespace: str, labels: Mapping[str, str]) -> Profile:
    seen = {"projectcalico.org/name": namespace, **labels}
    allowed = [{"action": "Allow"}]
    spec = {
        "labelsToApply": {f"pcns.{key}": value for key, value in seen.items()},
        "ingress": allowed,
        "egress": allowed,
    }
    return Profile.model_validate({"metadata": {"name": f"kns.{namespace}"}, "spec": spec})


def _endpoint(pod: Pod) -> WorkloadEndpoint:
    spec = {
        "node": pod.node,
        "interfaceName": "cali0",
        "ipNetworks": list(pod.addresses),
        "profiles": [f"kns.{pod.namespace}"],
    }
    metadata = {"name": pod.name, "namespace": pod.namespace, "labels": dict(pod.labels)}
    return WorkloadEndpoint.model_validate({"metadata": metadata, "spec": spec})


def assert_encapsulation(of: Cluster, here: str, there: str, address: str, expected: str) -> None:
    """What wraps a packet from node `here` to a pod's address on node `there`, such as `IP-in-IP`.

    Raises:
        AssertionError: it is another.
        KeyError: there is no such node, or no pool has the address.
    """
    ends = [of.snapshot.get(Node, name) for name in (here, there)]
    found = ip_address(address)
    pool = next((each for each in of.snapshot.all(IPPool) if found in each.spec.cidr), None)
    pool = pool_of(of.snapshot, pool.spec.cidr) if pool is not None else None
    if ends[0] is None or ends[1] is None or pool is None:
        raise KeyError(here if ends[0] is None else there if ends[1] is None else address)
    actual = encapsulation(pool, ends[0], ends[1]).value
    if actual != expected:
        raise AssertionError(f"from {here} to {address} on {there} it is {actual}, not {expected}")


def assert_sessions(of: Cluster, node: str, count: int) -> None:
    """How many BGP sessions a node has. Raises AssertionError, which names the peers."""
    peers = [each.peer_node or str(each.peer_address) for each in sessions(of.snapshot, node)]
    if len(peers) != count:
        raise AssertionError(f"{node} has {len(peers)} sessions, not {count}: {', '.join(peers) or 'none'}")


def assert_reached(of: Cluster, source: str, destination: str, port: int, protocol: str = "TCP") -> None:
    """A pod reaches another pod or an address outside.

    Args:
        of: the cluster.
        source: NAMESPACE/NAME of a pod, or an address.
        destination: the same.
        port: of the destination.
        protocol: TCP, UDP or SCTP.

    Raises:
        AssertionError: it does not.
    """
    stopped = [
        flow for flow in _flows(of, source, destination, port, protocol) if not verdict(of.snapshot, flow).allowed
    ]
    if stopped:
        raise AssertionError(f"{source} does not reach {destination} on {protocol} {port}: {_told(stopped)} is denied")


def assert_not_reached(of: Cluster, source: str, destination: str, port: int, protocol: str = "TCP") -> None:
    """The opposite of `assert_reached`, in every family. Raises AssertionError."""
    passed = [flow for flow in _flows(of, source, destination, port, protocol) if verdict(of.snapshot, flow).allowed]
    if passed:
        raise AssertionError(f"{source} reaches {destination} on {protocol} {port}: {_told(passed)} is allowed")


def assert_opens_nothing(before: Cluster, after: Cluster, ports: Iterable[tuple[str, int]]) -> None:
    """No pod reaches another after a change that it did not reach before.

    Args:
        before: as it is.
        after: with the same pods.
        ports: (protocol, port) to try between each two of them.

    Raises:
        AssertionError: it names every path that is new.
    """
    tried = tuple(ports)
    opened = [
        f"{source[0]}/{source[1]} to {destination[0]}/{destination[1]} on {protocol} {port}"
        for source, destination in permutations(after.pods, 2)
        for protocol, port in tried
        for flow in _flows(after, "/".join(source), "/".join(destination), port, protocol)
        if verdict(after.snapshot, flow).allowed and not verdict(before.snapshot, flow).allowed
    ]
    if opened:
        raise AssertionError(f"this opens {', '.join(dict.fromkeys(opened))}")


def _flows(of: Cluster, source: str, destination: str, port: int, protocol: str) -> list[Flow]:
    """One for each family that both ends have."""
    flows = [
        Flow(ip_address(here), ip_address(there), _PROTOCOLS[protocol], _CLIENT_PORT, port)
        for here in _addresses(of, source)
        for there in _addresses(of, destination)
        if ip_address(here).version == ip_address(there).version
    ]
    if not flows:
        raise ValueError(f"{source} and {destination} have no family of addresses in common")
    return flows


def _addresses(of: Cluster, who: str) -> tuple[str, ...]:
    namespace, slash, name = who.partition("/")
    return of.pods[namespace, name].addresses if slash else (who,)


def _told(flows: Iterable[Flow]) -> str:
    return ", ".join(f"{flow.source} to {flow.destination}" for flow in flows)
