"""Hears what nodes say, only while somebody waits for it, and wakes the reconciler when they say something else.

A CalicoNodeStatus that no agent keeps is made here, and removed when nothing waits any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from random import Random
from typing import Final

from muslin.datastore.protocol import AlreadyExists, Datastore, Entry, Forbidden
from muslin.errors import BadInput, Failed
from muslin.resources.keys import Key
from reconciler.live import Live, listed
from reconciler.node_reports import NodeReport, by_node, made_for_gate, status_to_make

__all__ = ["Hearing", "told"]

_KINDS: Final = frozenset({"CalicoNodeStatus", "BlockAffinity"})


class Hearing:
    """What nodes report to one set.

    Args:
        datastore: where nodes report.
        set_name: who waits.
        random: jitter.
        wake: called when something else is reported.

    Attributes:
        follows: whether a look may leave something running that wakes the next one.
    """

    def __init__(self, datastore: Datastore, set_name: str, *, random: Random, wake: Callable[[], None]) -> None:
        self._datastore, self._set, self._random, self._wake = datastore, set_name, random, wake
        self._live: Live | None = None
        self._kinds: frozenset[str] = frozenset()
        self._following: asyncio.Task[None] | None = None
        self._made: set[Key] = set()
        self._swept = False
        self.follows = False
        self._refused: dict[str, str] = {}

    async def entries(self, more: Collection[str] = (), *, reports: bool = True) -> Mapping[Key, Entry]:
        """What is reported, and all objects of `more` kinds: from the copy that is kept, else asked for now.

        Without `reports` those are not followed: nodes tell news all the time, and people take days.
        """
        kinds = (_KINDS if reports else frozenset()) | set(more)
        if not reports and self._kinds & _KINDS:
            await self.quiet()
        if self._live is not None and self._live.in_sync.is_set() and kinds <= self._kinds:
            entries: Mapping[Key, Entry] = self._live.entries
        else:
            entries = await self._asked(kinds)
        if reports and not self._swept:
            # a reconciler before us may have been killed at a gate
            self._swept = True
            self._made |= {key for key, each in entries.items() if _is_made(each, self._set)}
        return entries

    async def _asked(self, kinds: frozenset[str]) -> Mapping[Key, Entry]:
        """What is there now. Where reports may not be read nobody has reported; all else must be readable."""
        try:
            entries, _ = await listed(self._datastore, kinds)
        except Forbidden as error:
            if not kinds & _KINDS:
                raise
            kinds -= _KINDS
            entries, _ = await listed(self._datastore, kinds)
            self._refused["read"] = str(error).splitlines()[0]
        else:
            self._refused.pop("read", None)
        await self._follow(kinds)
        return entries

    @property
    def refused(self) -> tuple[str, ...]:
        """What we may not do, in words: then nodes are not heard, whatever they would say."""
        return tuple(self._refused.values())

    async def reports(self) -> tuple[dict[str, NodeReport], dict[str, list[str]]]:
        """Mapping[node, report] and Mapping[node, blocks]."""
        return told(await self.entries())

    async def ask_nodes(self, nodes: Iterable[str]) -> None:
        """Ask nodes to report that do not do so by themselves."""
        for node in nodes:
            key = Key("CalicoNodeStatus", node)
            if key not in self._made:
                try:
                    with suppress(AlreadyExists, BadInput):
                        await self._datastore.create(key, status_to_make(node, self._set))
                except Forbidden as error:
                    self._refused["ask"] = str(error).splitlines()[0]
                    return  # nor may we ask another one
                self._refused.pop("ask", None)
                self._made.add(key)

    async def quiet(self) -> None:
        """Stop listening; what was made stays, for the next process to find."""
        task, self._following, self._live = self._following, None, None
        self._kinds = frozenset()
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def rest(self) -> None:
        """Nothing waits: stop listening, and take back what was made for it."""
        await self.quiet()
        if self._made:
            with suppress(Forbidden):
                entries, _ = await listed(self._datastore, ("CalicoNodeStatus",))
                for key, entry in entries.items():
                    if made_for_gate(entry, self._set):
                        with suppress(Failed):
                            await self._datastore.delete(key, entry.revision)
            self._made.clear()

    async def _follow(self, kinds: frozenset[str]) -> None:
        if not self.follows or kinds <= self._kinds:
            return
        kinds |= self._kinds
        await self.quiet()
        self._kinds = kinds
        self._live = Live(self._datastore, kinds, random=self._random, changed=self._wake)
        self._following = asyncio.ensure_future(self._live.run())


def told(entries: Mapping[Key, Entry]) -> tuple[dict[str, NodeReport], dict[str, list[str]]]:
    """Mapping[node, report] and Mapping[node, blocks] among these objects."""
    blocks: dict[str, list[str]] = {}
    for key, entry in entries.items():
        spec = entry.value.get("spec")
        if key.kind == "BlockAffinity" and isinstance(spec, Mapping) and spec.get("state") == "confirmed":
            blocks.setdefault(str(spec.get("node")), []).append(str(spec.get("cidr")))
    return by_node(each for key, each in entries.items() if key.kind == "CalicoNodeStatus"), blocks


def _is_made(entry: Entry, set_name: str) -> bool:
    return entry.key.kind == "CalicoNodeStatus" and made_for_gate(entry, set_name)
