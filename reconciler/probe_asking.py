"""Asks nodes what people's probes want to know, and hears what they answer.

Objects that ask are made here and removed when nothing waits any more; those of a process that was killed are found and
removed by the next one. Who asks whom is looked up once for a commit, and again where a pod is not where it was.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from muslin.datastore.objects import UNREADABLE
from muslin.datastore.protocol import Datastore, Entry, NotFound, Revision
from muslin.errors import BadInput, Failed, MuslinError
from muslin.resources.base import Resource
from muslin.resources.keys import Key
from muslin.resources.stored import load_stored
from muslin.semantics.snapshot import Snapshot
from reconciler.hearing import Hearing
from reconciler.live import listed
from reconciler.node_reports import by_node
from reconciler.probe import Probe
from reconciler.probe_questions import (
    KIND,
    Answers,
    Holds,
    Pair,
    Result,
    answers_of,
    mark_of,
    pairs_of,
    request,
    request_key,
    result,
)

__all__ = ["Asking", "Question"]

_PEOPLE: Final = ("WorkloadEndpoint", "Profile")


@dataclass(frozen=True, slots=True)
class Question:
    """Of which commit it is asked, when in its life, from which revision of the datastore on; `now` on a clock."""

    commit: str
    phase: str
    after: int
    now: float


class Asking:
    """What one set asks.

    Args:
        datastore: where nodes are asked.
        set_name: who asks.
        hearing: what nodes report and answer.
    """

    def __init__(self, datastore: Datastore, set_name: str, hearing: Hearing) -> None:
        self._datastore, self._set, self._hearing = datastore, set_name, hearing
        self._probes: tuple[Probe, ...] = ()
        self._pairs: tuple[Pair, ...] | None = None
        self._sent: dict[Key, tuple[Revision | None, Entry]] = {}
        self._may_be_asked = True

    def about(self, probes: tuple[Probe, ...]) -> None:
        """From now on these are asked."""
        self._probes, self._pairs = probes, None

    @property
    def looks_for_pods(self) -> bool:
        """Whether a pod is not where it was, so that the next `results` looks where it is."""
        return self._pairs is None

    async def rest(self) -> None:
        """Take back what was asked, also by a process before us."""
        self._sent.clear()
        if self._may_be_asked:
            entries, _ = await listed(self._datastore, (KIND,))
            for entry in entries.values():
                if _is_of(entry, self._set):
                    await self._take_away(entry)
            self._may_be_asked = False

    async def results(self, asked: Question, probes: Sequence[Probe]) -> tuple[Result, ...]:
        """What is known of these probes now; whoever has not been asked this is asked."""
        entries = await self._hearing.entries((KIND,))
        if self._pairs is None:
            self._pairs = await self._resolved()
        by_place: dict[str, list[Pair]] = {}
        for pair in self._pairs:
            by_place.setdefault(pair.node, []).append(pair)
        reports = by_node(each for key, each in entries.items() if key.kind == "CalicoNodeStatus")
        deaf = {node for node in by_place if node not in reports or reports[node].applied is None}
        mark = mark_of(asked.commit, asked.phase, asked.after, self._pairs)
        told: Answers = {}
        for node, pairs in by_place.items():
            if node in deaf:
                continue
            entry = await self._ask(entries, node, mark, asked.after, pairs)
            if entry is None:
                deaf.add(node)
            else:
                told = {**told, **answers_of(entry, mark)}
        found = tuple(
            result(each, [pair for pair in self._pairs if pair.probe.name == each.name], told, deaf) for each in probes
        )
        for old in tuple(entries.values()):
            if _is_of(old, self._set) and str(old.value["spec"].get("node")) not in by_place:
                await self._take_away(old)
        failing = [each.probe.name for each in found if each.holds is Holds.NO]
        if any(each.gone for each in found) or await self._went(failing):
            self._pairs = None  # a pod is not where it was: the next look finds where it is
        return found

    async def _went(self, failing: Collection[str]) -> bool:
        """Whether a pod that is asked in vain has gone, or has another address."""
        for pair in self._pairs or ():
            if pair.probe.name in failing and pair.asked is not None:
                try:
                    spec = (await self._datastore.get(pair.asked)).value.get("spec")
                except NotFound:
                    return True
                networks = spec.get("ipNetworks") if isinstance(spec, Mapping) else None
                known = networks if isinstance(networks, list | tuple) else ()
                if f"{pair.target}/{pair.target.max_prefixlen}" not in known:
                    return True
        return False

    async def _take_away(self, entry: Entry) -> None:
        self._sent.pop(entry.key, None)
        with suppress(Failed):
            await self._datastore.delete(entry.key, entry.revision)

    async def _ask(
        self, entries: Mapping[Key, Entry], node: str, mark: str, after: int, pairs: Sequence[Pair]
    ) -> Entry | None:
        """The object that asks this node this question; None where it cannot be asked."""
        key = request_key(self._set, node)
        value, entry = request(self._set, node, mark, after, pairs), entries.get(key)
        replaced, sent = self._sent.get(key, (None, None))
        if sent is not None and replaced == (None if entry is None else entry.revision):
            entry = sent  # nobody has told us yet of what we wrote
        if entry is not None and entry.value.get("spec") == value["spec"]:
            return entry
        if entry is not None and _is_of_another(entry, self._set):
            return None  # their names and the nodes' are spelt alike together
        self._may_be_asked = True
        try:
            if entry is None:
                self._sent[key] = (None, await self._datastore.create(key, value))
            else:
                self._sent[key] = (entry.revision, await self._datastore.update(key, value, entry.revision))
        except Failed:
            return entry  # somebody wrote in between, which wakes us; or there is no such kind here
        return self._sent[key][1]

    async def _resolved(self) -> tuple[Pair, ...]:
        entries, _ = await listed(self._datastore, _PEOPLE)
        found: list[Resource] = []
        for key, entry in entries.items():
            if UNREADABLE not in entry.value:
                with suppress(BadInput, MuslinError):
                    found.append(load_stored(entry.value, str(key))[0])
        return pairs_of(self._probes, Snapshot.of(found))


def _is_of(entry: Entry, set_name: str) -> bool:
    spec = entry.value.get("spec")
    return entry.key.kind == KIND and isinstance(spec, Mapping) and spec.get("set") == set_name


def _is_of_another(entry: Entry, set_name: str) -> bool:
    spec = entry.value.get("spec")
    return isinstance(spec, Mapping) and spec.get("set") not in (None, set_name)
