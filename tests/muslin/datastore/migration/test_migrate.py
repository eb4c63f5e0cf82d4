"""Moving everything between stores of this process: what is refused, left out, repeated, and told."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from muslin.datastore import migrate_copy
from muslin.datastore.history import History
from muslin.datastore.initialize import CLUSTER_INFORMATION, ensure_initialized
from muslin.datastore.lock import set_ready
from muslin.datastore.memory import Call, Fault, MemoryDatastore, Operation
from muslin.datastore.migrate import migrate
from muslin.datastore.migrate_marker import ANNOTATION, State
from muslin.datastore.migrate_objects import MOVED_KINDS, Journey, StoreType, Why, differences, moved
from muslin.datastore.migrate_report import End
from muslin.datastore.protocol import Datastore
from muslin.errors import BadInput, Unavailable
from muslin.resources.keys import Key
from muslin.resources.registry import KINDS
from tests.muslin.datastore.migration.cases import NAMES, NOW, contents, filled, key_value

pytestmark = pytest.mark.slow

Faults = Callable[[Call], Fault]


def end(store: MemoryDatastore, name: str, type_: StoreType = StoreType.EMBEDDED, faults: Faults | None = None) -> End:
    """An end that is a store of this process."""

    @contextlib.asynccontextmanager
    async def opened() -> AsyncIterator[Datastore]:
        yield store.client(faults) if faults else store.client()

    return End(name, type_, opened)


def run(story: Callable[[MemoryDatastore, MemoryDatastore], Awaitable[None]]) -> None:
    """A story over a full store and an empty one."""

    async def main() -> None:
        source = MemoryDatastore()
        await filled(source)
        await asyncio.wait_for(story(source, MemoryDatastore()), 30)

    asyncio.run(main())


async def ready(store: Datastore) -> bool:
    """Whether agents may work."""
    return bool((await store.get(CLUSTER_INFORMATION)).value["spec"]["datastoreReady"])


async def heads(*stores: MemoryDatastore) -> list[int]:
    """How much was written into each."""
    return [store.history.head for store in stores]


def test_every_kind_has_its_place_in_the_order() -> None:
    """A kind that is not in the order would stay behind unsaid."""
    assert set(KINDS) - set(MOVED_KINDS) == {"ClusterInformation"}


def test_everything_arrives_and_the_locks_change_sides() -> None:
    """Objects are equal, the destination has the cluster's identity and is unlocked, the source is locked."""

    async def story(source: MemoryDatastore, target: MemoryDatastore) -> None:
        report = await migrate(end(source, "a"), end(target, "b"))
        assert report.complete
        assert await contents(target, MOVED_KINDS) == await contents(source, MOVED_KINDS)
        assert (await ready(source), await ready(target)) == (False, True)
        guids = [(await store.get(CLUSTER_INFORMATION)).value["spec"]["clusterGUID"] for store in (source, target)]
        assert guids[0] == guids[1]

    run(story)


def test_a_dry_run_writes_nothing() -> None:
    """It tells what would be moved, and neither store is written."""

    async def story(source: MemoryDatastore, target: MemoryDatastore) -> None:
        before = await heads(source, target)
        report = await migrate(end(source, "a"), end(target, "b"), dry_run=True)
        assert report.found["GlobalNetworkPolicy"] == 1
        assert await heads(source, target) == before

    run(story)


@pytest.mark.parametrize("there", ["an object", "another's migration", "itself"])
def test_a_destination_in_use_is_refused_and_nothing_is_locked(there: str) -> None:
    """Neither an object of somebody, nor an unfinished migration of another cluster, nor the source itself."""

    async def story(source: MemoryDatastore, target: MemoryDatastore) -> None:
        if there == "itself":
            target = source
        elif there == "an object":
            await target.create(*key_value("IPPool", "theirs", spec={"cidr": "203.0.113.0/24"}))
        else:
            await ensure_initialized(target)
            found = await target.get(CLUSTER_INFORMATION)
            marker = {"from": "0" * 32, "number": "1", "state": "copying"}
            metadata = {**found.value["metadata"], "annotations": {ANNOTATION: json.dumps(marker)}}
            await target.update(found.key, {**found.value, "metadata": metadata}, found.revision)
        with pytest.raises(BadInput):
            await migrate(end(source, "a"), end(target, "b"))
        assert await ready(source)

    run(story)


