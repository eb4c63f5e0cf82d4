"""Packets between nodes encrypted: which settings follow, and what it costs of each packet."""

from __future__ import annotations

from typing import Any

import pytest

from blueprints.catalogue import decide
from muslin.resources import dump
from tests.blueprints.clusters import facts, nodes_in

_SIX: dict[str, Any] = {
    "nodes": [{"name": "a", "address": "192.0.2.1", "addressV6": "2001:db8::1"}],
    "subnets": ["192.0.2.0/24", "2001:db8::/64"],
    "podRangeV6": "2001:db8:48::/48",
}


@pytest.mark.parametrize(
    ("blueprint", "told", "expected"),
    [
        ("single_subnet", {}, {"wireguardEnabled": True, "wireguardMTU": 1440}),
        ("multi_subnet", nodes_in(2, 2), {"wireguardEnabled": True, "wireguardMTU": 1440, "ipipMTU": 1440}),
        ("vxlan", {}, {"wireguardEnabled": True, "wireguardMTU": 1440, "vxlanMTU": 1440}),
        ("single_subnet", _SIX, {
            "wireguardEnabled": True, "wireguardEnabledV6": True, "wireguardMTU": 1420, "wireguardMTUV6": 1420,
        }),
    ],
)  # fmt: skip
def test_settings_that_follow(blueprint: str, told: dict[str, Any], expected: dict[str, Any]) -> None:
    """Each family, and one MTU for every way that a packet may go."""
    resources = decide(facts(**told, wireguard=True, blueprint=blueprint)).resources
    (felix,) = (dump(each)["spec"] for each in resources if each.kind == "FelixConfiguration")

    assert felix == expected


def test_without_a_wish_nothing_is_said() -> None:
    """No setting, no decision."""
    decided = decide(facts(blueprint="single_subnet"))

    assert "encryption" not in {each.name for each in decided.decisions}
    assert not [each for each in decided.resources if each.kind == "FelixConfiguration"]
