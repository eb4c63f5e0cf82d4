"""Copies every object from one datastore to another, and compares the two: the steps of `muslin.datastore.migrate`."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from muslin.conversion.node_names import kubernetes_name
from muslin.conversion.profile import namespace_of_profile
from muslin.conversion.reading import metadata_of
from muslin.datastore.initialize import CLUSTER_INFORMATION
from muslin.datastore.migrate_marker import State
from muslin.datastore.migrate_objects import (
    MOVED_KINDS,
    OF_KUBERNETES,
    Journey,
    StoreType,
    Why,
    differences,
    is_of_the_store,
    moved,
)
from muslin.datastore.migrate_report import Difference, End, Left, Report
from muslin.datastore.protocol import (
    AlreadyExists,
    Compacted,
    Conflict,
    Datastore,
    Entry,
    Json,
    MaybeDone,
    NotFound,
)
from muslin.errors import BadInput, MuslinError, Problem, Unavailable
from muslin.resources.keys import Key

__all__ = ["Progress", "Way", "born_as", "compare", "copy", "everything", "uid_as"]

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is, and how much there is."""

_TOGETHER: Final = 32
"""Writes under way at once: enough to hide the way to an API server, too few to be a burden to it."""
_PAGE: Final = 500
_TRIES: Final = 5
_A_SECOND_S: Final = 1.1
"""An API server tells when an object was born in whole seconds."""

_identity: ContextVar[Mapping[str, Any]] = ContextVar("identity")


def uid_as() -> str:
    """The uid that the object being written had before; a new one where it had none. For stores that let us choose."""
    uid = _identity.get({}).get("uid")
    return uid if isinstance(uid, str) and uid else str(uuid.uuid4())


def born_as() -> datetime:
    """When the object being written was created; now where nobody knows. For stores that let us choose."""
    try:
        born = datetime.fromisoformat(str(_identity.get({}).get("creationTimestamp")))
    except ValueError:
        return datetime.now(UTC)
    return born if born.tzinfo else born.replace(tzinfo=UTC)


async def _nobody_else() -> None:
    """For ends that nobody else can write."""


@dataclass(frozen=True, slots=True)
class Way:
    """A migration under way.

    Attributes:
        source, target: the ends.
        from_, to: a client of each.
        report: is filled.
        tell: is told how far it is.
        still_ours: raises BadInput once the destination is no longer to be written.
        created: what this run has created at the destination.
    """

    source: End
    target: End
    from_: Datastore
    to: Datastore
    report: Report
    tell: Progress
    still_ours: Callable[[], Awaitable[None]] = _nobody_else
    created: set[Key] = field(default_factory=set)

    async def journey(self) -> Journey:
        """What the destination already knows. Raises BadInput for a Node without a name in Kubernetes."""
        source, target = self.source.type, self.target.type
        if target is not StoreType.KUBERNETES:
            return Journey(source, target, {})
        names: dict[str, str] = {}
        problems: list[Problem] = []
        if source is not StoreType.KUBERNETES:
            async for entry in everything(self.from_, "Node"):
                found = kubernetes_name(entry.value)
                if found is None:
                    what = f"node {entry.key.name} has no name in Kubernetes"
                    fix = "set spec.orchRefs to its name there (orchestrator k8s), or delete the Node"
                    problems.append(Problem(what, f"{entry.key}  spec.orchRefs", fix))
                else:
                    names[entry.key.name] = found
        if problems:
            raise BadInput(problems)
        nodes = {entry.key.name async for entry in everything(self.to, "Node")}
        profiles = {namespace_of_profile(entry.key.name) async for entry in everything(self.to, "Profile")}
        return Journey(source, target, names, nodes, {each for each in profiles if each is not None})

    async def to_move(self, what: str) -> dict[Key, dict[str, Any]]:
        """What is to be at the destination, in the order in which it is written; the report tells what is not."""
        self.report.found, self.report.left = Counter(), []
        journey, wanted = await self.journey(), dict[Key, dict[str, Any]]()
        kinds = await kinds_of(self.from_, self.source.type)
        for number, kind in enumerate(kinds):
            self.tell(what, number, len(kinds))
            async for entry in everything(self.from_, kind):
                there = moved(entry.key, entry.value, journey)
                if isinstance(there, Why):
                    self.report.left.append(Left(entry.key, there))
                else:
                    wanted[there[0]] = there[1]
                    self.report.found[there[0].kind] += 1
        return wanted


async def kinds_of(store: Datastore, type_: StoreType) -> list[str]:
    """All kinds that may have objects, in the order in which they are written."""
    own = getattr(store, "kinds", None)  # the embedded one keeps whatever somebody invents
    others = sorted(set(await own()) - {*MOVED_KINDS, CLUSTER_INFORMATION.kind}) if own is not None else []
    return [*MOVED_KINDS, *(OF_KUBERNETES if type_ is StoreType.KUBERNETES else ()), *others]


async def everything(store: Datastore, kind: str) -> AsyncIterator[Entry]:
    """Every object of a kind, page by page; all of one instant."""
    for attempt in range(_TRIES):
        entries: list[Entry] = []
        after: str | None = None
        try:
            while True:
                page = await store.list(kind, limit=_PAGE, after=after)
                entries += page.entries
                after = page.more
                if after is None:
                    break
        except Compacted:
            if attempt == _TRIES - 1:
                raise
            continue  # the pages' instant is forgotten: begin again
        for entry in entries:
            yield entry
        return