def test_what_the_source_still_wrote_comes_along_or_goes() -> None:
    """A lock keeps nobody from writing: what changes while it is copied is copied again before the unlocking."""

    async def story(source: MemoryDatastore, target: MemoryDatastore) -> None:
        done: list[str] = []
        tasks = []

        def tell(what: str, *_: int) -> None:
            if what == "GlobalNetworkPolicy" and not done:
                done.append(what)
                tasks.append(asyncio.ensure_future(late()))

        async def late() -> None:
            await source.create(*key_value("GlobalNetworkSet", "late", spec={"nets": []}))
            await source.delete(Key("GlobalNetworkSet", "bad"))

        report = await migrate(end(source, "a"), end(target, "b"), progress=tell)
        await asyncio.gather(*tasks)
        assert report.complete
        assert [entry.key.name for entry in (await target.list("GlobalNetworkSet")).entries] == ["late"]

    run(story)


@pytest.mark.parametrize("lost", range(4, 60, 7))
def test_a_store_that_falls_silent_ends_it_and_the_repetition_finishes(lost: int) -> None:
    """From one request on the destination is gone: Unavailable, still locked; repeated, everything is there."""

    async def story(source: MemoryDatastore, target: MemoryDatastore) -> None:
        calls = 0

        def silent(call: Call) -> Fault:
            nonlocal calls
            calls += call.operation in (Operation.CREATE, Operation.UPDATE)
            return Fault(refused=True) if calls == lost else Fault()

        with contextlib.suppress(Unavailable):
            await migrate(end(source, "a"), end(target, "b", faults=silent))
            assert calls < lost
        await source.delete(Key("GlobalNetworkSet", "bad"))
        report = await migrate(end(source, "a"), end(target, "b"))
        assert report.complete
        if report.state is State.MINE:
            assert await contents(target, MOVED_KINDS) == await contents(source, MOVED_KINDS)
        assert (await ready(source), await ready(target)) == (False, True)

    run(story)


