"""Parts of the facts: a machine, a subnet, what the network lets through, Kubernetes' settings, what runs, a wish."""

from __future__ import annotations

import enum
from typing import Annotated, Any, TypeAlias

from pydantic import BeforeValidator, Field

from muslin.net import Address, Prefix, parse_prefix
from muslin.resources.fields import (
    AddressField,
    AsNumberField,
    Bool,
    ClusterIdField,
    Int,
    InterfaceName,
    Net,
    ObjectName,
    ProtocolField,
    StringMap,
    Text,
    UniqueTuple,
    V6Address,
)
from muslin.resources.frozen import FrozenDict
from muslin.resources.part import Part

__all__ = [
    "LARGEST_MTU", "SMALLEST_MTU", "DatastoreWish", "Distribution", "ExternalReflectorFacts", "HostEndpointFacts",
    "HostPortFacts", "InterfaceFacts", "KubeProxyMode", "KubernetesFacts", "NetworkFacts", "NodeFacts", "NodeRole",
    "OverrideFacts", "Provider", "RoutableFacts", "RunningFacts", "RunningPoolFacts", "SubnetFacts", "SubnetField",
    "TopOfRackFacts",
]  # fmt: skip

SMALLEST_MTU, LARGEST_MTU = 576, 65535
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


class NodeRole(enum.Enum):
    """What a machine is for. A reflector distributes routes and carries no other pods."""

    CONTROL_PLANE = "control-plane"
    WORKER = "worker"
    REFLECTOR = "reflector"


class Distribution(enum.Enum):
    """How nodes learn which of them answers for which addresses."""

    MESH = "node-to-node mesh"
    REFLECTORS = "route reflectors"
    TOP_OF_RACK = "top-of-rack switches"
    NONE = "none"


class InterfaceFacts(Part):
    """An interface of a machine. The one with the node's address, or without any, carries what nodes exchange."""

    name: InterfaceName = Field(description="What the kernel calls it.")
    mtu: Int = Field(ge=SMALLEST_MTU, le=LARGEST_MTU, description="Its MTU in bytes.")
    address: AddressField | None = Field(default=None, description="An address of it.")


class NodeFacts(Part):
    """A machine: its name, its addresses, where it stands, what it is for."""

    name: Text = Field(description="What Kubernetes calls it.")
    address: AddressField = Field(description="Its address in the subnet: IPv4, or IPv6 where it has no other.")
    address_v6: V6Address | None = Field(default=None, description="Its IPv6 address beside IPv4, where pods get such.")
    subnet: Net | None = Field(default=None, description="Which of the subnets it stands in, to have that checked.")
    rack: Text | None = Field(default=None, description="Rack, zone or whatever else fails as a whole.")
    labels: StringMap = Field(default=FrozenDict(), description="Its labels in Kubernetes.")
    roles: UniqueTuple[NodeRole] = Field(default=(), description="What it is for; a worker where unset.")
    interfaces: tuple[InterfaceFacts, ...] = Field(default=(), description="Its interfaces and their MTU.")

    def address_of(self, version: int) -> Address | None:
        """Its address of a family."""
        return self.address if self.address.version == version else self.address_v6 if version == 6 else None

    @property
    def smallest_mtu(self) -> int | None:
        """Of the interfaces that carry what nodes exchange, bytes; None where it is not known."""
        own = (each.mtu for each in self.interfaces if each.address in (None, self.address, self.address_v6))
        return min(own, default=None)


class SubnetFacts(Part):
    """Where nodes stand, and who routes out of there."""

    cidr: Net = Field(description="The prefix that the nodes' addresses lie in.")
    mtu: Int | None = Field(
        default=None, ge=SMALLEST_MTU, le=LARGEST_MTU, description="MTU of its links in bytes; networkMTU where unset."
    )
    router: AddressField | None = Field(default=None, description="Address of the router to the other subnets.")

    def __str__(self) -> str:
        return str(self.cidr)


def _subnet(given: Any) -> Any:
    if isinstance(given, (str, Prefix)):
        return {"cidr": parse_prefix(given) if isinstance(given, str) else given}
    return given


SubnetField: TypeAlias = Annotated[SubnetFacts, BeforeValidator(_subnet)]
"""A subnet, in short just its prefix."""


class NetworkFacts(Part):
    """What the network between the nodes lets through; left out where nobody knows."""

    bgp: Bool | None = Field(default=None, description="TCP port 179 between nodes.")
    ipip: Bool | None = Field(default=None, description="IP protocol 4 between nodes.")
    vxlan: Bool | None = Field(default=None, description="UDP port 4789 between nodes.")
    wireguard: Bool | None = Field(default=None, description="UDP port 51820 between nodes, 51821 for IPv6.")
    source_destination_checks: Bool | None = Field(
        default=None, description="Whether it drops packets whose addresses are not those of the machine."
    )
    pod_addresses: Bool | None = Field(
        default=None, description="Whether packets with pods' addresses travel within a subnet at all."
    )


class KubeProxyMode(enum.Enum):
    """How Kubernetes turns a service's address into a pod's."""

    IPTABLES = "iptables"
    IPVS = "ipvs"
    NFTABLES = "nftables"
    NONE = "none"


