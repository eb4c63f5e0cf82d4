"""IPPool: a range of addresses that nodes cut blocks from, and how its packets travel between nodes."""

from __future__ import annotations

import enum
from ipaddress import IPv6Address
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator

from muslin.net import Prefix
from muslin.resources.base import Resource
from muslin.resources.fields import EMPTY_IS_UNSET, Bool, Int, ListType, NetWithLength, SelectorText, Text, UniqueTuple
from muslin.resources.part import Part
from muslin.resources.pool_checks import POOL_CHANGE_RULES, POOL_RULES
from muslin.resources.validation import ChangeRule, ValidationRule
from muslin.resources.written import written_text

__all__ = [
    "AllowedUse",
    "AssignmentMode",
    "EncapsulationMode",
    "IPPool",
    "IPPoolCondition",
    "IPPoolSpec",
    "IPPoolStatus",
]


class EncapsulationMode(enum.Enum):
    """When packets between nodes are encapsulated."""

    NEVER = "Never"
    ALWAYS = "Always"
    CROSS_SUBNET = "CrossSubnet"


class AllowedUse(enum.Enum):
    """What addresses of a pool may be used for."""

    WORKLOAD = "Workload"
    TUNNEL = "Tunnel"
    LOAD_BALANCER = "LoadBalancer"


class AssignmentMode(enum.Enum):
    """Whether addresses are given out unasked; `MANUAL` only to those who name the pool."""

    AUTOMATIC = "Automatic"
    MANUAL = "Manual"


def _as_servers_read(cidr: Prefix) -> Prefix:
    """Kubernetes' rules can't be asked about a prefix that they don't read, so a pool of one is refused everywhere."""
    address, length = cidr.network_address, written_text(cidr).rpartition("/")[2]
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        raise ValueError(f"IPv4-mapped IPv6 address {written_text(cidr)!r} is not allowed")
    if length != str(cidr.prefixlen):
        raise ValueError(f"{written_text(cidr)!r} is not a prefix such as 192.0.2.0/24")
    return cidr


class IPPoolSpec(Part):
    """What the operator wants of a pool."""

    RULES: ClassVar[tuple[ValidationRule, ...]] = POOL_RULES
    CHANGE_RULES: ClassVar[tuple[ChangeRule, ...]] = POOL_CHANGE_RULES

    cidr: Annotated[NetWithLength, AfterValidator(_as_servers_read)]
    block_size: Int | None = None
    ipip_mode: Annotated[EncapsulationMode | None, EMPTY_IS_UNSET] = None
    vxlan_mode: Annotated[EncapsulationMode | None, EMPTY_IS_UNSET] = None
    nat_outgoing: Bool = False
    disabled: Bool = False
    disable_bgp_export: Bool = False
    node_selector: SelectorText | None = None
    namespace_selector: SelectorText | None = None
    allowed_uses: UniqueTuple[AllowedUse] = ()
    assignment_mode: AssignmentMode | None = None

    @property
    def effective_block_size(self) -> int:
        """Length of the prefixes of blocks: 26 or 122 where unset."""
        if self.block_size:
            return self.block_size
        return 26 if self.cidr.version == 4 else 122

    @property
    def effective_ipip_mode(self) -> EncapsulationMode:
        """IPIP mode, `NEVER` where unset."""
        return self.ipip_mode or EncapsulationMode.NEVER

    @property
    def effective_vxlan_mode(self) -> EncapsulationMode:
        """VXLAN mode, `NEVER` where unset."""
        return self.vxlan_mode or EncapsulationMode.NEVER

    @property
    def effective_node_selector(self) -> str:
        """Nodes that may use the pool, `all()` where unset."""
        return self.node_selector or "all()"

    @property
    def effective_allowed_uses(self) -> tuple[AllowedUse, ...]:
        """Uses, workloads and tunnels where unset."""
        return self.allowed_uses or (AllowedUse.WORKLOAD, AllowedUse.TUNNEL)

    @property
    def effective_assignment_mode(self) -> AssignmentMode:
        """Assignment mode, `AUTOMATIC` where unset."""
        return self.assignment_mode or AssignmentMode.AUTOMATIC


class IPPoolCondition(Part):
    """One condition that a controller reports; `Allocatable` is the known type."""

    type: Text
    status: Text
    reason: Text | None = None
    message: Text | None = None
    last_transition_time: Text | None = None
    observed_generation: Int | None = None


class IPPoolStatus(Part):
    """What controllers report of a pool."""

    conditions: Annotated[tuple[IPPoolCondition, ...], ListType.BY_TYPE] = ()


class IPPool(Resource):
    """A pool of addresses; cluster-scoped."""

    kind: Literal["IPPool"] = "IPPool"
    spec: IPPoolSpec
    status: IPPoolStatus | None = None