@pytest.mark.parametrize("kind", ["Tier", "NetworkSet", "IPAMBlock", "compared"])
def test_a_run_that_another_has_overtaken_writes_nothing_more(kind: str) -> None:
    """Two runs at once: the first to finish unlocks, agents begin to write, and the other does not put that back."""

    async def story(source: MemoryDatastore, target: MemoryDatastore) -> None:
        at = asyncio.Event()
        done = False

        def held(call: Call) -> Fault:
            """From here on the slow run is asleep for long."""
            nonlocal done
            if done or call.operation is not Operation.CREATE or call.key is None or call.key.kind != kind:
                return Fault()
            done = True
            at.set()
            return Fault(delay_s=0.5)

        slow = asyncio.ensure_future(migrate(end(source, "a"), end(target, "b", faults=held)))
        waiting = asyncio.ensure_future(at.wait())
        await asyncio.wait([slow, waiting], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        assert (await migrate(end(source, "a"), end(target, "b"))).state in (State.MINE, State.DONE)
        handle = (await target.list("IPAMHandle")).entries[0]
        await target.update(handle.key, {**handle.value, "spec": {**handle.value["spec"], "agent": "was here"}},
                            handle.revision)  # fmt: skip
        await target.delete(Key("StagedGlobalNetworkPolicy", "later"))
        with contextlib.suppress(BadInput):
            await slow
        assert (await target.get(handle.key)).value["spec"]["agent"] == "was here"
        assert (await target.list("StagedGlobalNetworkPolicy")).entries == ()
        assert await ready(target)

    run(story)


def test_lost_answers_are_no_failure() -> None:
    """Every third write is done and its answer lost: the object is read again, and all goes on."""

    async def story(source: MemoryDatastore, target: MemoryDatastore) -> None:
        calls = 0

        def lossy(call: Call) -> Fault:
            nonlocal calls
            if call.operation is not Operation.CREATE or call.key == CLUSTER_INFORMATION:
                return Fault()
            calls += 1
            return Fault(answer_lost=calls % 3 == 0)

        assert (await migrate(end(source, "a"), end(target, "b", faults=lossy))).complete
        assert await contents(target, MOVED_KINDS) == await contents(source, MOVED_KINDS)

    run(story)


def test_a_finished_migration_is_told_and_not_done_again() -> None:
    """The repetition of a command that was done changes nothing, whatever the new cluster has written since."""

    async def story(source: MemoryDatastore, target: MemoryDatastore) -> None:
        await migrate(end(source, "a"), end(target, "b"))
        await target.create(*key_value("GlobalNetworkSet", "new", spec={"nets": []}))
        before = await heads(source, target)
        report = await migrate(end(source, "a"), end(target, "b"))
        assert report.state is State.DONE
        assert await heads(source, target) == before
        await set_ready(source, ready=True)
        with pytest.raises(BadInput, match="in use"):
            await migrate(end(source, "a"), end(target, "b"))
        assert await ready(source)

    run(story)


def journey(to: StoreType, source: StoreType = StoreType.ETCD) -> Journey:
    """A way to a store; Kubernetes has the nodes and the namespace."""
    if to is not StoreType.KUBERNETES:
        return Journey(source, to, {})
    return Journey(source, to, NAMES, frozenset(NAMES.values()), frozenset({"shop"}))


@pytest.mark.parametrize(
    ("kind", "name", "namespace", "spec", "expected"),
    [
        ("Profile", "kns.shop", None, {}, Why.MADE_THERE),
        ("Profile", "ksa.shop.default", None, {}, Why.MADE_THERE),
        ("Profile", "mine", None, {}, Why.NOT_KEPT),
        ("WorkloadEndpoint", "w", "shop", {"orchestrator": "k8s"}, Why.MADE_THERE),
        ("WorkloadEndpoint", "w", "shop", {"orchestrator": "openstack"}, Why.NOT_KEPT),
        ("NetworkPolicy", "knp.default.web", "shop", {}, Why.MADE_THERE),
        ("NetworkPolicy", "web", "nowhere", {}, Why.NO_NAMESPACE),
        ("Node", "node9", None, {}, Why.NO_NODE),
        ("LiveMigration", "m", "shop", {}, Why.NOT_KEPT),
        ("IPAMHandle", "h", None, {"handleID": "h", "deleted": True}, Why.BEING_DELETED),
        ("FelixConfiguration", "node.node1", None, {}, Key("FelixConfiguration", "node.k1.example")),
        ("FelixConfiguration", "node.other", None, {}, Key("FelixConfiguration", "node.other")),
        ("IPAMHandle", "ipip-tunnel-addr-node1", None, {"handleID": "ipip-tunnel-addr-node1"},
         Key("IPAMHandle", "ipip-tunnel-addr-k1.example")),
        ("Node", "node1", None, {}, Key("Node", "k1.example")),
    ],
)  # fmt: skip
def test_what_becomes_of_an_object_on_its_way_into_kubernetes(
    kind: str, name: str, namespace: str | None, spec: dict[str, Any], expected: Key | Why
) -> None:
    """What Kubernetes makes itself is left out, what has no place there is told, what names a node follows it."""
    became = moved(*key_value(kind, name, namespace, spec=spec), journey(StoreType.KUBERNETES))
    assert (became if isinstance(became, Why) else became[0]) == expected


def test_owners_of_an_api_server_stay_there() -> None:
    """Finalizers and owners name controllers and UIDs of one cluster; between other stores they are the user's."""
    metadata = {"finalizers": ["a/b"], "ownerReferences": [{"uid": "1"}], "uid": "u", "resourceVersion": "7"}
    given = key_value("IPPool", "p", metadata=metadata, spec={})
    for source, target, kept in (
        (StoreType.KUBERNETES, StoreType.ETCD, {"name", "uid"}),
        (StoreType.ETCD, StoreType.EMBEDDED, {"name", "uid", "finalizers", "ownerReferences"}),
    ):
        became = moved(*given, journey(target, source))
        assert not isinstance(became, Why)
        assert set(became[1]["metadata"]) == kept


def test_policies_and_composed_kinds_of_kubernetes_are_written_out_elsewhere() -> None:
    """Nobody makes them there: its own policies get the names that Calico's controller gives them."""
    way = journey(StoreType.ETCD, StoreType.KUBERNETES)
    became = moved(*key_value("KubernetesNetworkPolicy", "web", "shop", spec={"order": 1000}), way)
    assert not isinstance(became, Why)
    assert became[0] == Key("NetworkPolicy", "knp.default.web", "shop")
    assert became[1]["kind"] == "NetworkPolicy"
    assert moved(*key_value("KubernetesClusterNetworkPolicy", "a", spec={}), way) is Why.NOT_KEPT
    for kind, name in (("Profile", "kns.shop"), ("WorkloadEndpoint", "w")):
        assert not isinstance(moved(*key_value(kind, name, spec={}), way), Why)


@pytest.mark.parametrize(
    ("wanted", "there", "to", "found"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, StoreType.KUBERNETES, []),
        ({"a": 1}, {"a": 1, "b": 2}, StoreType.ETCD, ["spec.b"]),
        ({"a": {"b": [1, {"c": 2}]}}, {"a": {"b": [1, {"c": 3}]}}, StoreType.KUBERNETES, ["spec.a.b[1].c"]),
        ({"a": [1]}, {"a": [1, 2]}, StoreType.KUBERNETES, ["spec.a"]),
        ({"unknown": "x"}, {}, StoreType.KUBERNETES, ["spec.unknown"]),
        ({"a": None, "b": []}, {}, StoreType.KUBERNETES, []),
        ({"a": 1}, {"a": True}, StoreType.KUBERNETES, ["spec.a"]),
        ({"a": 0}, {}, StoreType.KUBERNETES, ["spec.a"]),
    ],
)
def test_what_counts_as_arrived(wanted: dict[str, Any], there: dict[str, Any], to: StoreType, found: list[str]) -> None:
    """An API server may add; nobody may lose or change."""
    key, sent = key_value("IPPool", "p", spec=wanted)
    assert differences(key, sent, key_value("IPPool", "p", spec=there)[1], journey(to)) == found


