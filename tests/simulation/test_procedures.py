"""Procedures that take sessions away, in a whole cluster with real agents and speakers: no route is ever lost.

One commit each; what comes before what, and what is waited for, is the reconciler's.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from random import Random
from typing import Any

import pytest

from muslin.datastore.ipam import run
from muslin.ipam.affinities import Owner, release_affinity
from muslin.net import parse_prefix
from muslin.resources.keys import Key
from reconciler import passage
from tests.simulation.cluster import NODES, Cluster
from tests.simulation.node import PodName
from tests.simulation.witness import in_a_cluster, settled

_POOL = {"cidr": "10.48.0.0/25", "blockSize": 29, "natOutgoing": True, "ipipMode": "Never"}
_REFLECTOR = "192.0.2.250"


def _text(kind: str, name: str, spec: Mapping[str, Any], **labels: str) -> str:
    metadata: dict[str, Any] = {"name": name} | ({"labels": labels} if labels else {})
    return json.dumps({"apiVersion": "projectcalico.org/v3", "kind": kind, "metadata": metadata, "spec": dict(spec)})


def _commit(*reflectors: str, mesh: bool, as_number: int = 64512) -> dict[str, str]:
    files = {
        "pool.yaml": _text("IPPool", "pods", _POOL),
        "bgp.yaml": _text("BGPConfiguration", "default", {"asNumber": as_number, "nodeToNodeMeshEnabled": mesh}),
    }
    if reflectors:
        files["peer.yaml"] = _text("BGPPeer", "rr", {"nodeSelector": "all()", "peerSelector": "rr == 'true'"})
    for name in reflectors:
        files[f"{name}.yaml"] = _text("Node", name, {"bgp": {"routeReflectorClusterID": _REFLECTOR}}, rr="true")
    return files


async def _applied(cluster: Cluster, files: Mapping[str, str], within_s: float) -> None:
    """Push, and be sure that it is applied and believed in this time."""
    commit = cluster.push(dict(files), told=True)
    await asyncio.sleep(within_s)
    assert cluster.controller is not None
    assert cluster.controller.last is not None
    assert cluster.controller.last.applied == commit, cluster.controller.last


async def _mesh_is_on(cluster: Cluster) -> bool:
    spec = (await cluster.hand.get(Key("BGPConfiguration", "default"))).value["spec"]
    return bool(spec["nodeToNodeMeshEnabled"])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_from_a_mesh_to_reflectors_and_back(seed: int) -> None:
    """One commit makes a reflector and ends the mesh, another goes back: every node keeps the way to every pod."""

    async def scenario(cluster: Cluster) -> None:
        names = Random(seed).sample(NODES, 3)
        witness = await settled(cluster, _commit(mesh=True), {"p1": names[1], "p2": names[2], "p3": names[0]})
        await _applied(cluster, _commit(names[0], mesh=False), 60)
        assert not await _mesh_is_on(cluster)
        assert witness.lost == []
        await _applied(cluster, _commit(mesh=True), 60)
        assert await _mesh_is_on(cluster)
        assert witness.lost == []

    in_a_cluster(scenario, seed)


@pytest.mark.slow
def test_one_reflector_for_another() -> None:
    """One commit names another reflector: the old one gives up its part when everybody has a session with the new."""

    async def scenario(cluster: Cluster) -> None:
        a, b, c = NODES
        witness = await settled(cluster, _commit(a, mesh=False), {"p1": b, "p2": c, "p3": a})
        await _applied(cluster, _commit(b, mesh=False), 60)
        assert witness.lost == []
        spec = (await cluster.hand.get(Key("Node", a))).value["spec"]["bgp"]
        assert "routeReflectorClusterID" not in spec

    in_a_cluster(scenario)


@pytest.mark.slow
def test_another_number_of_the_autonomous_system() -> None:
    """All sessions begin anew; routes are kept until they have."""

    async def scenario(cluster: Cluster) -> None:
        a, b, c = NODES
        witness = await settled(cluster, _commit(mesh=True), {"p1": b, "p2": c, "p3": a})
        await _applied(cluster, _commit(mesh=True, as_number=64513), 60)
        assert witness.lost == []

    in_a_cluster(scenario)


@pytest.mark.slow
def test_another_mtu() -> None:
    """No session and no route is touched."""

    async def scenario(cluster: Cluster) -> None:
        a, b, c = NODES
        witness = await settled(cluster, _commit(mesh=True), {"p1": b, "p2": c, "p3": a})
        felix = {"felix.yaml": _text("FelixConfiguration", "default", {"mtuIfacePattern": "eth.*", "vxlanMTU": 1400})}
        await _applied(cluster, _commit(mesh=True) | felix, 30)
        assert witness.lost == []
        assert not any("session down" in line for line in cluster.trace)

    in_a_cluster(scenario)


@pytest.mark.slow
def test_one_pool_for_another() -> None:
    """The old pool stays while a pod has its addresses, also when no commit names it, and goes when none has."""

    async def scenario(cluster: Cluster) -> None:
        _, b, c = NODES
        witness = await settled(cluster, _commit(mesh=True), {"p1": b, "p2": c})
        new = {"new.yaml": _text("IPPool", "new", _POOL | {"cidr": "10.48.1.0/25"})}
        old = {"pool.yaml": _text("IPPool", "pods", _POOL | {"disabled": True})}
        await _applied(cluster, _commit(mesh=True) | old | new, 60)
        for pod in list(cluster.wanted):
            node = cluster.wanted[pod]
            cluster.want(PodName("demo", f"{pod.name}-new", "web"), node)
        await asyncio.sleep(30)
        moved = [each for each in cluster.attached.values() if each.pod.name.endswith("-new")]
        assert len(moved) == 2
        assert all(str(each.address).startswith("10.48.1.") for each in moved)
        final = {name: text for name, text in _commit(mesh=True).items() if name != "pool.yaml"} | new
        await _applied(cluster, final, 60)
        assert (await cluster.hand.get(Key("IPPool", "pods"))).value["spec"]["disabled"] is True
        assert cluster.controller is not None
        assert cluster.controller.last is not None
        assert [why for _, why, _ in cluster.controller.last.blocked] == ["PoolInUse"]

        for pod in [pod for pod in cluster.wanted if not pod.name.endswith("-new")]:
            cluster.unwant(pod)
        await asyncio.sleep(30)
        blocks = (await cluster.hand.list("IPAMBlock")).entries
        for entry in blocks:
            if entry.value["spec"]["cidr"].startswith("10.48.0."):
                owner = Owner(entry.value["spec"]["affinity"].removeprefix("host:"))
                prefix = parse_prefix(entry.value["spec"]["cidr"])
                await run(cluster.hand, release_affinity(owner, prefix, require_empty=True))
        await asyncio.sleep(60)
        names = {entry.key.name for entry in (await cluster.hand.list("IPPool")).entries}
        assert names == {"new"}
        assert witness.lost == []

    in_a_cluster(scenario)


@pytest.mark.slow
def test_without_gates_routes_are_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """The witness sees it: where nothing is waited for, and routes are not kept over a restart, ways are lost."""
    monkeypatch.setattr(passage, "gate_before", lambda _: None)

    async def scenario(cluster: Cluster) -> None:
        a, b, c = NODES
        witness = await settled(cluster, _commit(mesh=True), {"p1": b, "p2": c})
        # nobody can reach the reflector
        for node in cluster.nodes[1:]:
            cluster.internet.cut.add(frozenset((cluster.nodes[0].address, node.address)))
        cluster.push(_commit(a, mesh=False), told=True)
        await asyncio.sleep(60)
        assert any("node-b to p2" in line for line in witness.lost)

    in_a_cluster(scenario)


@pytest.mark.slow
def test_with_gates_a_reflector_that_cannot_be_reached_costs_nothing() -> None:
    """The same, waited for: the mesh stays, the commit is taken back, and the ways of the others are never lost."""

    async def scenario(cluster: Cluster) -> None:
        a, b, c = NODES
        witness = await settled(cluster, _commit(mesh=True), {"p1": b, "p2": c})
        for node in cluster.nodes[1:]:
            cluster.internet.cut.add(frozenset((cluster.nodes[0].address, node.address)))
        bad = cluster.push(_commit(a, mesh=False), told=True)
        await asyncio.sleep(300)
        assert not [line for line in witness.lost if "node-b to p2" in line or "node-c to p1" in line]
        assert await _mesh_is_on(cluster)
        assert cluster.controller is not None
        assert cluster.controller.last is not None
        assert cluster.controller.last.held == bad

    in_a_cluster(scenario)
