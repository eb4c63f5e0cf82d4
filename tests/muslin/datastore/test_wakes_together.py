"""Writes in quick succession wake other users of the embedded datastore's file once for all of them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from muslin.datastore.embedded import EmbeddedDatastore
from muslin.datastore.protocol import Bookmark, Revision
from muslin.resources.keys import Key

_KIND = "NetworkSet"
_SOON_S = 0.8
"""Long before the slow poll, which looks every second."""


async def _seen(store: EmbeddedDatastore, count: int) -> None:
    names = set()
    async for event in store.watch({_KIND}, Revision("0")):
        if not isinstance(event, Bookmark):
            names.add(event.key.name)
        if len(names) == count:
            return


@pytest.mark.parametrize("closed", [False, True])
def test_writes_of_a_moment_wake_others_once_and_in_time(tmp_path: Path, *, closed: bool) -> None:
    """Six writes cost one wake-up, or some where the machine is busy; the last is seen though its writer ends."""
    rings = []

    async def story() -> None:
        writer = EmbeddedDatastore.open(tmp_path / "db", wake_after_s=0.2)
        reader = EmbeddedDatastore.open(tmp_path / "db")
        ring = writer._waking._bell.ring
        writer._waking._bell.ring = lambda: rings.append(1) or ring()  # type: ignore[func-returns-value, method-assign]
        seen = asyncio.ensure_future(_seen(reader, 6))
        await asyncio.sleep(0)
        for number in range(6):
            await writer.create(Key(_KIND, f"n{number}", "default"), {})
        if closed:
            await writer.close()
        await asyncio.wait_for(seen, _SOON_S)
        await writer.close()
        await reader.close()

    asyncio.run(story())

    assert 1 <= len(rings) <= 3
