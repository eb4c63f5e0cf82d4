"""WorkloadEndpoint: the network end of one workload, for Kubernetes of a pod."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from muslin.resources.base import SUBDOMAIN_NAME, NameForm, Resource
from muslin.resources.endpoint_checks import WORKLOAD_PORT_RULES, WORKLOAD_RULES
from muslin.resources.fields import (
    EMPTY_IS_UNSET,
    AddressField,
    AnyJson,
    Int,
    InterfaceName,
    ListedName,
    LooseNet,
    MacField,
    Net,
    ObjectName,
    ProtocolField,
    Text,
    V4Address,
    V6Address,
)
from muslin.resources.names import SUBDOMAIN
from muslin.resources.part import Part
from muslin.resources.validation import ValidationRule

__all__ = ["IPNAT", "WorkloadEndpoint", "WorkloadEndpointPort", "WorkloadEndpointSpec"]


ENDPOINT_NAME: Final = NameForm(SUBDOMAIN, SUBDOMAIN_NAME.sentence, 1024)
"""A node's and a pod's name, each up to 253 octets of which some are doubled: longer than other names may be."""


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
    profiles: tuple[ListedName, ...] = ()
    interface_name: InterfaceName | None = None
    mac: Annotated[MacField | None, EMPTY_IS_UNSET] = None
    ports: tuple[WorkloadEndpointPort, ...] = ()
    allow_spoofed_source_prefixes: tuple[LooseNet, ...] = ()
    qos_controls: AnyJson = None


class WorkloadEndpoint(Resource):
    """The network end of a workload, in the workload's namespace."""

    NAMESPACED: ClassVar[bool] = True
    NAME_FORM: ClassVar[NameForm] = ENDPOINT_NAME

    kind: Literal["WorkloadEndpoint"] = "WorkloadEndpoint"
    spec: WorkloadEndpointSpec
