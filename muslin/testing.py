"""Assertions for people's own blueprints and files: what a set of resources means, asked in a test.

Pure but for `files`, which reads a folder as the reconciler reads a commit. What resources mean is `muslin.semantics`'
business; a failed assertion says what is and what was meant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from itertools import permutations
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from blueprints.decision import Blueprint
from blueprints.facts import Facts
from blueprints.musts import Must, Refusal
from blueprints.transitions import transition
from muslin import resources
from muslin.errors import BadInput
from muslin.resources.base import Resource
from muslin.resources.ip_pool import IPPool
from muslin.resources.node import Node
from muslin.resources.profile import Profile
from muslin.resources.workload_endpoint import WorkloadEndpoint
from muslin.semantics.mtu import node_pod_mtu
from muslin.semantics.routes import encapsulation, pool_of
from muslin.semantics.sessions import sessions
from muslin.semantics.snapshot import Snapshot
from muslin.semantics.verdict import Flow, verdict
from reconciler.effect.paths import traffic_change
from reconciler.local import read_folder

__all__ = [
    "Cluster", "Pod", "assert_closes_no_path", "assert_decided", "assert_encapsulation", "assert_not_reached",
    "assert_opens_no_path", "assert_opens_nothing", "assert_pod_mtu", "assert_reached", "assert_reached_by",
    "assert_refused", "assert_sessions", "assert_stages", "cluster", "files", "who_reaches",
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


def who_reaches(
    of: Cluster, destination: str, port: int, protocol: str = "TCP", outside: Iterable[str] = ()
) -> frozenset[str]:
    """NAMESPACE/NAME of every pod, and each of the addresses outside, that reaches a pod or an address.

    Args:
        of: the cluster.
        destination: NAMESPACE/NAME of a pod, or an address.
        port: of the destination.
        protocol: TCP, UDP or SCTP.
        outside: addresses that are asked about beside the pods.
    """
    everybody = (*("/".join(each) for each in of.pods), *outside)
    return frozenset(
        source
        for source in everybody
        if source != destination
        and any(verdict(of.snapshot, flow).allowed for flow in _common(of, source, destination, port, protocol))
    )


def assert_reached_by(
    of: Cluster,
    destination: str,
    port: int,
    sources: Iterable[str],
    *,
    protocol: str = "TCP",
    outside: Iterable[str] = (),
) -> None:
    """These and nobody else reach it; `outside` as for `who_reaches`. Raises AssertionError, which names the rest."""
    found, meant = who_reaches(of, destination, port, protocol, outside), frozenset(sources)
    told = [f"{each} does not" for each in sorted(meant - found)] + [f"{each} does" for each in sorted(found - meant)]
    if told:
        raise AssertionError(f"not these reach {destination} on {protocol} {port}: {', '.join(told)}")


def assert_opens_nothing(
    before: Cluster, after: Cluster, ports: Iterable[tuple[str, int]], outside: Iterable[str] = ()
) -> None:
    """Nobody reaches anybody after a change whom they did not reach before.

    Args:
        before: as it is.
        after: with the same pods.
        ports: (protocol, port) to try between each two of them.
        outside: addresses that are tried to and from each pod as well.

    Raises:
        AssertionError: it names every path that is new.
    """
    tried, others = tuple(ports), tuple(outside)
    pods = ["/".join(each) for each in after.pods]
    pairs = [
        *permutations(pods, 2),
        *((a, b) for pod in pods for other in others for a, b in permutations((pod, other))),
    ]
    opened = [
        f"{source} to {destination} on {protocol} {port}"
        for source, destination in pairs
        for protocol, port in tried
        for flow in _common(after, source, destination, port, protocol)
        if verdict(after.snapshot, flow).allowed and not verdict(before.snapshot, flow).allowed
    ]
    if opened:
        raise AssertionError(f"this opens {', '.join(dict.fromkeys(opened))}")


def assert_opens_no_path(before: Cluster, after: Cluster) -> None:
    """As `assert_opens_nothing`, of all ports, protocols, pods, nodes and networks: nothing is tried, all is computed.

    Raises:
        AssertionError: it names who reaches whom anew, saying what.
    """
    opened = traffic_change(before.snapshot, after.snapshot).opened
    if opened:
        raise AssertionError(f"this opens {'; '.join(map(str, opened))}")


def assert_closes_no_path(before: Cluster, after: Cluster) -> None:
    """The other half of `assert_opens_no_path`: nobody loses whom they reached before, such as a team its service.

    Raises:
        AssertionError: it names who reaches whom no more, saying what.
    """
    closed = traffic_change(before.snapshot, after.snapshot).closed
    if closed:
        raise AssertionError(f"this closes {'; '.join(map(str, closed))}")


def assert_pod_mtu(of: Cluster, node: str, network_mtu: int, expected: int) -> None:
    """How many bytes pods of a node may send at once, where its links carry `network_mtu`. Raises AssertionError."""
    actual = node_pod_mtu(of.snapshot, node, network_mtu)
    if actual != expected:
        raise AssertionError(f"pods on {node} have an MTU of {actual}, not {expected}")


def assert_decided(decided: Blueprint, decision: str, chosen: str) -> None:
    """What a blueprint answers to a question, such as `encapsulation`. Raises AssertionError with the reason."""
    found = decided.decision(decision)
    if found.chosen != chosen:
        raise AssertionError(f"{decision} is {found.chosen}, not {chosen}: {found.rule}")


def assert_refused(decide: Callable[[], object], must: Must) -> None:
    """A blueprint says no, because of this must.

    Args:
        decide: asks it, as `lambda: office(facts)`.
        must: which of them.

    Raises:
        AssertionError: it says yes, or no for other reasons, which are named.
    """
    try:
        decide()
    except BadInput as refused:
        found = [each.must for each in refused.problems if isinstance(each, Refusal)]
        if must in found:
            return
        raise AssertionError(f"refused, but not because {must.value}: {refused}") from None
    raise AssertionError(f"not refused; {must.value}")


def assert_stages(before: Blueprint | Iterable[Resource], after: Blueprint | Iterable[Resource], count: int) -> None:
    """In how many stages a running cluster gets from one state to another; 0 where one push may do it.

    Raises:
        AssertionError: it is another number, or can't be done while the cluster runs.
    """
    found = transition(*(each.resources if isinstance(each, Blueprint) else tuple(each) for each in (before, after)))
    if found.refused:
        raise AssertionError(f"this can't be done live: {'; '.join(each.what for each in found.refused)}")
    stages = [stage.name for each in found.procedures for stage in each.stages]
    if len(stages) != count:
        raise AssertionError(f"this takes {len(stages)} stages, not {count}: {', '.join(stages) or 'none'}")


def _common(of: Cluster, source: str, destination: str, port: int, protocol: str) -> list[Flow]:
    """As `_flows`; none where the two have no family in common, and so no way to each other."""
    try:
        return _flows(of, source, destination, port, protocol)
    except ValueError:
        return []


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
