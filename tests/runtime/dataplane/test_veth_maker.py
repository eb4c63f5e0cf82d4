"""Veth pairs for many pods at once; `ip -json` is the independent witness."""

from __future__ import annotations

import asyncio
import json

from muslin.errors import KernelRefused
from runtime.dataplane.links import Veth
from runtime.dataplane.netlink.links import Link
from runtime.veth_maker import VethMaker
from tests.support.netns import ip, isolated, new_namespace


def _peer_in(namespace: int) -> int:
    (link,) = json.loads(ip("-json link show eth0", namespace))
    return int(link["ifindex"])


@isolated
def test_each_of_many_gets_its_own_pair_and_a_refused_one_hinders_nobody() -> None:
    """Forty at once, one of whose names is taken: it is refused, every other's ends are where they belong."""
    namespaces = [new_namespace() for _ in range(40)]

    async def scenario() -> list[Link | BaseException]:
        maker = VethMaker()
        await maker.make(Veth("cali7", "eth0", namespaces[7], 1400))
        wanted = [Veth(f"cali{n}", "eth0", namespace, 1400) for n, namespace in enumerate(namespaces)]
        made = await asyncio.gather(*map(maker.make, wanted), return_exceptions=True)
        maker.close()
        return made

    made = asyncio.run(scenario())

    assert isinstance(made[7], KernelRefused)
    there = {link["ifname"]: link["ifindex"] for link in json.loads(ip("-json link show type veth"))}
    for number, link in enumerate(made):
        if number != 7:
            assert isinstance(link, Link)
            found = (link.name, link.index, link.mtu, link.up, link.peer)
            assert found == (f"cali{number}", there[f"cali{number}"], 1400, False, _peer_in(namespaces[number]))


@isolated
def test_who_stops_waiting_gets_no_pair_or_waits_until_the_kernel_has_done() -> None:
    """Cancelled before the kernel was asked, nothing is made; cancelled after, the pair is there when the wait ends."""
    namespaces = [new_namespace() for _ in range(34)]

    async def scenario() -> tuple[str, str]:
        maker = VethMaker()
        waits = [
            asyncio.ensure_future(maker.make(Veth(f"cali{n}", "eth0", namespace, 1400)))
            for n, namespace in enumerate(namespaces)
        ]
        await asyncio.sleep(0)  # all have asked
        await asyncio.sleep(0)  # the first are with the kernel, sixteen at most, and so many are next
        for wait in (waits[0], waits[33]):
            wait.cancel()
        await asyncio.wait([waits[0]])
        first = ip("link show cali0")
        await asyncio.wait(waits)
        maker.close()
        return first, ip("-o link show type veth")

    first, every = asyncio.run(scenario())

    assert "cali0" in first
    assert ("cali32@" in every, "cali33@" in every) == (True, False)
