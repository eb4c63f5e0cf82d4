"""Rules over FelixConfiguration."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Final

from muslin.resources.names import LABEL
from muslin.resources.ports import NamedPort
from muslin.resources.validation import Breach, ValidationRule, cel, go

if TYPE_CHECKING:
    from muslin.resources.felix_configuration import FelixConfiguration, FelixConfigurationSpec
    from muslin.resources.felix_values import HealthTimeoutOverride

__all__ = ["FELIX_OBJECT_RULES", "FELIX_RULES", "HEALTH_RULES", "RANGE_RULES", "is_for_all_or_one"]

_REGION = re.compile(LABEL)
_LONGEST_REGION = 47
_MOST_TABLES = 0xFFFF
_HIGHEST_TABLE: Final = 0xFFFFFFFF
_REPORTER = re.compile(r"[a-zA-Z0-9_ -]+")


def _is_address(text: str | None, version: int) -> bool:
    if not text:
        return True
    try:
        return ip_address(text).version == version
    except ValueError:
        return False


def _address_rule(field: str, name: str, version: int) -> ValidationRule:
    holds: Callable[[FelixConfigurationSpec], bool] = lambda spec: _is_address(getattr(spec, name), version)  # noqa: E731
    return cel(
        f"{field}-is-ipv{version}",
        f"!has(self.{field}) || size(self.{field}) == 0 || "
        f"(isIP(self.{field}) && ip(self.{field}).family() == {version})",
        f"{field} must be a valid IPv{version} address",
        holds,
        path=(field,),
        fix="write an address without a length",
    )


def _outside_nodes(spec: FelixConfigurationSpec) -> Iterator[Breach]:
    for index, text in enumerate(spec.external_nodes_list or ()):
        try:
            version = ip_network(text, strict=False).version
        except ValueError:
            yield Breach(f"{text!r} has invalid CIDR(s)", ("externalNodesList", index))
            continue
        if version != 4:
            yield Breach(f"{text!r} has invalid IPv6 CIDR", ("externalNodesList", index))


def _region(spec: FelixConfigurationSpec) -> Iterator[Breach]:
    region = spec.openstack_region
    if region and not _REGION.fullmatch(region):
        yield Breach("must be a valid DNS label", ("openstackRegion",))
    elif region and len(region) > _LONGEST_REGION:
        yield Breach("is too long", ("openstackRegion",))


def _numbers(spec: FelixConfigurationSpec) -> Iterator[Breach]:
    for index, port in enumerate(spec.kube_node_port_ranges or ()):
        if isinstance(port, NamedPort):
            yield Breach("node port ranges should not contain named ports", ("kubeNodePortRanges", index))


def _tables(spec: FelixConfigurationSpec) -> Iterator[Breach]:
    ranges = spec.route_table_ranges or ()
    if sum(max(0, each.max - each.min + 1) for each in ranges) > _MOST_TABLES:
        yield Breach("targets too many tables", ("routeTableRanges",))
    for index, each in enumerate(ranges):
        if each.max > _HIGHEST_TABLE:
            yield Breach("max index too high", ("routeTableRanges", index, "max"), "the highest table is 4294967295")


FELIX_RULES: Final[tuple[ValidationRule, ...]] = (
    cel(
        "one-form-of-ranges",
        "!(has(self.routeTableRange) && has(self.routeTableRanges))",
        "routeTableRange and routeTableRanges cannot both be set",
        lambda spec: spec.route_table_range is None or spec.route_table_ranges is None,
        path=("routeTableRange",),
        fix="remove routeTableRange, which is deprecated",
    ),
    cel(
        "range-in-bounds",
        "!has(self.routeTableRange) || (self.routeTableRange.min >= 1 && self.routeTableRange.max <= 250 && "
        "self.routeTableRange.min <= self.routeTableRange.max)",
        "must be a range of route table indices within 1..250",
        lambda spec: (
            spec.route_table_range is None or 1 <= spec.route_table_range.min <= spec.route_table_range.max <= 250
        ),
        path=("routeTableRange",),
        fix="choose min and max from 1 to 250, min first",
    ),
    _address_rule("natOutgoingAddress", "nat_outgoing_address", 4),
    _address_rule("deviceRouteSourceAddress", "device_route_source_address", 4),
    _address_rule("deviceRouteSourceAddressIPv6", "device_route_source_address_ipv6", 6),
    go("outside-nodes", "externalNodesList holds IPv4 prefixes", _outside_nodes, fix="write an IPv4 prefix"),
    go("region", "openstackRegion is a short DNS label", _region, fix="at most 47 lower case letters, digits and '-'"),
    go("node-ports", "kubeNodePortRanges holds numbers", _numbers, fix="write a port or a range such as 30000:32767"),
    go("tables", "not too many routing tables", _tables, fix="at most 65535 tables in all ranges together"),
)

RANGE_RULES: Final[tuple[ValidationRule, ...]] = (
    cel(
        "min-not-over-max",
        "self.min <= self.max",
        "min must not be greater than max",
        lambda tables: tables.min <= tables.max,
        path=("min",),
        fix="exchange min and max",
    ),
    cel(
        "min-positive",
        "self.min >= 1",
        "min must be >= 1",
        lambda tables: tables.min >= 1,
        path=("min",),
        fix="begin at 1 or above",
    ),
)


def _reporter(override: HealthTimeoutOverride) -> Iterator[Breach]:
    if _REPORTER.fullmatch(override.name) is None:
        yield Breach(f"name should match regex ^{_REPORTER.pattern}$", ("name",))
    if override.timeout.nanoseconds < 0:
        yield Breach("Timeout should not be negative", ("timeout",), "write a time such as 90s")


HEALTH_RULES: Final[tuple[ValidationRule, ...]] = (
    go(
        "reporter",
        "a reporter has a name, its timeout is not negative",
        _reporter,
        fix="write the reporter's name as the agent's log has it",
    ),
)


def is_for_all_or_one(configuration: FelixConfiguration) -> bool:
    """Whether an object is for every node or for one: its name says which, and no selector may."""
    name = configuration.metadata.name
    return name == "default" or name.startswith("node.")


FELIX_OBJECT_RULES: Final[tuple[ValidationRule, ...]] = (
    cel(
        "selector-needs-own-name",
        "!has(self.spec.nodeSelector) || size(self.spec.nodeSelector) == 0 || "
        "!(self.metadata.name == 'default' || self.metadata.name.startsWith('node.'))",
        "nodeSelector must not be set on the 'default' or per-node ('node.*') FelixConfiguration",
        lambda configuration: not configuration.spec.node_selector or not is_for_all_or_one(configuration),
        path=("spec", "nodeSelector"),
        fix="give the object another name, or remove nodeSelector",
    ),
)
