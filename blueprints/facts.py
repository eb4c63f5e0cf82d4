"""What a person knows of a cluster before anything is decided: nodes, network, limits, wishes.

A fact that is left out is unknown; what a blueprint assumes then, its decisions say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final, Literal, Self

from pydantic import Field, ValidationError, model_validator

from blueprints.fact_parts import (
    LARGEST_MTU,
    SMALLEST_MTU,
    DatastoreWish,
    ExternalReflectorFacts,
    HostEndpointFacts,
    KubernetesFacts,
    NetworkFacts,
    NodeFacts,
    OverrideFacts,
    Provider,
    RoutableFacts,
    RunningFacts,
    SubnetFacts,
    SubnetField,
    TopOfRackFacts,
)
from blueprints.fact_rules import FACT_RULES
from muslin.errors import BadInput
from muslin.net import Prefix
from muslin.resources.fields import AsNumberField, Bool, ClusterIdField, Int, Net, Text, UniqueTuple
from muslin.resources.part import Part
from muslin.resources.places import Places
from muslin.resources.problems import problems_of
from muslin.resources.validation import ValidationRule

__all__ = ["API_VERSION", "KIND", "Facts", "load", "load_as_told"]

API_VERSION = "blueprints.muslin/v1alpha1"
KIND = "Cluster"


class Facts(Part):
    """A cluster as its owner describes it: facts and wishes, no decisions."""

    RULES: ClassVar[tuple[ValidationRule, ...]] = FACT_RULES

    api_version: Literal["blueprints.muslin/v1alpha1"] = Field(description="Version of this description.")
    kind: Literal["Cluster"] = Field(description="What is described.")
    name: Text = Field(description="Name of the cluster.")
    blueprint: Text | None = Field(default=None, description="Which blueprint decides, such as single_subnet.")
    nodes: tuple[NodeFacts, ...] = Field(description="Machines that exist today.")
    subnets: tuple[SubnetField, ...] = Field(description="Prefixes that the nodes' addresses lie in.")
    network_mtu: Int | None = Field(
        default=None, ge=SMALLEST_MTU, le=LARGEST_MTU, description="MTU of the links between the nodes, bytes."
    )
    provider: Provider = Field(default=Provider.OTHER, description="Whose network it is.")
    network: NetworkFacts = Field(default=NetworkFacts(), description="What it lets through between nodes.")
    pod_range: Net | None = Field(default=None, description="IPv4 prefix for pods, not used by anybody else.")
    pod_range_v6: Net | None = Field(
        default=None, description="IPv6 prefix for pods, where they get such addresses; alone in a cluster of IPv6."
    )
    service_ranges: tuple[Net, ...] = Field(default=(), description="Prefixes of Kubernetes' services, one a family.")
    nat_outgoing: Bool = Field(default=True, description="Whether pods leave their range with their node's address.")
    wireguard: Bool = Field(default=False, description="Whether packets between nodes are to be encrypted.")
    planned_nodes: Int | None = Field(
        default=None, ge=1, le=100_000, description="How many machines it may grow to; today's number where unset."
    )
    pods_per_node: Int | None = Field(
        default=None, ge=1, le=65_536, description="How many pods a node may carry: Kubernetes' maxPods."
    )
    as_number: AsNumberField | None = Field(default=None, description="The AS number that the network's owner gave.")
    cluster_id: ClusterIdField | None = Field(
        default=None, description="Id that the route reflectors share (RFC 4456); 1.0.0.1 where unset."
    )
    datastore: DatastoreWish | None = Field(default=None, description="Where resources are kept.")
    etcd_is_the_clusters: Bool | None = Field(
        default=None, description="Whether the etcd that is wished for is the one of Kubernetes itself."
    )
    etcd_endpoints: UniqueTuple[Text] = Field(
        default=(), description="URLs of the etcd that is wished for, such as https://192.0.2.10:2379."
    )
    kubernetes: KubernetesFacts = Field(default=KubernetesFacts(), description="What Kubernetes was told.")
    top_of_rack: tuple[TopOfRackFacts, ...] = Field(default=(), description="Switches that speak BGP with nodes.")
    reflectors_per_rack: Bool = Field(
        default=False, description="Whether each rack has reflectors of its own; for nodes that reach only these."
    )
    external_reflectors: tuple[ExternalReflectorFacts, ...] = Field(
        default=(), description="Route reflectors outside of the cluster, instead of nodes that reflect."
    )
    routable: RoutableFacts = Field(default=RoutableFacts(), description="What the outside reaches by its own address.")
    starting_policies: UniqueTuple[Text] = Field(
        default=(), description="Namespaces that get a policy to start from: within itself, and DNS."
    )
    host_endpoints: HostEndpointFacts | None = Field(
        default=None, description="Set to put the machines themselves behind policy."
    )
    running: RunningFacts | None = Field(default=None, description="What runs already, where something does.")
    overrides: tuple[OverrideFacts, ...] = Field(default=(), description="Other answers than the rules', with reasons.")

    @property
    def size(self) -> int:
        """Nodes to plan for: what it may grow to, never less than there are."""
        return max(self.planned_nodes or 0, len(self.nodes))

    @property
    def families(self) -> tuple[int, ...]:
        """IP versions of pods' addresses."""
        given = ((4, self.pod_range), (6, self.pod_range_v6))
        return tuple(version for version, prefix in given if prefix is not None)

    @property
    def first_family(self) -> int:
        """The version whose addresses name nodes and subnets where one is enough: IPv4, if there is any."""
        return 6 if self.families == (6,) else 4

    @property
    def services(self) -> tuple[Prefix, ...]:
        """The ranges of services, as given or as Kubernetes was told."""
        return self.service_ranges or self.kubernetes.service_subnets

    def pod_range_of(self, version: int) -> Prefix | None:
        """The pods' range of a family."""
        return self.pod_range if version == 4 else self.pod_range_v6

    def subnets_of(self, version: int) -> tuple[SubnetFacts, ...]:
        """The subnets of one family."""
        return tuple(each for each in self.subnets if each.cidr.version == version)

    def subnet_of(self, node: NodeFacts, version: int | None = None) -> SubnetFacts | None:
        """Where a node stands, in the first family if none is given; the narrowest where subnets lie in each other."""
        chosen = version or self.first_family
        address = node.address_of(chosen)
        holding = [each for each in self.subnets_of(chosen) if address is not None and address in each.cidr]
        return max(holding, key=lambda each: each.cidr.prefixlen, default=None)

    def mtus(self) -> Iterator[tuple[str, int]]:
        """(Which hop, its MTU in bytes) of everything that a packet between two nodes may pass."""
        for index, subnet in enumerate(self.subnets):
            if subnet.mtu is not None:
                yield f"subnets[{index}].mtu ({subnet.cidr})", subnet.mtu
        if self.network_mtu is not None:
            yield "networkMTU", self.network_mtu
        for node in self.nodes:
            if node.smallest_mtu is not None:
                yield f"interfaces of {node.name}", node.smallest_mtu


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


class _AsTold(Facts):
    """Facts that may contradict each other, for whoever wants to know what else speaks against them."""

    @model_validator(mode="after")
    def _keep_rules(self) -> Self:
        return self


_NEEDED: Final = frozenset({"not-empty", "mtu-known", "families"})
"""Rules without which nothing can be decided."""


def load_as_told(value: Any) -> Facts | None:
    """Facts that contradict each other, as they are told; None where they are no facts, or not enough to decide."""
    whole = dict(value) if isinstance(value, Mapping) else value
    try:
        told = _AsTold.model_validate(whole, by_alias=True, by_name=False)
    except ValidationError:
        return None
    broken = {rule.name for rule in Facts.RULES if rule.name in _NEEDED and any(True for _ in rule.find(told))}
    return None if broken else told
