"""What the network between the nodes lets through: as stated, else as such networks usually have it."""

from __future__ import annotations

import enum

from blueprints.fact_parts import Provider
from blueprints.facts import Facts

__all__ = ["NetworkTrait", "lets", "trait"]


class NetworkTrait(enum.Enum):
    """A property of the network; the value is the fact's name in the file."""

    BGP = "bgp"
    IPIP = "ipip"
    VXLAN = "vxlan"
    CHECKS = "sourceDestinationChecks"
    POD_ADDRESSES = "podAddresses"


_USUAL = {
    NetworkTrait.BGP: True,
    NetworkTrait.IPIP: True,
    NetworkTrait.VXLAN: True,
    NetworkTrait.CHECKS: False,
    NetworkTrait.POD_ADDRESSES: True,
}
_OF_PROVIDER = {
    (Provider.AWS, NetworkTrait.CHECKS): True,
    (Provider.GCP, NetworkTrait.CHECKS): True,
    (Provider.OPENSTACK, NetworkTrait.CHECKS): True,
    (Provider.AZURE, NetworkTrait.CHECKS): True,
    (Provider.AZURE, NetworkTrait.IPIP): False,
    (Provider.AZURE, NetworkTrait.POD_ADDRESSES): False,
    (Provider.GCP, NetworkTrait.POD_ADDRESSES): False,
}
"""What these networks do until somebody turns it off; Azure drops IP-in-IP always.

The virtual networks of Azure and GCP route each packet by its destination, within a subnet too: turning the checks off
does not make them carry pods' addresses, routes of theirs to each node's pods do (then `podAddresses` is true).
"""


def _stated(facts: Facts, asked: NetworkTrait) -> bool | None:
    own = facts.network
    return {
        NetworkTrait.BGP: own.bgp,
        NetworkTrait.IPIP: own.ipip,
        NetworkTrait.VXLAN: own.vxlan,
        NetworkTrait.CHECKS: own.source_destination_checks,
        NetworkTrait.POD_ADDRESSES: own.pod_addresses,
    }[asked]


def lets(facts: Facts, asked: NetworkTrait) -> bool:
    """Whether the network has a property: as stated, else as the provider's networks have it."""
    stated = _stated(facts, asked)
    return _OF_PROVIDER.get((facts.provider, asked), _USUAL[asked]) if stated is None else stated


def trait(facts: Facts, asked: NetworkTrait) -> tuple[str, str]:
    """A property as an input of a decision: name and value, and whether it was assumed."""
    value = "true" if lets(facts, asked) else "false"
    assumed = f"{value} (assumed, provider {facts.provider.value})"
    return f"network.{asked.value}", assumed if _stated(facts, asked) is None else value
