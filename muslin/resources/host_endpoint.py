"""HostEndpoint: an interface of a machine itself, so that policy applies to it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from muslin.resources.base import Resource
from muslin.resources.fields import AddressField, Int, ProtocolField, Text, text
from muslin.resources.part import Part

__all__ = ["EndpointPort", "HostEndpoint", "HostEndpointSpec"]


class EndpointPort(Part):
    """A named port of a host."""

    name: Text
    protocol: ProtocolField
    port: Int = Field(ge=1, le=65535)


class HostEndpointSpec(Part):
    """Which interfaces of which node; `interface_name` `*` means all of them."""

    node: text(longest=253) | None = None  # type: ignore[valid-type]
    interface_name: Text | None = None
    expected_ips: tuple[AddressField, ...] = ()
    profiles: tuple[Text, ...] = ()
    ports: tuple[EndpointPort, ...] = ()


class HostEndpoint(Resource):
    """An interface of a machine; cluster-scoped."""

    kind: Literal["HostEndpoint"] = "HostEndpoint"
    spec: HostEndpointSpec = HostEndpointSpec()
