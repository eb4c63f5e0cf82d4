"""A pool of ours as each way of installing says it, so that what upstream creates at its first start is the same pool.

Upstream never starts without a pool: calico-node creates `default-ipv4-ippool` and `default-ipv6-ippool` where there is
none of that family, the operator those that its Installation lists. Both are told exactly what our own resource says,
under the same name: whoever comes first, nobody has anything to change.
"""

from __future__ import annotations

from typing import Any, Final

from muslin.resources.ip_pool import EncapsulationMode, IPPool

__all__ = ["ENCAPSULATIONS", "environment", "of_the_operator"]

ENCAPSULATIONS: Final = {
    (EncapsulationMode.NEVER, EncapsulationMode.NEVER): "None",
    (EncapsulationMode.ALWAYS, EncapsulationMode.NEVER): "IPIP",
    (EncapsulationMode.CROSS_SUBNET, EncapsulationMode.NEVER): "IPIPCrossSubnet",
    (EncapsulationMode.NEVER, EncapsulationMode.ALWAYS): "VXLAN",
    (EncapsulationMode.NEVER, EncapsulationMode.CROSS_SUBNET): "VXLANCrossSubnet",
}
"""Mapping[(ipipMode, vxlanMode), what the operator calls both together]."""


def of_the_operator(pool: IPPool) -> dict[str, Any]:
    """An entry of `calicoNetwork.ipPools`."""
    spec = pool.spec
    return {
        "name": pool.metadata.name,
        "cidr": str(spec.cidr),
        "blockSize": spec.effective_block_size,
        "encapsulation": ENCAPSULATIONS[spec.effective_ipip_mode, spec.effective_vxlan_mode],
        "natOutgoing": "Enabled" if spec.nat_outgoing else "Disabled",
        "nodeSelector": spec.effective_node_selector,
    }


def environment(pool: IPPool) -> dict[str, str | None]:
    """Mapping[variable of calico-node, its value]; None is a variable that must not be set.

    Where packets travel in VXLAN the variable for IP-in-IP is left out, as the architecture asks; unset means Never.
    IPv6 knows no IP-in-IP, and no variable for it.
    """
    spec, prefix = pool.spec, f"CALICO_IPV{pool.spec.cidr.version}POOL"
    vxlan = spec.effective_vxlan_mode
    told: dict[str, str | None] = {
        f"{prefix}_CIDR": str(spec.cidr),
        f"{prefix}_BLOCK_SIZE": str(spec.effective_block_size),
    }
    if spec.cidr.version == 4:
        told[f"{prefix}_IPIP"] = spec.effective_ipip_mode.value if vxlan is EncapsulationMode.NEVER else None
    told |= {
        f"{prefix}_VXLAN": vxlan.value,
        f"{prefix}_NAT_OUTGOING": "true" if spec.nat_outgoing else "false",
        f"{prefix}_NODE_SELECTOR": spec.effective_node_selector,
    }
    return told
