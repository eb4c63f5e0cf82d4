"""Whom the selectors of rules can mean: workloads, host endpoints and network sets, with their labels and addresses.

A selector in a rule means addresses, not objects: it matches a packet's address if any subject that has the address
has matching labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_network

from muslin.net import Address, Prefix
from muslin.resources.host_endpoint import HostEndpoint
from muslin.resources.network_sets import GlobalNetworkSet, NetworkSet
from muslin.resources.workload_endpoint import WorkloadEndpoint
from muslin.semantics.policy import inherited_labels, own_labels, profile_labels
from muslin.semantics.selector_scope import NAMESPACE_LABEL
from muslin.semantics.snapshot import Snapshot

__all__ = ["Listener", "Subject", "subjects"]


@dataclass(frozen=True, slots=True)
class Listener:
    """A port that an endpoint has given a name."""

    name: str
    protocol: int
    port: int


@dataclass(frozen=True, slots=True)
class Subject:
    """Something that a selector may match.

    Attributes:
        labels: own and inherited ones.
        prefixes: where it lives; single addresses for endpoints, networks for network sets.
        listeners: its named ports; network sets have none.
    """

    labels: Mapping[str, str]
    prefixes: tuple[Prefix, ...]
    listeners: tuple[Listener, ...] = ()

    def has(self, address: Address) -> bool:
        """Whether an address is one of its own."""
        return any(address in prefix for prefix in self.prefixes)


def subjects(snapshot: Snapshot) -> Iterator[Subject]:
    """All that selectors of rules can match, in no particular order."""
    inherited = profile_labels(snapshot)
    for workload in snapshot.all(WorkloadEndpoint):
        labels = inherited_labels(own_labels(workload), workload.spec.profiles, inherited)
        yield Subject(labels, workload.spec.ip_networks, _listeners(workload))
    for host in snapshot.all(HostEndpoint):
        labels = inherited_labels(host.metadata.labels, host.spec.profiles, inherited)
        yield Subject(labels, tuple(ip_network(each) for each in host.spec.expected_ips), _listeners(host))
    for named in snapshot.all(NetworkSet):
        namespace = named.metadata.namespace or ""
        own = {**named.metadata.labels, NAMESPACE_LABEL: namespace}
        yield Subject(inherited_labels(own, (f"kns.{namespace}",), inherited), named.spec.nets)
    for everywhere in snapshot.all(GlobalNetworkSet):
        yield Subject(everywhere.metadata.labels, everywhere.spec.nets)


def _listeners(endpoint: WorkloadEndpoint | HostEndpoint) -> tuple[Listener, ...]:
    return tuple(Listener(port.name, port.protocol.number, port.port) for port in endpoint.spec.ports if port.name)
