"""What applying a reading would do now: reads, and never writes."""

from __future__ import annotations

from random import Random

from muslin.datastore.protocol import Datastore
from reconciler.addresses_in_use import blocks_of
from reconciler.ledger import Ledger
from reconciler.live import Live, listed
from reconciler.manifests import Reading, declarable
from reconciler.plan import Plan, plan

__all__ = ["preview"]


async def preview(datastore: Datastore, reading: Reading, set_name: str = "default") -> Plan:
    """What applying this reading would do now, without writing anything."""
    entries, _ = await listed(datastore, declarable())
    live = Live(datastore, (), random=Random(0), changed=lambda: None)  # noqa: S311  unused: nothing is retried
    ledger = await Ledger.load(datastore, set_name)
    return plan(
        reading.commit,
        reading.resources,
        entries,
        ledger.owned,
        canonical=live.canonical,
        others=ledger.others,
        blocks=await blocks_of(datastore, reading, ledger, entries),
    )
