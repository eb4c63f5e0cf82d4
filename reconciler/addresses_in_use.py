"""Who uses what may go: read only when something may, because it changes with every pod and so is not watched."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from muslin import resources
from muslin.datastore.protocol import Datastore, Entry
from muslin.errors import MuslinError
from muslin.net import Prefix, parse_prefix
from muslin.resources.base import Resource
from muslin.resources.keys import Key
from muslin.semantics.snapshot import Snapshot
from reconciler.effect.removal import NEEDED_KINDS, Removal, removal_effect
from reconciler.ledger import Ledger
from reconciler.live import listed
from reconciler.manifests import Reading
from reconciler.plan import Budget, Plan

__all__ = ["blocks_of", "effect"]


async def blocks_of(
    datastore: Datastore, reading: Reading, ledger: Ledger, live: Mapping[Key, Entry]
) -> tuple[Prefix, ...]:
    """The blocks that exist, if this reading removes or moves a pool; else nothing, without a request."""
    pools = {key for key in ledger.owned if key.kind == "IPPool"} | {
        key for key in reading.resources if key.kind == "IPPool" and key in live
    }
    if not any(_moves(reading, key, live[key]) for key in pools if key in live):
        return ()
    found, _ = await listed(datastore, ("IPAMBlock",))
    prefixes = []
    for entry in found.values():
        try:
            prefixes.append(parse_prefix(_cidr(entry.value), strict=False))
        except ValueError:
            continue
    return tuple(prefixes)


async def effect(datastore: Datastore, proposed: Plan, budget: Budget) -> Removal | None:
    """Who needs what a plan removes; asked only where the budget counts it. Raises `Unavailable`."""
    going = [step.key for step in proposed.steps if step.deletes]
    if not any(key.kind == "IPPool" or budget.endpoints is not None for key in going):
        return None
    entries, _ = await listed(datastore, NEEDED_KINDS)
    found: list[Resource] = []
    for entry in entries.values():
        with suppress(MuslinError):
            found.append(resources.load(entry.value))
    return removal_effect(going, Snapshot.of(found))


def _moves(reading: Reading, pool: Key, entry: Entry) -> bool:
    return pool not in reading.resources or _cidr(reading.resources[pool].value) != _cidr(entry.value)


def _cidr(value: Mapping[str, object]) -> str:
    spec = value.get("spec")
    return str(spec.get("cidr")) if isinstance(spec, Mapping) else ""
