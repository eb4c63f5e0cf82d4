"""What becomes of the blocks of a pool that is deleted."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from ipaddress import ip_address

from muslin.datastore.embedded import EmbeddedDatastore
from muslin.datastore.ipam import run
from muslin.ipam.affinities import Owner, claim
from muslin.ipam.blocks import Attribute
from muslin.net import parse_prefix
from tests.muslin.cli.calico import POOL, Calico, manifest

_NOW = datetime(2026, 1, 2, tzinfo=UTC)


async def _claim(*blocks: str, used: str) -> None:
    """Node n1 claims the blocks; this address is in use."""
    store = EmbeddedDatastore.open(os.environ["MUSLIN_DATASTORE"])
    try:
        for text in blocks:
            held = await run(store, claim(Owner("n1"), parse_prefix(text), _NOW))
            assert held is not None
            if ip_address(used) in parse_prefix(text):
                taken = held.block.assigned_address(ip_address(used), Attribute("h", {}))
                assert taken is not None
                await run(store, held.write(taken))
    finally:
        await store.close()


def test_a_pool_that_goes_gives_up_its_blocks(calico: Calico) -> None:
    """Nodes lose their claims on its blocks, as with Calico's client; addresses in use and other pools' blocks stay."""
    calico.apply(f"{POOL}---\n{manifest('IPPool', 'others', '{cidr: 10.49.0.0/16}')}")
    asyncio.run(_claim("10.48.0.0/26", "10.48.0.64/26", "10.49.0.0/26", used="10.48.0.1"))
    ran = calico.ctl("delete", "ippool", "pods")

    blocks = {each["spec"]["cidr"]: each["spec"].get("affinity") for each in calico.get("ipamblocks")["items"]}
    claims = [each["spec"]["cidr"] for each in calico.get("blockaffinities")["items"]]
    assert ran.status == 0, ran.err
    assert (blocks, claims) == ({"10.48.0.0/26": None, "10.49.0.0/26": "host:n1"}, ["10.49.0.0/26"])
