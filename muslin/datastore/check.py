"""Looks through a whole datastore for what does not fit together, and repairs what is safe.

Kinds are read one after the other while others write, so on a store that is not locked only what two looks in a row
show is told. Repairs are compare-and-swap on what was seen.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any, Final

from muslin.conversion.profile import DEFAULT_ALLOW
from muslin.datastore.initialize import CLUSTER_INFORMATION
from muslin.datastore.ipam import run
from muslin.datastore.lock import is_ready, spec_of
from muslin.datastore.objects import UNREADABLE
from muslin.datastore.protocol import Datastore, Entry, Json, NotFound
from muslin.errors import BadInput, MuslinError, Problem
from muslin.ipam.blocks import Block
from muslin.ipam.books import Books, disagreements
from muslin.ipam.findings import Handle, Using, findings_of, used_by_nodes, used_by_workloads
from muslin.ipam.repairs import ConfirmAffinity, GiveUpBlock, ReleaseAddress, RemoveObject, WriteHandle, repaired
from muslin.ipam.requests import Stored
from muslin.net import Prefix
from muslin.resources.ipam import IPAMConfigurationSpec
from muslin.resources.keys import Key
from muslin.resources.registry import KINDS
from muslin.resources.stored import load_stored
from muslin.semantics.inconsistency import Inconsistency, Reason
from muslin.semantics.references import dangling, overlapping_pools

__all__ = ["Look", "Services", "check", "look", "repair"]

Services = Callable[[Datastore], Awaitable[list[Using] | None]]
"""Who was given addresses of load balancers; None where nobody can be asked."""

_CHECKED_ELSEWHERE: Final = frozenset({"IPAMBlock"})
"""Kinds of whose shape address management says more than their model."""


@dataclass(frozen=True, slots=True)
class Look:
    """What was looked at, and what does not fit."""

    objects: int
    locked: bool
    found: Sequence[Inconsistency] = field(default_factory=tuple)


async def _nobody(_: Datastore) -> list[Using] | None:
    return None


async def check(store: Datastore, services: Services = _nobody) -> Look:
    """Look, and look again where others may have written in between: what only one look shows was under way."""
    first = await look(store, services)
    if first.locked or not first.found:
        return first
    second = await look(store, services)
    before = {(each.reason, each.key) for each in first.found}
    return Look(second.objects, second.locked, [each for each in second.found if (each.reason, each.key) in before])


async def look(store: Datastore, services: Services = _nobody) -> Look:
    """One look through everything."""
    objects: dict[Key, Json] = {}
    by_kind: dict[str, list[Entry]] = {}
    for kind in KINDS:
        by_kind[kind] = list((await store.list(kind)).entries)
        objects |= {entry.key: entry.value for entry in by_kind[kind]}
    information = objects.get(CLUSTER_INFORMATION)
    found = [each for entries in by_kind.values() for each in _unreadable(entries)]
    found += dangling(objects)
    found += overlapping_pools(objects)
    found += disagreements(_books(by_kind, await services(store)))
    return Look(len(objects), information is not None and not is_ready(information), found)


async def repair(
    store: Datastore, found: Iterable[Inconsistency], now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> list[tuple[Inconsistency, MuslinError | None]]:
    """Do every repair there is; gives what was repaired, and why not where it was not."""
    try:
        spec = spec_of((await store.get(Key("IPAMConfiguration", "default"))).value)
        configuration: IPAMConfigurationSpec | None = IPAMConfigurationSpec.model_validate(spec)
    except (NotFound, ValueError):
        configuration = None
    outcome: list[tuple[Inconsistency, MuslinError | None]] = []
    for each in found:
        wanted = each.repair
        if not isinstance(wanted, ReleaseAddress | RemoveObject | WriteHandle | ConfirmAffinity | GiveUpBlock):
            continue
        try:
            done = await run(store, repaired(wanted, now(), configuration))
        except MuslinError as error:
            outcome.append((each, error))
            continue
        changed = Problem("it was changed meanwhile, and left alone", str(each.key), "look again")
        outcome.append((each, None if done else BadInput(changed)))
    return outcome


def _unreadable(entries: Iterable[Entry]) -> Iterable[Inconsistency]:
    """Objects that agents treat as missing, because they can't be read or say that they are others; or read in part."""
    for entry in entries:
        key, reason = entry.key, Reason.READ_IN_PART
        if key.kind in _CHECKED_ELSEWHERE or key == Key("Profile", DEFAULT_ALLOW):
            continue
        problems: Sequence[Problem] = entry.problems
        try:
            resource, left_out = load_stored(entry.value, str(key))
            problems = (*problems, *left_out)
            if resource.key != key:
                reason = Reason.UNREADABLE
                what = f"the object says that it is {resource.key}"
                problems = (Problem(what, str(key), "delete it, and write it under its own name"),)
        except MuslinError as error:
            reason = Reason.UNREADABLE
            problems = entry.problems if UNREADABLE in entry.value and entry.problems else error.problems
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one object must not hide the others
            what, reason = f"the object cannot be read: {type(error).__name__}: {error}", Reason.UNREADABLE
            problems = (Problem(what, str(key), "write it again in its kind's form, or delete it"),)
        for problem in problems:
            where = problem.where.removeprefix(str(key)).strip()
            yield Inconsistency(reason, key, f"{where}: {problem.what}" if where else problem.what, problem.fix)


def _books(by_kind: Mapping[str, Sequence[Entry]], services: list[Using] | None) -> Books:
    blocks: list[Block] = []
    unreadable: list[Problem] = []
    for entry in _kept(by_kind["IPAMBlock"]):
        try:
            blocks.append(Block.read(entry.value))
        except BadInput as error:
            unreadable += error.problems
    handles, affinities = _kept(by_kind["IPAMHandle"]), _kept(by_kind["BlockAffinity"])
    pools = [(prefix, entry) for entry in by_kind["IPPool"] if (prefix := _prefix(entry)) is not None]
    findings = findings_of(
        blocks,
        unreadable=unreadable,
        pools=[prefix for prefix, entry in pools if spec_of(entry.value).get("disabled") is not True],
        nodes=used_by_nodes(by_kind["Node"]),
        services=services,
        workloads=used_by_workloads(by_kind["WorkloadEndpoint"]),
        handles=[Handle(str(spec_of(each.value).get("handleID") or each.key.name), None, each.revision)
                 for each in handles],
        now=datetime.now(UTC),
    )  # fmt: skip
    return Books(
        findings, _stored(affinities), _stored(handles), [prefix for prefix, _ in pools],
        frozenset(entry.key.name for entry in by_kind["Node"]),
    )  # fmt: skip


def _kept(entries: Iterable[Entry]) -> list[Entry]:
    """Those that are not half deleted."""
    return [entry for entry in entries if spec_of(entry.value).get("deleted") not in (True, "true")]


def _stored(entries: Iterable[Entry]) -> list[Stored]:
    return [Stored(entry.key, entry.value, str(entry.revision)) for entry in entries]


def _prefix(pool: Entry) -> Prefix | None:
    cidr: Any = spec_of(pool.value).get("cidr")
    try:
        return ip_network(str(cidr))
    except ValueError:
        return None
