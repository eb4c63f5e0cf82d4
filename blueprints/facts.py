"""What a person knows of a cluster before anything is decided: nodes, network, limits, wishes.

A fact that is left out is unknown; what a blueprint assumes then, its decisions say.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field, ValidationError

from muslin.errors import BadInput
from muslin.resources.base import SUBDOMAIN_NAME
from muslin.resources.fields import AddressField, AsNumberField, Bool, Int, Net, StringMap, Text
from muslin.resources.frozen import FrozenDict
from muslin.resources.part import Part
from muslin.resources.places import Places
from muslin.resources.problems import problems_of
from muslin.resources.validation import Breach, ValidationRule, go

__all__ = ["API_VERSION", "DatastoreWish", "Facts", "NetworkFacts", "NodeFacts", "Provider", "load"]

API_VERSION = "blueprints.muslin/v1alpha1"

_SMALLEST_MTU, _LARGEST_MTU = 576, 65535
"""What every IPv4 host must receive (RFC 791 section 3.1), and the most that an IPv4 packet can be."""


class Provider(enum.Enum):
    """Whose network the nodes stand in; what is known of it fills facts that are left out."""

    BARE_METAL = "bare-metal"
    VSPHERE = "vsphere"
    OPENSTACK = "openstack"
    AWS = "aws"
    AZURE = "azure"
    GCP = "gcp"
    OTHER = "other"


class DatastoreWish(enum.Enum):
    """Where resources shall be kept."""

    KUBERNETES = "kubernetes"
    ETCD = "etcd"
    EMBEDDED = "embedded"


class NodeFacts(Part):
    """A machine: its name, its address in the subnet, its labels."""

    name: Text
    address: AddressField
    labels: StringMap = FrozenDict()


class NetworkFacts(Part):
    """What the network between the nodes lets through; None where nobody knows.

    Attributes:
        bgp: TCP port 179 between nodes.
        ipip: IP protocol 4 between nodes.
        vxlan: UDP port 4789 between nodes.
        source_destination_checks: whether it drops packets whose addresses are not those of the machine.
        pod_addresses: whether packets with pods' addresses travel within the subnet at all.
    """

    bgp: Bool | None = None
    ipip: Bool | None = None
    vxlan: Bool | None = None
    source_destination_checks: Bool | None = None
    pod_addresses: Bool | None = None


def _bad_names(facts: Facts) -> Iterator[Breach]:
    if not SUBDOMAIN_NAME.allows(facts.name):
        yield Breach(f"{facts.name!r} can't be the name of a cluster", ("name",))
    for index, node in enumerate(facts.nodes):
        if not SUBDOMAIN_NAME.allows(node.name):
            yield Breach(f"{node.name!r} can't be the name of a node", ("nodes", index, "name"))


def _none_given(facts: Facts) -> Iterator[Breach]:
    if not facts.nodes:
        yield Breach("the cluster has no nodes", ("nodes",))
    if not facts.subnets:
        yield Breach("the nodes' subnet is not given", ("subnets",))


def _twice(values: Sequence[object]) -> Iterator[int]:
    seen: set[object] = set()
    for index, value in enumerate(values):
        if value in seen:
            yield index
        seen.add(value)


def _equal_nodes(facts: Facts) -> Iterator[Breach]:
    for index in _twice([node.name for node in facts.nodes]):
        yield Breach(f"two nodes are named {facts.nodes[index].name!r}", ("nodes", index, "name"))
    for index in _twice([node.address for node in facts.nodes]):
        yield Breach(f"two nodes have the address {facts.nodes[index].address}", ("nodes", index, "address"))


class Facts(Part):
    """A cluster as its owner describes it.

    Attributes:
        nodes: machines that exist today.
        subnets: prefixes that the nodes' addresses lie in.
        network_mtu: of the links between the nodes, bytes.
        planned_nodes: how many machines it may grow to; today's number where unset.
        pod_range: prefix for pods, not used by anybody else.
        nat_outgoing: whether pods leave the pod range with their node's address.
        as_number: of the cluster, if the network's owner gave one.
        etcd_is_the_clusters: whether the etcd that is wished for is the one of Kubernetes itself.
    """

    RULES: ClassVar[tuple[ValidationRule, ...]] = (
        go("names", "names have a form", _bad_names, fix="use lower case letters, digits, '-' and '.'"),
        go("not-empty", "there is a node and a subnet", _none_given, fix="add at least one"),
        go("nodes-differ", "names and addresses of nodes are unique", _equal_nodes, fix="give each node its own"),
    )

    api_version: Literal["blueprints.muslin/v1alpha1"]
    kind: Literal["Cluster"]
    name: Text
    blueprint: Text | None = None
    nodes: tuple[NodeFacts, ...]
    subnets: tuple[Net, ...]
    network_mtu: Int = Field(ge=_SMALLEST_MTU, le=_LARGEST_MTU)
    provider: Provider = Provider.OTHER
    network: NetworkFacts = NetworkFacts()
    pod_range: Net
    nat_outgoing: Bool = True
    planned_nodes: Int | None = Field(default=None, ge=1, le=100_000)
    as_number: AsNumberField | None = None
    datastore: DatastoreWish | None = None
    etcd_is_the_clusters: Bool | None = None

    @property
    def size(self) -> int:
        """Nodes to plan for: what it may grow to, never less than there are."""
        return max(self.planned_nodes or 0, len(self.nodes))


def load(value: Any, places: Places | None = None, file: str | None = None) -> Facts:
    """Facts from a JSON-like mapping, as a YAML reader gives it.

    Args:
        value: the whole document.
        places: where its values stand, if known.
        file: name to show.

    Raises:
        BadInput: with every problem of the document.
    """
    try:
        return Facts.model_validate(dict(value) if isinstance(value, Mapping) else value, by_alias=True, by_name=False)
    except ValidationError as error:
        raise BadInput(problems_of(error, Facts, places, file)) from None
