"""Fields of others: left, taken over or told; by rules over a store in memory, and over a real API server."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muslin.datastore.field_ownership import FieldOwnership, TakenField
from muslin.datastore.kubernetes import KubernetesDatastore
from muslin.datastore.kubernetes.own_kinds import OWN_KINDS
from muslin.datastore.memory import MemoryDatastore
from muslin.datastore.protocol import Entry
from muslin.kubernetes.client import PatchType
from muslin.resources.keys import Key
from reconciler.controller import Controller, Settings
from reconciler.drift import Mode
from reconciler.ownership import OPERATOR, Ownership, Rule, Take, manager_of, without
from reconciler.plan import Budget
from reconciler.status import Status
from tests.muslin.datastore.kubernetes.clusters import cleared, over, shared
from tests.reconciler.cases import NOW, policy
from tests.support.engines import Missing
from tests.support.kube_apiserver import KubeApiserver
from tests.support.memory_git import MemorySource

_KEY = Key("FelixConfiguration", "default")
_PATH = "/apis/projectcalico.org/v3/felixconfigurations/default"


def _felix(**spec: str) -> str:
    lines = "".join(f"\n  {name}: {content}" for name, content in spec.items())
    return f"apiVersion: projectcalico.org/v3\nkind: FelixConfiguration\nmetadata: {{name: default}}\nspec:{lines}\n"


def _operators(**spec: str) -> dict[str, Any]:
    metadata = {"name": "default"}
    return {"apiVersion": "projectcalico.org/v3", "kind": "FelixConfiguration", "metadata": metadata, "spec": spec}


@pytest.fixture
def server() -> KubeApiserver:
    """The server of this worker."""
    try:
        return shared()
    except Missing as missing:
        pytest.skip(str(missing))


def _some(entry: Entry, *names: str) -> tuple[Any, ...]:
    return tuple(entry.value["spec"].get(name) for name in names)


async def _begin(store: KubernetesDatastore) -> None:
    """No set owns anything."""
    for kind in OWN_KINDS:
        for entry in (await store.list(kind)).entries:
            await store.delete(entry.key)


async def _look(store: KubernetesDatastore, source: MemorySource, *rules: Rule) -> Status:
    settings = Settings(ownership=rules, budget=Budget(confirm=frozenset()))
    controller = Controller(store, source, settings, random=Random(1), now=lambda: NOW, tell=lambda _: None)
    return await controller.once()


def test_the_rule_that_speaks_last_decides() -> None:
    """Without rules the operator's fields are left and all others' are taken; a name that begins alike is another."""
    plain = Ownership("muslin/default")
    field = TakenField("spec.nftablesMode", "tigera-operator/installation")
    assert plain.take(_KEY, field) is Take.DEFER
    assert plain.take(_KEY, TakenField("spec.nftablesMode", "tigera-operators")) is Take.OVERRIDE
    assert plain.take(_KEY, TakenField("spec.nftablesMode", "kubectl-edit")) is Take.OVERRIDE
    ruled = Ownership("muslin/default", (Rule(Take.ERROR, OPERATOR, "FelixConfiguration", "spec.nftablesMode"),))
    assert ruled.take(_KEY, field) is Take.ERROR
    assert ruled.take(_KEY, TakenField("spec.nftablesModes", OPERATOR)) is Take.DEFER
    assert ruled.take(Key("BGPConfiguration", "default"), field) is Take.DEFER
    assert manager_of("default") == "muslin/default"
    assert not isinstance(MemoryDatastore(), FieldOwnership)


_LABELS = st.dictionaries(st.sampled_from(["a", "a.b", "a.b/c"]), st.integers(0, 2), max_size=3)


@given(_LABELS, st.sampled_from(["a", "a.b", "a.b/c"]))
def test_a_field_is_taken_out_alone(labels: dict[str, int], name: str) -> None:
    """Names with dots in them are found as the longest that is there; what is beside them stays."""
    value: dict[str, Any] = {"metadata": {"labels": labels}, "spec": {"x": [1]}}
    found = without(value, (f"metadata.labels.{name}",))

    if name in labels:
        assert found["metadata"]["labels"] == {each: content for each, content in labels.items() if each != name}
    assert found["spec"] == {"x": [1]}
    assert value["metadata"]["labels"] == labels


@pytest.mark.engines
def test_fields_of_the_operator_are_left_and_named(server: KubeApiserver) -> None:
    """What it applied stays, what is beside it is ours, and the next look has nothing to do."""
    cleared(server, "FelixConfiguration")

    async def story(store: KubernetesDatastore) -> None:
        await store.client.apply(
            _PATH, _operators(nftablesMode="Enabled"), field_manager="tigera-operator/installation"
        )
        source = MemorySource()
        commit = source.push({"f.yaml": _felix(nftablesMode="Disabled", iptablesBackend="NFT")})
        status = await _look(store, source)
        entry = await store.get(_KEY)
        assert _some(entry, "nftablesMode", "iptablesBackend") == ("Enabled", "NFT")
        assert status.applied == commit
        status = await _look(store, source)
        assert (await store.get(_KEY)).revision == entry.revision
        assert [(each.mode, [one.path for one in each.fields]) for each in status.drifted] == [
            (Mode.LEFT_TO_OWNER, ["spec.nftablesMode"])
        ]
        owners = {each.manager: each.fields for each in await store.owners(_KEY)}
        assert owners["tigera-operator/installation"] == ("spec.nftablesMode",)
        assert "spec.iptablesBackend" in owners["muslin/default"]
        assert "spec.nftablesMode" not in owners["muslin/default"]

        told = Rule(Take.ERROR, OPERATOR, path="spec.nftablesMode")
        source.push({"f.yaml": _felix(nftablesMode="Auto", iptablesBackend="NFT")})
        status = await _look(store, source, told)
        assert [key for key, _ in status.failed] == [_KEY]
        assert "spec.nftablesMode (tigera-operator/installation)" in status.failed[0][1].what
        source.push({"f.yaml": _felix(nftablesMode="Disabled", iptablesBackend="NFT")})
        await _look(store, source, Rule(Take.OVERRIDE, OPERATOR))
        assert (await store.get(_KEY)).value["spec"]["nftablesMode"] == "Disabled"

    over(server, story)


@pytest.mark.engines
def test_a_hand_is_put_back_and_what_others_added_stays(server: KubeApiserver) -> None:
    """Drift by kubectl is taken over; others' labels and fields stay; what a commit no longer names goes."""
    cleared(server, "FelixConfiguration")

    async def story(store: KubernetesDatastore) -> None:
        await _begin(store)
        source = MemorySource()
        source.push({"f.yaml": _felix(iptablesBackend="NFT", logSeverityScreen="Debug")})
        await _look(store, source)
        patch = {"metadata": {"labels": {"theirs": "x"}}, "spec": {"iptablesBackend": "Legacy"}}
        await store.client.patch(_PATH, patch, how=PatchType.MERGE, field_manager="kubectl-edit")
        await _look(store, source)
        drift = (await store.get(Key("ReconcilerStatus", "default"))).value["status"]["drift"]
        assert [(each["object"], each["by"]) for each in drift] == [(str(_KEY), "kubectl-edit")]
        assert drift[0]["changedAt"].endswith("Z")
        entry = await store.get(_KEY)
        assert _some(entry, "iptablesBackend", "logSeverityScreen") == ("NFT", "Debug")
        assert entry.value["metadata"]["labels"] == {"theirs": "x"}

        source.push({"f.yaml": _felix(iptablesBackend="NFT")})
        await _look(store, source)
        assert _some(await store.get(_KEY), "iptablesBackend", "logSeverityScreen") == ("NFT", None)

    over(server, story)


