"""An object that did not change is read into a model once, whatever happens to the watch."""

from __future__ import annotations

import asyncio
from collections import Counter

from muslin import resources
from muslin.datastore.memory import Fault, MemoryDatastore, Operation
from muslin.datastore.mirror import Decoded, Mirror
from muslin.datastore.protocol import Json
from muslin.resources.keys import Key
from tests.support.virtual_time import run_virtual


def _pool(name: str, number: int) -> tuple[Key, Json]:
    value = {
        "apiVersion": "projectcalico.org/v3",
        "kind": "IPPool",
        "metadata": {"name": name},
        "spec": {"cidr": f"10.{number}.0.0/16"},
    }
    return Key("IPPool", name), value


def test_a_new_list_decodes_only_what_changed() -> None:
    """After the watch broke and history was compacted away, only what is new is decoded."""
    decoded: Counter[str] = Counter()

    def decode(key: Key, value: Json) -> Decoded:
        decoded[key.name] += 1
        return Decoded(resources.load(value, file=str(key)))

    async def story() -> None:
        store = MemoryDatastore()
        client = store.client()
        for number, name in enumerate(("a", "b", "c")):
            await store.create(*_pool(name, number))
        mirror = Mirror(client, ["IPPool"], decode)
        mirror.start()
        await mirror.in_sync()
        client.faults = lambda call: Fault(refused=call.operation is Operation.WATCH)
        client.drop_watches()
        key, value = _pool("b", 9)
        await store.update(key, value, (await store.get(key)).revision)
        await store.create(*_pool("d", 4))
        await store.compact()
        await asyncio.sleep(30)
        client.faults = lambda _: Fault()
        await asyncio.sleep(6)

        assert {key.name for key in mirror.snapshot.resources} == {"a", "b", "c", "d"}
        await mirror.close()

    run_virtual(story())
    assert decoded == {"a": 1, "b": 2, "c": 1, "d": 1}
