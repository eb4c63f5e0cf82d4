"""What the agent keeps of its machine's settings, on a real kernel."""

from __future__ import annotations

import select
from pathlib import Path

from runtime.host import HostSettings
from tests.support.netns import ip, isolated

_NET = Path("/proc/sys/net")


def _set(setting: str, value: str) -> None:
    (_NET / setting).write_text(value, encoding="ascii")


@isolated
def test_a_look_after_news_of_one_interface_costs_no_more_with_many() -> None:
    """Only the interface that an event was about is looked at; where nothing was said, all are."""
    for number in range(1, 4):
        ip(f"link add cali{number} type veth peer name other{number}")
    kept = HostSettings()
    kept.repair()
    kept.drain()
    kept.repair()
    _set("ipv6/conf/cali1/accept_ra", "1")  # of which the kernel tells nothing
    _set("ipv4/conf/cali2/proxy_arp", "0")

    assert select.select([kept], [], [], 5)[0]
    assert kept.drain()

    assert kept.repair() == ("ipv4/conf/cali2/proxy_arp = 1",)
    assert kept.repair() == ("ipv6/conf/cali1/accept_ra = 0",)
    kept.close()


@isolated
def test_settings_that_pods_need_are_put_back() -> None:
    """Forwarding, and what a pod's interface answers for, come back after somebody changed them; others are left."""
    ip("link add cali1 type veth peer name other")
    kept = HostSettings()
    kept.repair()
    kept.drain()
    assert kept.repair() == ()
    for setting in ("ipv4/ip_forward", "ipv4/conf/cali1/proxy_arp", "ipv6/conf/cali1/forwarding"):
        _set(setting, "0")
        assert select.select([kept], [], [], 5)[0]
        assert kept.drain()
        assert f"{setting} = 1" in kept.repair()
        kept.drain()
        assert kept.repair() == ()
    _set("ipv4/conf/other/proxy_arp", "0")
    assert kept.repair() == ()
    kept.close()
