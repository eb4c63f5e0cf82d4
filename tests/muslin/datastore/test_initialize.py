"""A new cluster gets its identity and the built-in tiers, once, whoever comes first."""

from __future__ import annotations

import asyncio
from typing import Any

from muslin.datastore.initialize import CLUSTER_INFORMATION, ensure_initialized
from muslin.datastore.memory import MemoryDatastore
from muslin.resources.keys import Key
from tests.muslin.datastore.suite.drivers import every_driver, over
from tests.support.virtual_time import run_virtual


@every_driver
def test_a_new_cluster_is_made_complete(driver: str) -> None:
    """Identity of 32 hexadecimal digits, ready, and three tiers with their orders and default actions."""

    async def story(one: Any, two: Any) -> None:
        await asyncio.gather(
            ensure_initialized(one, version="v3.32.0", cluster_type=("kdd", "bgp")),
            ensure_initialized(two, version="v3.32.0", cluster_type=("bgp",)),
        )
        spec = (await one.get(CLUSTER_INFORMATION)).value["spec"]
        assert len(spec.pop("clusterGUID")) == 32
        assert spec == {"datastoreReady": True, "calicoVersion": "v3.32.0", "clusterType": "bgp,kdd"}
        tiers = {entry.key.name: entry.value["spec"] for entry in (await one.list("Tier")).entries}
        assert tiers == {
            "default": {"order": 1_000_000, "defaultAction": "Deny"},
            "kube-admin": {"order": 1000, "defaultAction": "Pass"},
            "kube-baseline": {"order": 10_000_000, "defaultAction": "Pass"},
        }

    over(driver, story)


def test_a_second_start_writes_nothing_and_keeps_what_people_changed() -> None:
    """A cluster that is complete is not written; an operator's datastoreReady and tiers stay as they are."""

    async def story() -> None:
        store = MemoryDatastore()
        await ensure_initialized(store, cluster_type=("bgp",))
        entry = await store.get(CLUSTER_INFORMATION)
        locked = {**entry.value, "spec": {**entry.value["spec"], "datastoreReady": False}}
        await store.update(entry.key, locked, entry.revision)
        tier = await store.get(Key("Tier", "kube-admin"))
        await store.update(tier.key, {**tier.value, "spec": {"order": 5}}, tier.revision)
        head = store.history.head
        await ensure_initialized(store, cluster_type=("bgp",))

        assert store.history.head == head

    run_virtual(story())
