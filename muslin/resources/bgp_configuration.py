"""BGPConfiguration: how nodes speak BGP; `default` for all, `node.<name>` for one."""

from __future__ import annotations

import enum
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field

from muslin.net import AsNumber
from muslin.resources.base import Resource
from muslin.resources.bgp_checks import BGP_OBJECT_RULES, BGP_RULES
from muslin.resources.fields import (
    EMPTY_IS_UNSET,
    AsNumberField,
    Bool,
    DurationField,
    IgnoredInterface,
    Int,
    NetWithLength,
    ObjectName,
    Text,
    UniqueTuple,
    V4Address,
    V6Address,
    any_case,
)
from muslin.resources.part import Part
from muslin.resources.secrets import PasswordSource
from muslin.resources.validation import ValidationRule

__all__ = [
    "BGPConfiguration", "BGPConfigurationSpec", "BindMode", "Community", "PrefixAdvertisement", "ServiceAggregation",
    "ServicePrefix",
]  # fmt: skip

LogSeverity: TypeAlias = Annotated[Text, any_case("Trace", "Debug", "Info", "Warning", "Error", "Fatal")]


class BindMode(enum.Enum):
    """Which addresses the speaker listens on."""

    NONE = "None"
    NODE_IP = "NodeIP"


class ServiceAggregation(enum.Enum):
    """Whether addresses of load balancers are announced as their whole range."""

    ENABLED = "Enabled"
    DISABLED = "Disabled"


class ClusterRoutes(enum.Enum):
    """Which routes of the cluster the BGP speaker programs."""

    ENABLED = "Enabled"
    DISABLED = "Disabled"
    ENABLED_IPIP_ONLY = "EnabledIPIPOnly"
    ENABLED_NO_ENCAP_ONLY = "EnabledNoEncapOnly"


class ServicePrefix(Part):
    """A range of addresses of services; written with its length. One that is empty is none."""

    cidr: Annotated[NetWithLength | None, EMPTY_IS_UNSET] = None


class Community(Part):
    """A community with a name, for use in prefix advertisements."""

    name: Annotated[ObjectName, Field(min_length=1)]
    value: Annotated[Text, Field(max_length=40)]


class PrefixAdvertisement(Part):
    """Communities that routes within a prefix are announced with."""

    cidr: NetWithLength
    communities: tuple[Text, ...] = Field(min_length=1, max_length=50)


class BGPConfigurationSpec(Part):
    """What the operator wants of BGP."""

    RULES: ClassVar[tuple[ValidationRule, ...]] = BGP_RULES

    log_severity_screen: LogSeverity | None = None
    node_to_node_mesh_enabled: Bool | None = None
    as_number: AsNumberField | None = None
    listen_port: Int | None = Field(default=None, ge=1, le=65535)
    service_load_balancer_ips: UniqueTuple[ServicePrefix] = ()
    service_external_ips: UniqueTuple[ServicePrefix] = ()
    service_cluster_ips: UniqueTuple[ServicePrefix] = ()
    service_load_balancer_aggregation: ServiceAggregation | None = None
    communities: UniqueTuple[Community] = Field(default=(), max_length=500)
    prefix_advertisements: UniqueTuple[PrefixAdvertisement] = Field(default=(), max_length=500)
    node_mesh_password: PasswordSource | None = None
    node_mesh_max_restart_time: DurationField | None = None
    bind_mode: BindMode | None = None
    ignored_interfaces: UniqueTuple[IgnoredInterface] = ()
    local_workload_peering_ipv4: V4Address | None = Field(default=None, alias="localWorkloadPeeringIPV4")
    local_workload_peering_ipv6: V6Address | None = Field(default=None, alias="localWorkloadPeeringIPV6")
    program_cluster_routes: ClusterRoutes | None = None
    ipv4_normal_route_priority: Int | None = Field(default=None, ge=1, le=2147483646)
    ipv6_normal_route_priority: Int | None = Field(default=None, ge=1, le=2147483646)

    @property
    def effective_node_to_node_mesh_enabled(self) -> bool:
        """Whether every node peers with every other; so where unset."""
        return self.node_to_node_mesh_enabled is not False

    @property
    def effective_as_number(self) -> AsNumber:
        """AS number of nodes that name none, 64512 where unset."""
        return self.as_number or AsNumber(64512)

    @property
    def effective_listen_port(self) -> int:
        """TCP port that nodes listen on, 179 where unset."""
        return self.listen_port or 179


class BGPConfiguration(Resource):
    """Settings of BGP; cluster-scoped."""

    RULES: ClassVar[tuple[ValidationRule, ...]] = BGP_OBJECT_RULES

    kind: Literal["BGPConfiguration"] = "BGPConfiguration"
    spec: BGPConfigurationSpec = BGPConfigurationSpec()