def test_settings_that_select_nodes_keep_their_order_of_age(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest counts, and an API server tells births itself, in seconds: the order is the same afterwards.

    Also where an interrupted run had left the youngest there already.
    """
    monkeypatch.setattr(migrate_copy, "_A_SECOND_S", 0.003)
    names = ["c", "a", "d", "b"]
    born = iter(range(100))

    async def story() -> None:
        loop = asyncio.get_running_loop()
        source = MemoryDatastore(history=History(now=lambda: NOW + timedelta(seconds=next(born))))
        target = MemoryDatastore(history=History(now=lambda: NOW + timedelta(seconds=loop.time() // 0.002)))
        await ensure_initialized(source)
        for name in names:
            await source.create(*key_value("FelixConfiguration", name, spec={"nodeSelector": "all()"}))
        ends = end(source, "a"), end(target, "b", StoreType.KUBERNETES)
        report = await migrate(*ends)
        assert (report.complete, await by_age(target)) == (True, names)

        cluster = (await target.get(CLUSTER_INFORMATION)).value
        await target.delete(CLUSTER_INFORMATION)
        await target.delete(Key("FelixConfiguration", "c"))
        left = {**cluster, "spec": {**cluster["spec"], "datastoreReady": False}}
        mark = json.loads(left["metadata"]["annotations"][ANNOTATION])
        left["metadata"] = {
            "name": "default",
            "annotations": {ANNOTATION: json.dumps(mark | {"state": State.MINE.value})},
        }
        await target.create(CLUSTER_INFORMATION, left)
        again = await migrate(*ends)
        assert (again.complete, await by_age(target)) == (True, names), again

    asyncio.run(story())


async def by_age(store: Datastore) -> list[str]:
    """Names of settings, the oldest first."""
    found = [each.value["metadata"] for each in (await store.list("FelixConfiguration")).entries]
    return [each["name"] for each in sorted(found, key=lambda each: (each["creationTimestamp"], each["name"]))]


def test_a_status_that_only_somebody_newer_knows_is_no_loss() -> None:
    """Definitions of ours have no place for the status of a policy; whose it is tells it anew. Else it comes along."""
    given = key_value("NetworkPolicy", "web", "shop", spec={}, status={"conditions": [{"type": "Ready"}]})
    for target, kept in ((StoreType.KUBERNETES, False), (StoreType.EMBEDDED, True)):
        became = moved(*given, journey(target))
        assert not isinstance(became, Why)
        assert ("status" in became[1]) is kept
    pool = moved(*key_value("IPPool", "p", spec={}, status={"conditions": []}), journey(StoreType.KUBERNETES))
    assert not isinstance(pool, Why)
    assert "status" in pool[1]
