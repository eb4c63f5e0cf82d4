"""What applying a reading would do now: reads, and never writes."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from muslin.datastore.protocol import Datastore
from reconciler.addresses_in_use import blocks_of
from reconciler.control import read
from reconciler.course import Course, desired, with_course
from reconciler.course_record import course_for
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
    chosen = course_for(reading, entries, ledger.owned, control, ledger.accepted)
    wanted = reading
    if isinstance(chosen, Course):
        wanted = replace(reading, resources=desired(chosen, reading))
    made = plan(
        reading.commit,
        wanted.resources,
        entries,
        ledger.owned,
        canonical=live.canonical,
        others=ledger.others,
        blocks=await blocks_of(datastore, wanted, ledger, entries),
        leave=leave or confirmed,
    )
    return with_course(made, chosen)
