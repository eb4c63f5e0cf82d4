"""Whether packets between nodes are encrypted: WireGuard, where somebody asks for it."""

from __future__ import annotations

from typing import Final

from blueprints.asking import Asked
from blueprints.decision import Alternative, Decision, Outcome
from blueprints.mtu import FELIX
from blueprints.musts import Must, refuse

__all__ = ["encryption", "encryption_fields"]

_FIELDS: Final = {4: "wireguardEnabled", 6: "wireguardEnabledV6"}
_SOURCE: Final = "Calico, Encrypt in-cluster pod traffic (WireGuard)"


def encryption(asked: Asked) -> Outcome:
    """WireGuard for each family of the pods; refused where its packets are blocked."""
    facts = asked.facts
    if facts.network.wireguard is False:
        what = "packets between nodes are to be encrypted, and WireGuard is blocked"
        fix = "allow UDP port 51820 (51821 for IPv6) between nodes, or leave wireguard out"
        return refuse(Must.A_WAY_BETWEEN_NODES, what, asked.place("network", "wireguard"), fix, _SOURCE)
    stated = {None: "true (assumed)", True: "true"}[facts.network.wireguard]
    return Decision(
        "encryption",
        "WireGuard",
        "asked for: what pods of different nodes send each other is encrypted, whatever the encapsulation",
        {"wireguard": "true", "network.wireguard": stated},
        (
            Alternative("none", "not wished: the network could read along"),
            Alternative("TLS in each application", "protects more, and every application has to do it"),
        ),
        "costs 60 bytes of every packet between nodes (80 over IPv6) and work; nodes without the kernel's WireGuard"
        " exchange plain packets, so look at the public keys of all nodes; agents of this version do not encrypt",
        _SOURCE,
        tuple((FELIX, ("spec", _FIELDS[version])) for version in facts.families),
    )


def encryption_fields(asked: Asked) -> dict[str, bool]:
    """Of FelixConfiguration: encryption of each family, where it is asked for."""
    return {_FIELDS[version]: True for version in asked.facts.families} if asked.facts.wireguard else {}
