"""WorkloadEndpoint: the network end of one workload, for Kubernetes of a pod."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from muslin.resources.base import Resource
from muslin.resources.endpoint_checks import WORKLOAD_PORT_RULES, WORKLOAD_RULES
from muslin.resources.fields import (
    EMPTY_IS_UNSET,
    AddressField,
    AnyJson,
    Int,
    InterfaceName,
    LooseNet,
    MacField,
    Net,
    ObjectName,
    ProtocolField,
    Text,
    V4Address,
    V6Address,
)
from muslin.resources.part import Part
from muslin.resources.validation import ValidationRule

__all__ = ["IPNAT", "WorkloadEndpoint", "WorkloadEndpointPort", "WorkloadEndpointSpec"]


class IPNAT(Part):
    """A floating address: packets to the outside one go to the inside one."""

    internal_ip: AddressField
    external_ip: AddressField


class WorkloadEndpointPort(Part):
    """A port of a workload: named, or mapped to a port of the host, or both."""

    RULES: ClassVar[tuple[ValidationRule, ...]] = WORKLOAD_PORT_RULES
    ALWAYS_WRITTEN: ClassVar[frozenset[str]] = frozenset({"name", "host_port"})

    name: Text = ""
    protocol: ProtocolField
    port: Int = Field(ge=1, le=65535)
    host_port: Int = Field(default=0, ge=0, le=65535)
    host_ip: Annotated[AddressField | None, EMPTY_IS_UNSET] = None

    def to_json(self) -> dict[str, Any]:
        """Canonical JSON; the reference writes an empty `hostIP` where there is none."""
        return {"hostIP": "", **super().to_json()}


class WorkloadEndpointSpec(Part):
    """Where a workload runs, its interface and its addresses."""

    RULES: ClassVar[tuple[ValidationRule, ...]] = WORKLOAD_RULES

    orchestrator: ObjectName | None = None
    workload: ObjectName | None = None
    node: ObjectName | None = None
    container_id: Text | None = None
    pod: ObjectName | None = None
    endpoint: ObjectName | None = None
    service_account_name: ObjectName | None = None
    ip_networks: tuple[Net, ...] = ()
    ip_nats: tuple[IPNAT, ...] = ()
    ipv4_gateway: Annotated[V4Address | None, EMPTY_IS_UNSET] = None
    ipv6_gateway: Annotated[V6Address | None, EMPTY_IS_UNSET] = None
    profiles: tuple[ObjectName, ...] = ()
    interface_name: InterfaceName | None = None
    mac: Annotated[MacField | None, EMPTY_IS_UNSET] = None
    ports: tuple[WorkloadEndpointPort, ...] = ()
    allow_spoofed_source_prefixes: tuple[LooseNet, ...] = ()
    qos_controls: AnyJson = None


class WorkloadEndpoint(Resource):
    """The network end of a workload, in the workload's namespace."""

    NAMESPACED: ClassVar[bool] = True

    kind: Literal["WorkloadEndpoint"] = "WorkloadEndpoint"
    spec: WorkloadEndpointSpec
