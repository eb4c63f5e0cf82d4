"""Probes as gates in a whole cluster: real agents ask through the kernels that they made, whoever dies meanwhile."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import pytest

from muslin.resources.keys import Key
from muslin.semantics.verdict import Flow
from tests.simulation.cluster import NODES, Cluster, Weather
from tests.simulation.node import PodName
from tests.simulation.processes import Process, simulate
from tests.simulation.test_staged_procedures import _facts, _Life

_POOL = {"cidr": "10.48.0.0/25", "blockSize": 29, "natOutgoing": True, "ipipMode": "Never"}
_WEB, _DB = PodName("demo", "web", "web"), PodName("demo", "db", "db")


def _text(kind: str, name: str, spec: dict[str, Any], api: str = "projectcalico.org/v3", **metadata: str) -> str:
    return json.dumps({"apiVersion": api, "kind": kind, "metadata": {"name": name, **metadata}, "spec": spec})


def _probe(name: str, **more: Any) -> str:
    spec = {
        "from": {"namespace": "demo", "selector": "app == 'web'"}, "to": {"namespace": "demo", "pod": "db"}, "port": 80
    }  # fmt: skip
    return _text("Probe", name, spec | more, "reconciler.muslin/v1alpha1")


def _allow(order: int = 100) -> str:
    spec = {
        "order": order, "selector": "app == 'db'", "types": ["Ingress"],
        "ingress": [{"action": "Allow", "source": {"selector": "app == 'web'"}}],
    }  # fmt: skip
    return _text("NetworkPolicy", "db", spec, namespace="demo")


_GOOD = {
    "pool.yaml": _text("IPPool", "pods", _POOL),
    "probes.yaml": _probe("served") + "\n---\n" + _probe("closed", port=81, expect="Unreachable", timeout="200ms"),
    "shut.yaml": _text(
        "GlobalNetworkPolicy",
        "shut",
        {"order": 10, "selector": "app == 'db'", "types": ["Ingress"], "ingress": [
            {"action": "Deny", "protocol": "TCP", "destination": {"ports": [81]}}
        ]},
    ),
    "allow.yaml": _allow(),
}  # fmt: skip
_DENIES = {
    "order": 50, "selector": "app == 'db'", "types": ["Ingress"],
    "ingress": [{"action": "Deny", "protocol": "TCP", "destination": {"ports": [80]}}],
}  # fmt: skip
_OPENS = {"order": 5, "selector": "all()", "types": ["Ingress"], "ingress": [{"action": "Allow"}]}


async def _settled(cluster: Cluster) -> str:
    await cluster.begin()
    good = cluster.push(_GOOD, told=True)
    cluster.want(_WEB, cluster.nodes[0])
    cluster.want(_DB, cluster.nodes[1])
    await asyncio.sleep(60)
    assert cluster.settled
    assert cluster.controller is not None
    assert cluster.controller.last is not None
    assert cluster.controller.last.applied == good
    assert (_reaches(cluster, 80), _reaches(cluster, 81)) == (True, False)
    return good


def _reaches(cluster: Cluster, port: int) -> bool:
    web, db = cluster.attached[_WEB], cluster.attached[_DB]
    return cluster.arrives(web, Flow(web.address, db.address, 6, source_port=40001, destination_port=port))


def _in_a_cluster(scenario: Callable[[Cluster], Awaitable[None]], seed: int) -> None:
    async def main(processes: list[Process]) -> None:
        cluster = Cluster(seed, processes, probes=8)
        try:
            await scenario(cluster)
        except AssertionError as error:
            raise AssertionError("\n".join([*cluster.trace[-60:], str(error)])) from error
        assert cluster.failure is None, cluster.failure

    simulate(main)


async def _mended(cluster: Cluster, random: Random) -> None:
    """Killed processes start again, after a while each; the store is well."""
    cluster.weather = Weather()
    await asyncio.sleep(random.uniform(0.0, 3.0))
    cluster.start_everything()


async def _trouble(cluster: Cluster, random: Random, for_s: float) -> None:
    """Murders, and bad weather between a process and the store, for a while."""
    ends = asyncio.get_running_loop().time() + for_s
    while asyncio.get_running_loop().time() < ends:
        await asyncio.sleep(random.uniform(0.1, 4.0))
        alive = [each for each in cluster.processes if each.alive and "speaker" not in each.name]
        match random.randrange(3):
            case 0 | 1:
                random.choice(alive).kill()
            case _:
                cluster.weather = Weather(refused=0.1, answer_lost=0.1, slow=0.1, watch_broken=0.02)
        await _mended(cluster, random)


async def _ends_with(cluster: Cluster, applied: str, held: str | None) -> None:
    await asyncio.sleep(120)
    assert cluster.controller is not None
    last = cluster.controller.last
    assert last is not None
    assert (last.applied, last.held) == (applied, held), last
    assert (_reaches(cluster, 80), _reaches(cluster, 81)) == (True, False)
    assert not (await cluster.hand.list("ReconcilerProbe")).entries


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "bad", [("deny.yaml", _DENIES, "served"), ("opened.yaml", _OPENS, "closed")], ids=["cut", "opened"]
)
def test_whoever_dies_a_commit_that_breaks_a_probe_is_taken_back(bad: tuple[str, Any, str], seed: int) -> None:
    """What must pass is cut, or what must not pass is opened: it goes back, and packets go as before."""
    file, spec, name = bad

    async def scenario(cluster: Cluster) -> None:
        random = Random(f"probes {seed}")
        good = await _settled(cluster)
        commit = cluster.push(_GOOD | {file: _text("GlobalNetworkPolicy", "bad", spec)}, told=True)
        if seed:
            await _trouble(cluster, random, 25.0)
        await _ends_with(cluster, good, commit)
        assert cluster.controller is not None
        assert cluster.controller.last is not None
        assert f"probe {name}: demo/web to " in cluster.controller.last.problems[0].what
        with pytest.raises(Exception, match="bad does not exist"):
            await cluster.hand.get(Key("GlobalNetworkPolicy", "bad"))

    _in_a_cluster(scenario, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_whoever_dies_a_harmless_commit_is_believed(seed: int) -> None:
    """The probes hold before and after: the commit stays, although agents and reconciler die meanwhile."""

    async def scenario(cluster: Cluster) -> None:
        random = Random(f"probes {seed}")
        await _settled(cluster)
        commit = cluster.push(_GOOD | {"allow.yaml": _allow(110)}, told=True)
        if seed:
            await _trouble(cluster, random, 15.0)
        await _ends_with(cluster, commit, None)

    _in_a_cluster(scenario, seed)


@pytest.mark.slow
def test_a_change_in_stages_goes_through_gates_of_probes() -> None:
    """From a mesh to reflectors, with pods that people move meanwhile: the probes hold between stages, and it ends."""

    async def scenario(cluster: Cluster) -> None:
        a, b, c = NODES
        pods = {"namespace": "demo", "selector": "app == 'web'"}
        spec = {
            "order": 10, "selector": "app == 'web'", "types": ["Ingress", "Egress"],
            "ingress": [{"action": "Allow"}], "egress": [{"action": "Allow"}],
        }  # fmt: skip
        probe = {
            "probe.yaml": _probe("pods-reach-pods", **{"from": pods, "to": pods}),
            "allow.yaml": _text("NetworkPolicy", "web", spec, namespace="demo"),
        }
        life = _Life(cluster, None)
        await life.begin(_facts() | probe, {"p1": b, "p2": c, "p3": a})
        await life.applied(_facts(a, b) | probe, 300)
        assert not (await cluster.hand.list("ReconcilerProbe")).entries
        told = [line for line in cluster.trace if "Gate" in line and "Probes before" in line]
        assert len({line.partition("Probes before")[2].partition(":")[0] for line in told}) > 2, told
        assert not any("Failed" in line for line in told)

    _in_a_cluster(scenario, 0)