class KubernetesFacts(Part):
    """What Kubernetes was told of the network, to compare with."""

    pod_subnets: tuple[Net, ...] = Field(default=(), description="kubeadm's podSubnet, one a family.")
    service_subnets: tuple[Net, ...] = Field(default=(), description="kubeadm's serviceSubnet, one a family.")
    api_server: AddressField | None = Field(default=None, description="Address that its API is reached by.")
    dns: tuple[AddressField, ...] = Field(default=(), description="Addresses of the cluster's DNS service.")
    kube_proxy_mode: KubeProxyMode | None = Field(
        default=None, description="kube-proxy's mode; none where something else takes its place."
    )


class TopOfRackFacts(Part):
    """A switch or router that speaks BGP with the nodes of its racks."""

    name: Text = Field(description="What the network's people call it.")
    address: AddressField = Field(description="Address that it speaks BGP from.")
    as_number: AsNumberField = Field(description="Its AS number.")
    racks: UniqueTuple[Text] = Field(description="Racks whose nodes peer with it.", min_length=1)
    node_as_number: AsNumberField | None = Field(
        default=None, description="AS number of these nodes; the cluster's where unset."
    )
    next_to_nodes: Bool = Field(
        default=False,
        description="Whether no router stands between: then packets from further away are dropped (GTSM).",
    )
    password_secret: ObjectName | None = Field(
        default=None, description="Secret with the sessions' password, under the key `password`."
    )


class ExternalReflectorFacts(Part):
    """A route reflector outside of the cluster: an agent on another machine, or a BIRD of the network's people."""

    name: Text = Field(description="What people call it.")
    address: AddressField = Field(description="Address that it speaks BGP from.")
    address_v6: V6Address | None = Field(default=None, description="Its IPv6 address, for the routes of that family.")
    as_number: AsNumberField | None = Field(default=None, description="Its AS number, which is the nodes' too.")
    rack: Text | None = Field(default=None, description="Rack, zone or whatever else fails as a whole.")
    password_secret: ObjectName | None = Field(
        default=None, description="Secret with the sessions' password, under the key `password`."
    )

    def address_of(self, version: int) -> Address | None:
        """Its address of a family."""
        return self.address if self.address.version == version else self.address_v6 if version == 6 else None


class RoutableFacts(Part):
    """What the network outside reaches by its own address."""

    pods: Net | None = Field(default=None, description="Range for pods on nodes with the label network-type: routable.")
    cluster_ips: Bool = Field(default=False, description="Whether the services' own addresses are.")
    external_ips: tuple[Net, ...] = Field(default=(), description="Ranges of services' external addresses.")
    load_balancer_ips: tuple[Net, ...] = Field(default=(), description="Ranges of load balancers' addresses.")

    @property
    def services(self) -> bool:
        """Whether any address of a service is announced."""
        return bool(self.cluster_ips or self.external_ips or self.load_balancer_ips)


class HostPortFacts(Part):
    """A port of the machines themselves that is open."""

    protocol: ProtocolField = Field(description="TCP, UDP or SCTP.")
    port: Int = Field(ge=1, le=65535, description="The port.")
    sources: tuple[Net, ...] = Field(default=(), description="Who may come; everybody where unset.")


class HostEndpointFacts(Part):
    """Machines behind policy: who still gets in."""

    operators: tuple[Net, ...] = Field(default=(), description="Ranges that operators reach the machines from.")
    interface: InterfaceName | None = Field(default=None, description="One of each node; all of them where unset.")
    ssh_port: Int = Field(default=22, ge=1, le=65535, description="Where the machines' SSH listens.")
    api_port: Int = Field(default=6443, ge=1, le=65535, description="Where Kubernetes' API server listens.")
    open: tuple[HostPortFacts, ...] = Field(default=(), description="What else is open, such as an ingress controller.")


class RunningPoolFacts(Part):
    """A pool that runs."""

    name: ObjectName = Field(description="Its name.")
    cidr: Net = Field(description="Its range.")
    block_size: Int | None = Field(
        default=None, ge=20, le=128, description="Length of its blocks; the rule's if unset."
    )
    encapsulation: Text | None = Field(
        default=None, description="As `muslin explain` calls it; the rule's where unset."
    )


class RunningFacts(Part):
    """What a cluster that runs already has; nothing where it is new. What is left out is taken for as decided."""

    encapsulation: Text | None = Field(default=None, description="As `muslin explain` calls it.")
    pod_range: Net | None = Field(default=None, description="Range of its pool.")
    block_size: Int | None = Field(default=None, ge=20, le=32, description="Length of its pool's blocks.")
    pools: tuple[RunningPoolFacts, ...] = Field(
        default=(),
        description="All of its pools, where they are not one of the usual name; instead of the three above.",
    )
    as_number: AsNumberField | None = Field(default=None, description="Its AS number.")
    mtu: Int | None = Field(default=None, ge=SMALLEST_MTU, le=LARGEST_MTU, description="MTU of its pods, bytes.")
    route_distribution: Distribution | None = Field(default=None, description="How its routes are distributed.")
    reflectors: UniqueTuple[Text] = Field(default=(), description="Names of the nodes that reflect.")
    cluster_id: ClusterIdField | None = Field(default=None, description="Id that they have.")


class OverrideFacts(Part):
    """Another answer than the rule's to one question, and who must know why."""

    decision: Text = Field(description="The question, as `muslin explain` calls it.")
    chosen: Text = Field(description="The answer.")
    reason: Text = Field(description="Why; it is recorded with the decision.", min_length=1)
