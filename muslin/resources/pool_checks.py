"""Rules over the spec of an IPPool."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING, Final

from muslin.resources.policy_checks import global_free_in_cel, without_global
from muslin.resources.validation import ChangeRule, ValidationRule, cel

if TYPE_CHECKING:
    from muslin.resources.ip_pool import IPPoolSpec

__all__ = ["POOL_CHANGE_RULES", "POOL_RULES"]

_LINK_LOCAL_4 = IPv4Network("169.254.0.0/16")
_LINK_LOCAL_6 = IPv6Network("fe80::/10")

_BALANCES = "has(self.allowedUses) && 'LoadBalancer' in self.allowedUses"
_IPIP_ON = "has(self.ipipMode) && self.ipipMode != 'Never' && size(self.ipipMode) > 0"
_VXLAN_ON = "has(self.vxlanMode) && self.vxlanMode != 'Never' && size(self.vxlanMode) > 0"


def _uses(pool: IPPoolSpec) -> set[str]:
    return {use.value for use in pool.allowed_uses}


def _balances(pool: IPPoolSpec) -> bool:
    return "LoadBalancer" in _uses(pool)


def _ipip(pool: IPPoolSpec) -> bool:
    return pool.effective_ipip_mode.value != "Never"


def _vxlan(pool: IPPoolSpec) -> bool:
    return pool.effective_vxlan_mode.value != "Never"


def _block_size_fits(pool: IPPoolSpec) -> bool:
    smallest, largest = (20, 32) if pool.cidr.version == 4 else (116, 128)
    return pool.block_size is None or smallest <= pool.block_size <= largest


def _big_enough(pool: IPPoolSpec) -> bool:
    return pool.disabled or pool.cidr.prefixlen <= pool.effective_block_size


POOL_RULES: Final[tuple[ValidationRule, ...]] = (
    cel(
        "one-encapsulation",
        f"!(({_IPIP_ON}) && ({_VXLAN_ON}))",
        "ipipMode and vxlanMode cannot both be enabled",
        lambda pool: not (_ipip(pool) and _vxlan(pool)),
        fix="set one of them to Never",
    ),
    cel(
        "load-balancers-without-encapsulation",
        f"!({_BALANCES}) || !(({_IPIP_ON}) || ({_VXLAN_ON}))",
        "LoadBalancer IP pool cannot have IPIP or VXLAN enabled",
        lambda pool: not _balances(pool) or not (_ipip(pool) or _vxlan(pool)),
        fix="set ipipMode and vxlanMode to Never",
    ),
    cel(
        "load-balancers-alone",
        f"!({_BALANCES}) || !self.allowedUses.exists(use, use in ['Workload', 'Tunnel'])",
        "LoadBalancer cannot be combined with Workload or Tunnel allowed uses",
        lambda pool: not _balances(pool) or _uses(pool) == {"LoadBalancer"},
        path=("allowedUses",),
        fix="make a pool of its own for load balancers",
    ),
    cel(
        "no-ipip-on-ipv6",
        f"!({_IPIP_ON}) || cidr(self.cidr).ip().family() == 4",
        "IPIP is not supported on IPv6 pools",
        lambda pool: not _ipip(pool) or pool.cidr.version == 4,
        path=("ipipMode",),
        fix="use vxlanMode instead",
    ),
    cel(
        "load-balancers-are-exported",
        f"!({_BALANCES}) || !has(self.disableBGPExport) || !self.disableBGPExport",
        "LoadBalancer IP pools cannot disable BGP export",
        lambda pool: not _balances(pool) or not pool.disable_bgp_export,
        path=("disableBGPExport",),
        fix="remove disableBGPExport",
    ),
    cel(
        "load-balancers-on-all-nodes",
        f"!({_BALANCES}) || !has(self.nodeSelector) || self.nodeSelector in ['', 'all()']",
        "IP Pool with AllowedUse LoadBalancer must have nodeSelector set to all()",
        lambda pool: not _balances(pool) or pool.effective_node_selector == "all()",
        path=("nodeSelector",),
        fix="set nodeSelector to all()",
    ),
    cel(
        "tunnels-have-no-namespace",
        "!has(self.allowedUses) || !('Tunnel' in self.allowedUses) || !has(self.namespaceSelector) || "
        "size(self.namespaceSelector) == 0",
        "IP Pool with AllowedUse Tunnel cannot have namespaceSelector",
        lambda pool: "Tunnel" not in _uses(pool) or not pool.namespace_selector,
        path=("namespaceSelector",),
        fix="set allowedUses to [Workload], or remove namespaceSelector",
    ),
    *(
        cel(
            f"no-global-in-{field}",
            global_free_in_cel(field),
            f"global() selector is not valid for IPPool {field}",
            without_global(name),
            path=(field,),
            fix="select by labels, or use all()",
        )
        for field, name in (("nodeSelector", "node_selector"), ("namespaceSelector", "namespace_selector"))
    ),
    cel(
        "strictly-masked",
        "cidr(self.cidr) == cidr(self.cidr).masked()",
        "IPPool CIDR must be strictly masked",
        lambda pool: pool.cidr.network_address == pool.cidr[0],
        path=("cidr",),
        fix="clear the host bits",
    ),
    cel(
        "not-link-local-4",
        "cidr(self.cidr).ip().family() != 4 || !(cidr('169.254.0.0/16').containsIP(cidr(self.cidr).ip()) || "
        "cidr(self.cidr).containsIP('169.254.0.0'))",
        "IPPool CIDR overlaps with IPv4 link local range 169.254.0.0/16",
        lambda pool: pool.cidr.version != 4 or not pool.cidr.overlaps(_LINK_LOCAL_4),
        path=("cidr",),
        fix="choose another range",
    ),
    cel(
        "not-link-local-6",
        "cidr(self.cidr).ip().family() != 6 || !(cidr('fe80::/10').containsIP(cidr(self.cidr).ip()) || "
        "cidr(self.cidr).containsIP('fe80::'))",
        "IPPool CIDR overlaps with IPv6 link local range fe80::/10",
        lambda pool: pool.cidr.version != 6 or not pool.cidr.overlaps(_LINK_LOCAL_6),
        path=("cidr",),
        fix="choose another range",
    ),
    cel(
        "block-size",
        "!has(self.blockSize) || (cidr(self.cidr).ip().family() == 4 ? "
        "self.blockSize >= 20 && self.blockSize <= 32 : self.blockSize >= 116 && self.blockSize <= 128)",
        "blockSize must be between 20 and 32 for IPv4 pools, and between 116 and 128 for IPv6 pools",
        _block_size_fits,
        path=("blockSize",),
        fix="leave blockSize out for the usual size",
    ),
    cel(
        "room-for-a-block",
        "(has(self.disabled) && self.disabled) || cidr(self.cidr).prefixLength() <= "
        "(has(self.blockSize) ? self.blockSize : cidr(self.cidr).ip().family() == 4 ? 26 : 122)",
        "IP pool size is too small for use with Calico IPAM. It must be equal to or greater than the block size.",
        _big_enough,
        path=("cidr",),
        fix="take a larger range, or a blockSize that fits in this one",
    ),
)

POOL_CHANGE_RULES: Final[tuple[ChangeRule, ...]] = (
    ChangeRule(
        "cidr-stays",
        "CIDR cannot be changed; follow IP pool migration guide to avoid corruption.",
        "make a new pool and disable this one",
        lambda old, new: old.cidr == new.cidr,
        "self.cidr == oldSelf.cidr",
    ),
    ChangeRule(
        "block-size-stays",
        "Block size cannot be changed; follow IP pool migration guide to avoid corruption.",
        "make a new pool and disable this one",
        lambda old, new: old.effective_block_size == new.effective_block_size,
        "!has(oldSelf.blockSize) || self.blockSize == oldSelf.blockSize",
    ),
    ChangeRule(
        "load-balancers-stay",
        "IPPool allowed use cannot be changed between LoadBalancer and Workload or Tunnel",
        "make a new pool and disable this one",
        lambda old, new: _balances(old) == _balances(new),
    ),
)
