"""IPAM over the embedded datastore between real processes."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from pathlib import Path

import pytest

from muslin.datastore.embedded import EmbeddedDatastore
from muslin.ipam.blocks import Block
from tests.muslin.datastore.test_processes import child


@pytest.mark.slow
def test_four_processes_never_share_an_address(tmp_path: Path) -> None:
    """Four nodes assign fifty addresses each, at once: two hundred different ones, and the books agree."""
    path = tmp_path / "db"

    async def books() -> dict[str, str | None]:
        store = EmbeddedDatastore.open(path)
        found: dict[str, str | None] = {}
        for entry in (await store.list("IPAMBlock")).entries:
            block = Block.read(entry.value)
            for ordinal, index in enumerate(block.allocations):
                if index is not None:
                    found[str(block.address(ordinal))] = block.attributes[index].handle
        await store.close()
        return found

    asyncio.run(books())
    got: dict[str, str] = {}
    with ExitStack() as stack:
        processes = [stack.enter_context(child("assign", path, f"node-{i}", 50)) for i in range(4)]
        for process in processes:
            assert process.stdout is not None
            for text in process.stdout:
                _, address, handle = text.split()
                assert address not in got
                got[address] = handle
            assert process.wait() == 0

    assert len(got) == 200
    assert asyncio.run(books()) == got
