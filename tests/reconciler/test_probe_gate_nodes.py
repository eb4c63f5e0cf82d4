"""Probes as gates where nodes do not answer, or pods are not where they were."""

from __future__ import annotations

import asyncio

from muslin.resources.keys import Key
from reconciler.status import EventKind
from tests.reconciler.cases import policy
from tests.reconciler.probed import BAD, GOOD, Running, endpoint, run


def test_with_upstreams_agents_the_gate_is_not_available_and_never_assumed() -> None:
    """Nobody can be asked: the commit goes its way at once, and it is said that nothing was asked."""

    async def scenario() -> None:
        running = Running()
        running.nodes.upstream = True
        await running.begin(GOOD, agents=False)
        commit = running.push(BAD)
        await asyncio.sleep(3)
        assert running.status.applied == commit
        (said,) = running.said(EventKind.BELIEVED)
        assert said == (
            "Probes before the commit is believed: NotAvailable: "
            "probe web-to-db not available: n1 has no agent that can be asked"
        )

    run(scenario)


def test_an_agent_that_does_not_answer_is_waited_for_and_said() -> None:
    """One of ours that cannot do it yet: after a while the commit goes on, and the probe is not available."""

    async def scenario() -> None:
        running = Running(unheard_s=10.0)
        good = await running.begin(GOOD, agents=False)
        commit = running.push(BAD)
        await asyncio.sleep(8)
        assert running.status.applied == good
        assert Key("GlobalNetworkPolicy", "deny") not in running.world.store_keys()
        await asyncio.sleep(10)
        assert running.status.applied == commit
        assert "n1 has not answered" in running.said(EventKind.BELIEVED)[0]

    run(scenario)


def test_an_agent_that_falls_silent_counts_against_the_commit() -> None:
    """It has answered before the change and does not after it: nobody knows that all is well, and the commit goes."""

    async def scenario() -> None:
        running = Running(probes_s=10.0)
        good = await running.begin(GOOD)
        bad = running.push(GOOD | {"b.yaml": policy("b")})
        await asyncio.sleep(3)
        await running.kill(running.agents["n1"])
        await asyncio.sleep(40)
        assert (running.status.applied, running.status.held) == (good, bad)
        assert "n1 has not answered" in running.status.problems[0].what

    run(scenario)


def test_an_agent_that_comes_back_in_time_is_waited_for() -> None:
    """Killed and started again within the patience: the commit is believed."""

    async def scenario() -> None:
        running = Running(probes_s=15.0)
        await running.begin(GOOD)
        commit = running.push(GOOD | {"b.yaml": policy("b")})
        await asyncio.sleep(1)
        await running.kill(running.agents["n1"])
        await asyncio.sleep(8)
        running.start_agent("n1")
        await asyncio.sleep(20)
        assert (running.status.applied, running.status.held) == (commit, None)

    run(scenario)


def test_a_pod_that_moves_is_asked_where_it_is_now() -> None:
    """The asking pod is deleted and comes up on another node while the commit is on trial: the other node is asked."""

    async def scenario() -> None:
        running = Running(probes_s=20.0)
        await running.begin(GOOD)
        commit = running.push(GOOD | {"b.yaml": policy("b")})
        await asyncio.sleep(2)
        await running.world.store.delete(Key("WorkloadEndpoint", "n1-k8s-web--1-eth0", "shop"))
        await running.put(endpoint("web-1", "web", "n2", "10.48.0.1"))
        await asyncio.sleep(20)
        assert (running.status.applied, running.status.held) == (commit, None)
        assert running.said(EventKind.BELIEVED) == ["Open"]

    run(scenario)


def test_a_pod_that_is_asked_and_moves_is_found_again() -> None:
    """The asked pod is deleted while the commit is on trial, and comes up under another address: that one is asked."""

    async def scenario() -> None:
        running = Running(probes_s=20.0)
        await running.begin(GOOD)
        commit = running.push(GOOD | {"b.yaml": policy("b")})
        await asyncio.sleep(2)
        await running.world.store.delete(Key("WorkloadEndpoint", "n2-k8s-db-eth0", "shop"))
        running.gone.add("10.48.0.9")
        await asyncio.sleep(6)
        await running.put(endpoint("db", "db", "n1", "10.48.0.10"))
        await asyncio.sleep(20)
        assert (running.status.applied, running.status.held) == (commit, None)
        assert running.said(EventKind.BELIEVED) == ["Open"]

    run(scenario)
