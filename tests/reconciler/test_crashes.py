"""SIGKILL at every call to the datastore, then another process: the same end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muslin.datastore.protocol import Bookmark, Change, Datastore, Entry, Json, Listing, Revision
from muslin.resources.keys import Key
from tests.reconciler.cases import World, commit_of, policy, policy_key, tier


class _Killed(BaseException):
    """The process is gone: nothing of it runs on."""


class _Mortal:
    """A datastore client whose process dies before or after its n-th write reached the store."""

    def __init__(self, store: Datastore, writes: int, *, after: bool) -> None:
        self._store, self._left, self._after = store, writes, after
        self._dead = False

    async def _write(self, deed: Any) -> Entry:
        self._left -= 1
        mine = self._left
        if self._dead or (mine == 0 and not self._after):
            self._dead = True
            deed.close()
            raise _Killed
        entry: Entry = await deed
        if mine == 0:
            self._dead = True
            raise _Killed
        return entry

    async def get(self, key: Key) -> Entry:
        """As the store."""
        return await self._store.get(key)

    async def list(
        self, kind: str, *, namespace: str | None = None, limit: int | None = None, after: str | None = None
    ) -> Listing:
        """As the store."""
        return await self._store.list(kind, namespace=namespace, limit=limit, after=after)

    async def create(self, key: Key, value: Json) -> Entry:
        """As the store, or death."""
        return await self._write(self._store.create(key, value))

    async def update(self, key: Key, value: Json, revision: Revision) -> Entry:
        """As the store, or death."""
        return await self._write(self._store.update(key, value, revision))

    async def delete(self, key: Key, revision: Revision | None = None) -> Entry:
        """As the store, or death."""
        return await self._write(self._store.delete(key, revision))

    def watch(self, kinds: Collection[str], after: Revision) -> AsyncIterator[Change | Bookmark]:
        """As the store."""
        return self._store.watch(kinds, after)

    async def close(self) -> None:
        """As the store."""


_FIRST = commit_of("kept", "gone", "changed") | {"tier.yaml": tier("ops")}
_SECOND = commit_of("kept", "new") | {"changed.yaml": policy("changed", action="Deny"), "tier.yaml": tier("ops")}
_THIRD = commit_of("kept") | {"tier.yaml": tier("ops")}
_STRANGER = Key("NetworkPolicy", "stranger", "shop")


async def _die_at(write: int, *, after: bool) -> bool:
    """Whether a process that dies at its n-th write of the second commit really died; checks what comes after."""
    world = World()
    stranger = {
        "kind": "NetworkPolicy",
        "metadata": {"name": "stranger", "namespace": "shop"},
        "spec": {"selector": "all()"},
    }
    await world.store.create(_STRANGER, stranger)
    world.source.push(_FIRST)
    await world.look()
    world.source.push(_SECOND)
    died = False
    try:
        await world.controller(_Mortal(world.store.client(), write, after=after)).once()
    except _Killed:
        died = True
    await world.look()
    assert set(await world.objects()) == {
        policy_key("kept"), policy_key("changed"), policy_key("new"), Key("Tier", "ops"), _STRANGER
    }  # fmt: skip
    changed = (await world.store.get(policy_key("changed"))).value
    assert changed["spec"]["ingress"][0]["action"] == "Deny"
    # ownership was not lost: what the second commit made goes with the third, a stranger's object does not
    world.source.push(_THIRD)
    status = await world.look()
    assert set(await world.objects()) == {policy_key("kept"), Key("Tier", "ops"), _STRANGER}
    assert not status.blocked
    head = world.store.history.head
    await world.look()
    assert world.store.history.head == head
    return died


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_death_at_every_write_ends_in_the_same_state(*, after: bool) -> None:
    """Killed before or after any write, the next process ends where one that lived would have."""

    async def scenario() -> int:
        write = 1
        while await _die_at(write, after=after):
            write += 1
        return write - 1

    assert asyncio.run(scenario()) >= 6


def test_an_intent_does_not_make_a_strangers_object_ours() -> None:
    """Killed before a create; a stranger makes another object of that name; without being declared it is not pruned."""

    async def intended_only(write: int) -> World | None:
        world = World()
        world.source.push(commit_of("kept"))
        await world.look()
        world.source.push(commit_of("kept", "new"))
        with suppress(_Killed):
            await world.controller(_Mortal(world.store.client(), write, after=False)).once()
        parts = (await world.store.list("ReconcilerLedger")).entries
        owned = {item for part in parts for item in part.value["spec"]["items"]}
        intended = "NetworkPolicy/shop/new" in owned and policy_key("new") not in await world.objects()
        return world if intended else None

    async def scenario() -> None:
        worlds = [await intended_only(write) for write in range(1, 6)]
        world = next(each for each in worlds if each is not None)
        metadata = {"name": "new", "namespace": "shop"}
        await world.store.create(
            policy_key("new"), {"kind": "NetworkPolicy", "metadata": metadata, "spec": {"selector": "all()"}}
        )
        world.source.push(commit_of("kept"))
        await world.look()

        assert (await world.store.get(policy_key("new"))).value["spec"] == {"selector": "all()"}

    asyncio.run(scenario())


_COMMITS = st.lists(
    st.dictionaries(
        st.sampled_from(["a", "b", "c", "d"]),
        st.tuples(st.sampled_from(["Allow", "Deny"]), st.integers(1, 3)),
        min_size=1,
    ),
    min_size=1,
    max_size=4,
)


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(_COMMITS, st.randoms(use_true_random=False))
def test_any_history_of_commits_gives_what_the_last_one_alone_gives(
    history: list[dict[str, tuple[str, int]]], random: Any
) -> None:
    """Whatever was applied, edited, deleted or interrupted before, the last commit alone decides."""

    def files(commit: dict[str, tuple[str, int]]) -> dict[str, str]:
        return {f"{name}.yaml": policy(name, action=action, order=order) for name, (action, order) in commit.items()}

    async def scenario() -> None:
        world, alone = World(), World()
        for commit in history:
            world.source.push(files(commit))
            try:
                mortal = _Mortal(world.store.client(), random.randint(1, 12), after=random.random() < 0.5)
                await world.controller(mortal).once()
            except _Killed:
                pass
            for key in list(await world.objects()):
                if key.name in history[-1] and random.random() < 0.3:
                    await world.store.delete(key)
        await world.look()
        alone.source.push(files(history[-1]))
        await alone.look()
        assert await world.objects() == await alone.objects()

    asyncio.run(scenario())