async def copy(way: Way) -> None:
    """One pass: write what is missing or different; take away what an interrupted run wrote and the source lost."""
    way.report.refused = {}
    wanted = await way.to_move("reading")
    journey = await way.journey()
    present: dict[Key, Entry] = {}
    for kind in await kinds_of(way.to, way.target.type):
        async for entry in everything(way.to, kind):
            present[entry.key] = entry
    await way.still_ours()
    await _remove_leftovers(way, wanted, present)
    by_kind: dict[str, list[Key]] = {}
    for key in wanted:
        by_kind.setdefault(key.kind, []).append(key)
    done = 0
    for kind in [*MOVED_KINDS, *sorted(set(by_kind) - set(MOVED_KINDS))]:
        keys = by_kind.get(kind, [])
        if kind == "FelixConfiguration" and way.target.type is StoreType.KUBERNETES:
            by_age = [key for key in keys if _selects(wanted[key])]
            await _put_by_age(way, journey, by_age, wanted, present)
            keys = [key for key in keys if key not in by_age]
            done += len(by_age)
        for first in range(0, len(keys), _TOGETHER):
            way.tell(kind, done, len(wanted))
            await way.still_ours()
            batch = keys[first : first + _TOGETHER]
            puts = (_noted(way, journey, key, wanted[key], present.get(key)) for key in batch)
            for outcome in await asyncio.gather(*puts, return_exceptions=True):
                if outcome is not None:
                    raise outcome
            done += len(batch)


async def _put_by_age(
    way: Way, journey: Journey, keys: list[Key], wanted: Mapping[Key, dict[str, Any]], present: Mapping[Key, Entry]
) -> None:
    """Settings that select nodes, of which the oldest counts, where birth is not ours to tell: the oldest comes first.

    Of two born in the same second the name decides, so a second passes where it would decide otherwise. One that an
    interrupted run left too old is made anew.
    """
    last = ("", "")
    for key in sorted(keys, key=lambda each: _age(wanted[each])):
        await way.still_ours()
        there = present.get(key)
        if there is not None and _age(there.value) < last:
            with contextlib.suppress(NotFound):
                await way.to.delete(key)
            there = None
        if there is None and key.name < last[1]:
            await asyncio.sleep(_A_SECOND_S)
        await _noted(way, journey, key, wanted[key], there)
        with contextlib.suppress(NotFound):
            last = _age((await way.to.get(key)).value)


def _selects(value: Json) -> bool:
    spec = value.get("spec")
    return isinstance(spec, Mapping) and bool(spec.get("nodeSelector"))


def _age(value: Json) -> tuple[str, str]:
    """What the oldest is found by: when it was born, then its name."""
    metadata = metadata_of(value)
    return str(metadata.get("creationTimestamp") or ""), str(metadata.get("name") or "")


async def _remove_leftovers(way: Way, wanted: Mapping[Key, Json], present: Mapping[Key, Entry]) -> None:
    """What the source no longer has, and we wrote: now, or in an interrupted run, which had found nothing there."""
    for key, entry in reversed(list(present.items())):
        if key in wanted or is_of_the_store(key, way.target.type, way.source.type):
            continue
        if way.report.state is not State.MINE and key not in way.created:
            continue
        try:
            await way.to.delete(key, entry.revision)
        except (NotFound, Conflict):
            continue  # the comparison at the end tells
        way.report.removed.append(key)


async def _noted(way: Way, journey: Journey, key: Key, value: dict[str, Any], known: Entry | None) -> None:
    """One object; that the destination refuses it is noted, and the others go on."""
    try:
        await _put(way, journey, key, value, known)
    except Unavailable:
        raise
    except MuslinError as error:
        await way.still_ours()
        way.report.refused[key] = error


async def _put(way: Way, journey: Journey, key: Key, value: dict[str, Any], there: Entry | None) -> None:
    """Have one object at the destination as it is to be."""
    _identity.set(value["metadata"])
    for _ in range(_TRIES):
        if there is not None and not differences(key, value, there.value, journey, exact=True):
            return
        try:
            if there is None:
                await way.to.create(key, value)
            elif (await way.to.update(key, value, there.revision)).revision == there.revision:
                return  # it says so already: an API server had completed it
        except (AlreadyExists, Conflict) as error:
            await way.still_ours()
            there = error.current
        except (NotFound, MaybeDone):
            try:
                there = await way.to.get(key)
            except NotFound:
                there = None
        else:
            way.report.written[key.kind] += 1
            way.created.add(key)
            return
    raise Unavailable(Problem(f"{key} changes all the time at the destination", str(key), "see who writes it"))


async def compare(way: Way) -> None:
    """List both anew, with clients of their own, and compare every object and the number of each kind."""
    found: list[Difference] = []
    async with way.source.open() as from_, way.target.open() as to:
        again = Way(way.source, way.target, from_, to, Report(), way.tell)
        wanted, journey = await again.to_move("comparing"), await again.journey()
        for kind in await kinds_of(to, way.target.type):
            async for entry in everything(to, kind):
                sent = wanted.pop(entry.key, None)
                if sent is not None:
                    fields = differences(entry.key, sent, entry.value, journey)
                    found += [Difference(entry.key, f"{field} is not what was sent") for field in fields]
                elif not is_of_the_store(entry.key, way.target.type, way.source.type):
                    found.append(Difference(entry.key, "it is at the destination and not at the source"))
    found += [Difference(key, "it is not at the destination") for key in wanted if key not in way.report.refused]
    way.report.differences = found
