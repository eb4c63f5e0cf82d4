"""What applying a reading would do now: reads, and never writes."""

from __future__ import annotations

from random import Random

from muslin.datastore.protocol import Datastore
from reconciler.addresses_in_use import blocks_of
from reconciler.control import read
from reconciler.ledger import Ledger
from reconciler.live import Live, listed
from reconciler.manifests import Reading, declarable
from reconciler.plan import CONFIRMED_KINDS, Plan
from reconciler.planning import Leave, plan

__all__ = ["preview"]


async def preview(
    datastore: Datastore, reading: Reading, set_name: str = "default", *, leave: Leave | None = None
) -> Plan:
    """What applying this reading would do now, without writing. `leave`: as the reconciler was started with."""
    entries, _ = await listed(datastore, declarable())
    control, _ = await read(datastore, set_name)
    confirmed = Leave(confirm=CONFIRMED_KINDS, confirmed=control.confirmed)
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
        leave=leave or confirmed,
    )
