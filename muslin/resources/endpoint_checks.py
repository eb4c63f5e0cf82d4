"""Rules over endpoints: of hosts and of workloads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from muslin.resources.names import CONTAINER_ID
from muslin.resources.validation import Breach, ValidationRule, cel, go

if TYPE_CHECKING:
    from muslin.resources.host_endpoint import EndpointPort, HostEndpointSpec
    from muslin.resources.workload_endpoint import WorkloadEndpointPort, WorkloadEndpointSpec

__all__ = ["HOST_RULES", "PORT_RULES", "WORKLOAD_PORT_RULES", "WORKLOAD_RULES"]

_INTERFACE = re.compile(r"\*|[a-zA-Z0-9_.-]{1,15}")
_CONTAINER = re.compile(CONTAINER_ID)
_PORT_NAME = re.compile(r"(?=.*[a-z])[a-z0-9]+(-[a-z0-9]+)*")
_LONGEST_PORT_NAME: Final = 15


def _host_interface(spec: HostEndpointSpec) -> Iterator[Breach]:
    if spec.interface_name and not _INTERFACE.fullmatch(spec.interface_name):
        yield Breach(f"{spec.interface_name!r} is not an interface name", ("interfaceName",))


HOST_RULES: Final[tuple[ValidationRule, ...]] = (
    cel(
        "interface-or-addresses",
        "(has(self.interfaceName) && size(self.interfaceName) > 0) || "
        "(has(self.expectedIPs) && size(self.expectedIPs) > 0)",
        "at least one of interfaceName or expectedIPs must be specified",
        lambda spec: bool(spec.interface_name or spec.expected_ips),
        path=("interfaceName",),
        fix="set interfaceName, with '*' for all interfaces, or expectedIPs",
    ),
    cel(
        "node",
        "has(self.node) && size(self.node) > 0",
        "node must be specified",
        lambda spec: bool(spec.node),
        path=("node",),
        fix="set node to the name of the machine",
    ),
    go("interface", "interfaceName is '*' or a name", _host_interface, fix="use '*', or at most 15 characters"),
)


def _port(port: EndpointPort | WorkloadEndpointPort) -> Iterator[Breach]:
    if not port.protocol.has_ports:
        yield Breach(f"protocol {port.protocol} has no ports", ("protocol",), "use TCP, UDP or SCTP")
    if port.name and not (len(port.name) <= _LONGEST_PORT_NAME and _PORT_NAME.fullmatch(port.name)):
        yield Breach(f"{port.name!r} is not a port name", ("name",))


def _host_port_name(port: EndpointPort) -> Iterator[Breach]:
    if not port.name:
        yield Breach("the port has no name", ("name",), "set name")


def _workload_port_name(port: WorkloadEndpointPort) -> Iterator[Breach]:
    if not port.name and not port.host_port:
        yield Breach(
            "WorkloadEndpointPort name must not be empty if no HostPort is specified", ("name",), "set name or hostPort"
        )


_PORT = go(
    "port",
    "ports have a protocol with ports and a plain name",
    _port,
    fix="use at most 15 lower case letters, digits and '-'",
)

PORT_RULES: Final[tuple[ValidationRule, ...]] = (
    _PORT,
    go("port-name", "ports of hosts have names", _host_port_name, fix="set name"),
)
WORKLOAD_PORT_RULES: Final[tuple[ValidationRule, ...]] = (
    _PORT,
    go("port-name", "ports have a name or a host port", _workload_port_name, fix="set name or hostPort"),
)


def _workload_names(spec: WorkloadEndpointSpec) -> Iterator[Breach]:
    if not spec.interface_name:
        yield Breach("the endpoint has no interface name", ("interfaceName",), "set interfaceName")
    if spec.container_id and not _CONTAINER.fullmatch(spec.container_id):
        yield Breach(f"{spec.container_id!r} is not a container id", ("containerID",), "use letters, digits and '-'")


def _addresses(spec: WorkloadEndpointSpec) -> Iterator[Breach]:
    for index, net in enumerate(spec.ip_networks):
        if net.prefixlen != net.max_prefixlen:
            yield Breach("IP network contains multiple addresses", ("ipNetworks", index), "write a /32 or /128")
    for index, nat in enumerate(spec.ip_nats):
        if nat.internal_ip.version != nat.external_ip.version:
            yield Breach("mismatched IP versions", ("ipNATs", index, "externalIP"), "use two addresses of one version")
        elif not any(nat.internal_ip in net for net in spec.ip_networks):
            yield Breach(
                "NAT is not in the endpoint networks",
                ("ipNATs", index, "internalIP"),
                "use one of the endpoint's own addresses",
            )


WORKLOAD_RULES: Final[tuple[ValidationRule, ...]] = (
    go("names", "interface and container have names", _workload_names, fix="correct the name"),
    go("addresses", "addresses are single and their own", _addresses, fix="correct the addresses"),
)