@pytest.mark.engines
def test_what_was_written_before_there_was_apply_is_ours_all_the_same(server: KubeApiserver) -> None:
    """An object that an earlier version wrote by update loses what the commit no longer names."""
    cleared(server, "NetworkPolicy", namespaces=("shop",))

    async def story(store: KubernetesDatastore) -> None:
        await _begin(store)
        source = MemorySource()
        source.push({"a.yaml": policy("a", labels={"old": "one", "kept": "two"})})
        key = Key("NetworkPolicy", "a", "shop")
        status = await _look(_WithoutOwners(store), source)  # type: ignore[arg-type]
        assert not status.held
        source.push({"a.yaml": policy("a", labels={"kept": "two"}, order=7)})
        status = await _look(store, source)
        assert not status.failed
        value = (await store.get(key)).value
        assert "old" not in value["metadata"]["labels"]
        assert value["spec"]["order"] == 7
        revision = (await store.get(key)).revision
        await _look(store, source)
        assert (await store.get(key)).revision == revision

    over(server, story)


class _WithoutOwners:
    """The same store, as it was before it kept owners."""

    def __init__(self, store: KubernetesDatastore) -> None:
        self.get, self.list, self.create = store.get, store.list, store.create
        self.update, self.delete, self.watch = store.update, store.delete, store.watch
