"""HostEndpoint: an interface of a machine itself, so that policy applies to it."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from muslin.resources.base import Resource
from muslin.resources.endpoint_checks import HOST_RULES, PORT_RULES
from muslin.resources.fields import AddressField, Int, ListedName, ObjectName, ProtocolField, Text, UniqueTuple
from muslin.resources.part import Part
from muslin.resources.validation import ValidationRule

__all__ = ["EndpointPort", "HostEndpoint", "HostEndpointSpec"]


class EndpointPort(Part):
    """A named port of a host."""

    RULES: ClassVar[tuple[ValidationRule, ...]] = PORT_RULES

    name: Text
    protocol: ProtocolField
    port: Int = Field(ge=1, le=65535)


class HostEndpointSpec(Part):
    """Which interfaces of which node; `interface_name` `*` means all of them."""

    RULES: ClassVar[tuple[ValidationRule, ...]] = HOST_RULES

    node: ObjectName | None = None
    interface_name: Text | None = None
    expected_ips: UniqueTuple[AddressField] = ()
    profiles: UniqueTuple[ListedName] = ()
    ports: tuple[EndpointPort, ...] = ()


class HostEndpoint(Resource):
    """An interface of a machine; cluster-scoped."""

    kind: Literal["HostEndpoint"] = "HostEndpoint"
    spec: HostEndpointSpec
