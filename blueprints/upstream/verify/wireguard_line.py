"""WireGuard, where somebody has turned it on: nothing decides about it, and the MTU must leave room for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from blueprints.decision import section
from blueprints.upstream.network import Network
from blueprints.upstream.verify.installed import Found, Installed
from blueprints.upstream.verify.lines import Line, compared
from blueprints.upstream.verify.node_lines import Node
from muslin.semantics.mtu import encapsulation_mtu
from muslin.semantics.routes import Encapsulation

__all__ = ["wireguard_lines"]

_SOURCE: Final = section("MTU Configuration")
_SWITCHES: Final = {
    4: ("wireguardEnabled", "FELIX_WIREGUARDENABLED"),
    6: ("wireguardEnabledV6", "FELIX_WIREGUARDENABLEDV6"),
}
"""Mapping[family, (field of FelixConfiguration, variable of calico-node)]; the variable hides the field."""


def wireguard_lines(network: Network, installed: Installed, namespace: str) -> Iterator[Line]:
    """A line for each family in which nodes encrypt what they send each other; none where they do not."""
    felix, node = installed.find("FelixConfiguration", "default"), Node.of(installed, namespace)
    path = min(value for _, value in network.facts.mtus())
    for version, (field, variable) in _SWITCHES.items():
        if not _on(felix, node, field, variable):
            continue
        most = encapsulation_mtu(path, Encapsulation.WIREGUARD, version)
        told = f"{network.mtu}, at most {most}" if network.mtu <= most else f"{network.mtu}, and {most} fit"
        fix = f"override the decision MTU with {most} or less, and render again; or turn WireGuard off"
        where = node.place_of(variable) if node.text(variable) or felix is None else felix.place("spec", field)
        expected = f"{network.mtu}, at most {most}"
        yield compared(f"room for WireGuard over IPv{version}", expected, told, _SOURCE, fix=fix, place=where)


def _on(felix: Found | None, node: Node, field: str, variable: str) -> bool:
    text = node.text(variable)
    if text:
        return text.lower() in ("true", "1", "yes", "y", "t")
    return felix is not None and felix.at("spec", field) is True
