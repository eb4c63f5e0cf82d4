"""Small manifests, and a controller over memory, for the tests beside."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any

from muslin.datastore.built_in import DEFAULT_PROFILE
from muslin.datastore.memory import MemoryDatastore
from muslin.datastore.protocol import Datastore
from muslin.resources.keys import Key
from reconciler.controller import Controller, Settings
from reconciler.guard import AskRevert
from reconciler.manifests import declarable
from reconciler.plan import Budget
from reconciler.status import Event, Status
from tests.support.memory_git import MemorySource

UNASKED = Budget(confirm=frozenset())
"""What of ours is not declared any more goes without a word."""
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def policy(name: str, *, action: str = "Allow", order: int = 100, labels: Mapping[str, str] | None = None) -> str:
    """A namespaced policy with one ingress rule."""
    label_lines = "".join(f"\n    {key}: {value}" for key, value in (labels or {}).items())
    return f"""apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata:
  name: {name}
  namespace: shop{f"{chr(10)}  labels:" if labels else ""}{label_lines}
spec:
  order: {order}
  selector: app == '{name}'
  types: [Ingress]
  ingress:
  - action: {action}
    source:
      selector: app == 'client'
"""


def pool(name: str, cidr: str) -> str:
    """An address pool."""
    return f"""apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {{name: {name}}}
spec: {{cidr: {cidr}, blockSize: 26, natOutgoing: true}}
"""


def tier(name: str) -> str:
    """A tier."""
    return f"apiVersion: projectcalico.org/v3\nkind: Tier\nmetadata: {{name: {name}}}\nspec: {{order: 50}}\n"


def policy_key(name: str) -> Key:
    """The key of `policy(name)`."""
    return Key("NetworkPolicy", name, "shop")


def commit_of(*names: str) -> dict[str, str]:
    """Files of a commit with a policy for each name."""
    return {f"{name}.yaml": policy(name) for name in names}


@dataclass
class World:
    """A datastore and a repository in memory; `look` is a fresh reconciler process that looks once."""

    source: MemorySource = field(default_factory=MemorySource)
    store: MemoryDatastore = field(default_factory=MemoryDatastore)
    events: list[Event] = field(default_factory=list)
    settings: Settings = field(default_factory=lambda: Settings(budget=UNASKED))

    def controller(self, datastore: Datastore | None = None, ask_revert: AskRevert | None = None) -> Controller:
        """A reconciler that has just been started."""
        return Controller(
            datastore or self.store.client(),
            self.source,
            self.settings,
            random=Random(1),
            now=lambda: NOW,
            tell=self.events.append,
            ask_revert=ask_revert,
        )

    async def look(self) -> Status:
        """What a fresh process finds and does in one look."""
        return await self.controller().once()

    async def objects(self) -> dict[Key, Any]:
        """Every object of declarable kinds that somebody wrote, without what the store fills."""
        found: dict[Key, Any] = {}
        for kind in declarable():
            for entry in (await self.store.list(kind)).entries:
                if entry.key == DEFAULT_PROFILE:
                    continue
                metadata = {k: v for k, v in entry.value["metadata"].items() if k in ("name", "labels", "annotations")}
                found[entry.key] = (metadata, entry.value.get("spec"))
        return found

    async def edit(self, key: Key, **spec: Any) -> None:
        """Somebody changes fields of an object's spec by hand."""
        entry = await self.store.get(key)
        value = {**entry.value, "spec": {**entry.value["spec"], **spec}}
        await self.store.update(key, value, entry.revision)

    async def until(self, *keys: Key, gone: bool = False) -> None:
        """Until these objects are there, or gone; told by a watch."""
        async with asyncio.timeout(10):
            async for _ in self.store.watch({key.kind for key in keys}, (await self.store.list("Tier")).revision):
                if all((key in self.store_keys()) is not gone for key in keys):
                    return

    def store_keys(self) -> set[Key]:
        """The keys of all objects now."""
        return {entry.key for kind in declarable() for entry in self.store.history.list(kind).entries}
