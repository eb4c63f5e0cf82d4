"""Changes of a running cluster in stages, in a lab, as a person makes them: facts are pushed, 1000 packets a second go.

What agents of this version carry: another MTU for new pods, another AS number for the mesh, another pool. A person does
what the status says, and no packet is lost.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from muslin.datastore.embedded import EmbeddedDatastore
from muslin.lab import verbs
from muslin.lab.demo.cluster import Cluster
from muslin.lab.demo.flows import Flow
from muslin.lab.demo.repository import Clone
from muslin.lab.processes import muslin, probe
from muslin.lab.state import RUN, StateFolder
from muslin.lab.topology import Topology
from muslin.resources.keys import Key
from reconciler.status import KIND as STATUS
from tests.lab.leftovers import environment
from tests.muslin.cli.running import real

pytestmark = [pytest.mark.netns, pytest.mark.slow]

_RATE = 1000
_ALLOW = """
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: lab}
spec: {order: 1, selector: all(), types: [Ingress, Egress], ingress: [{action: Allow}], egress: [{action: Allow}]}
"""
_TUNNEL = {"decision": "encapsulation", "chosen": "IP-in-IP CrossSubnet", "reason": "a lab that shows an MTU"}
_SMALL = {"decision": "MTU", "chosen": "1400", "reason": "a link that is narrower"}


class _Lab:
    """Two nodes, and a reconciler that renders facts."""

    def __init__(self, runner: asyncio.Runner, topology: Topology, state: StateFolder) -> None:
        self.name, self.state, self.runner, self.topology = topology.name, state, runner, topology
        self.store = EmbeddedDatastore.open(state.datastore)
        self.cluster = Cluster(self.store, [node.name for node in topology.nodes])
        self.clone = Clone(state.path / "work", state.repository)
        self.told: dict[str, Any] = {}
        self.stages: list[str] = []

    def begin(self) -> None:
        """Another reconciler than the lab's own: one that may render, and waits a second where others wait five."""
        verbs.ask(self.name, "stop", name="reconciler")
        wake, data = str(RUN / "reconciler.sock"), str(self.state.datastore)
        argv = muslin("reconcile", "--mirror", str(self.state.mirror), "--datastore", data, "--wake", wake,
                      "--blueprint", "single_subnet", "--stable", "1", "--json")  # fmt: skip
        verbs.ask(self.name, "start", name="rendering", argv=list(argv), restart=True)

    def push(self, **told: Any) -> str:
        """Push other facts."""
        self.told |= told
        nodes = [{"name": each.name, "address": str(each.address.ip)} for each in self.topology.nodes]
        value = {
            "apiVersion": "blueprints.muslin/v1alpha1", "kind": "Cluster", "name": "lab", "blueprint": "single_subnet",
            "nodes": nodes, "subnets": [str(self.topology.segments[0].prefix)], "networkMTU": 1500,
            "network": {"bgp": True, "podAddresses": True, "sourceDestinationChecks": False},
            "podRange": "10.48.0.0/16", "overrides": [_TUNNEL],
        }  # fmt: skip
        return self.clone.push("facts", {"cluster.yaml": json.dumps(value | self.told), "allow.yaml": _ALLOW}).commit

    def until(self, stage: str | None, commit: str) -> Mapping[str, Any]:
        """The status when this stage waits for people; with None when the commit is applied."""

        def found(objects: Mapping[Key, Any]) -> Mapping[str, Any] | None:
            status: Mapping[str, Any] = next((each.get("status", {}) for each in objects.values()), {})
            now: Mapping[str, Any] = status.get("stage") or {}
            if now and now["name"] not in self.stages:
                self.stages.append(now["name"])
            if status.get("held"):
                raise AssertionError(status["problems"])
            if stage is None:
                return status if str(status.get("applied")).startswith(commit) else None
            waits = any(gate["gate"].startswith("People") for gate in status.get("gates", ()))
            return status if now.get("name") == stage and waits else None

        return self.runner.run(self.cluster.until([STATUS], found, f"{stage or commit}", 60.0))

    def muslin(self, *words: object) -> str:
        """A command as a person types it."""
        done = real(*words, "--datastore", self.state.datastore, env=environment(self.state.path.parent))
        assert done.returncode == 0, done.stderr
        return done.stdout

    def pod(self, node: int, name: str) -> str:
        """A pod on a node; gives its address."""
        made = verbs.add_pod(self.name, self.topology.nodes[node].name, "demo", name)
        return str(made["ips"][0]["address"]).split("/")[0]

    def flow(self, source: str, target: str, address: str) -> Flow:
        """Requests from a pod to another, which answers."""
        echo = verbs.start(self.name, f"echo-{target}", f"demo.{target}", probe("echo", "--udp", "7"))
        self.runner.run(Flow(target, True, self.name, echo).until("ready"))
        name = f"{source}-{target}"
        argv = probe("flow", "udp", address, "7", "--rate", str(_RATE), "--patience", "2")
        flow = Flow(name, True, self.name, verbs.start(self.name, name, f"demo.{source}", argv))
        self.runner.run(flow.until("up"))
        return flow

    def lost(self, flow: Flow) -> int:
        """End a flow; how many of its many requests had no answer."""
        seen = self.runner.run(flow.stop())
        assert seen.sent > _RATE
        return seen.lost

    def mtu(self, pod: str) -> int:
        """Of a pod's interface."""
        done = verbs.execute(self.name, f"demo.{pod}", ["ip", "-json", "link", "show", "eth0"], capture=True)
        return int(json.loads(done.stdout)[0]["mtu"])


@pytest.fixture(scope="module")
def lab(possible: None) -> Iterator[_Lab]:
    """A lab that is up."""
    folder = Path(tempfile.mkdtemp(prefix="lab"))
    name = f"stages{os.getpid()}"
    with pytest.MonkeyPatch.context() as patch, asyncio.Runner() as runner:
        patch.setenv("XDG_STATE_HOME", str(folder))
        topology = Topology.of(2, name=name)
        made = _Lab(runner, topology, verbs.up(topology))
        try:
            made.begin()
            yield made
        finally:
            runner.run(made.store.close())
            verbs.down(name)
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def talking(lab: _Lab) -> Flow:
    """Pods on both nodes that talk, in a cluster to which facts were applied."""
    lab.until(None, lab.push())
    server, _ = lab.pod(0, "server"), lab.pod(1, "client")
    return lab.flow("client", "server", server)


def test_new_pods_get_another_mtu(lab: _Lab, talking: Flow) -> None:
    """Those that run keep theirs and are named, until a person says that it is well."""
    commit = lab.push(overrides=[_TUNNEL, _SMALL])
    status = lab.until("make every pod anew", commit)
    lab.pod(1, "new")

    assert "demo/client on node2 was made before" in status["gates"][0]["why"]
    assert [lab.mtu(pod) for pod in ("client", "new")] == [1480, 1400]
    assert lab.muslin("confirm", "stage", "2") == "Set default: Stage 2 may end.\n"
    lab.until(None, commit)
    assert talking.seen().down_at() is None


def test_the_mesh_gets_another_number(lab: _Lab, talking: Flow) -> None:
    """Node by node, with pods that stay there because somebody says so, and a reconciler that is killed half way."""
    commit = lab.push(asNumber=64500)
    for number, node in enumerate(lab.topology.nodes):
        lab.until(f"move the pods away from {node.name}", commit)
        lab.muslin("confirm", "stage", 2 * number + 1)
        verbs.ask(lab.name, "kill", name="rendering")
    lab.until(None, commit)

    assert lab.stages[-3:] == [
        "give node2 the AS 64500", "make 64500 the number of all", "take the nodes' own numbers back",
    ]  # fmt: skip
    assert talking.seen().down_at() is None


def test_another_pool_takes_over(lab: _Lab, talking: Flow) -> None:
    """Pods are made anew in the new one and talk, the old ones go; nobody's request was lost in all that time."""
    commit = lab.push(podRange="10.49.0.0/16", running={"podRange": "10.48.0.0/16"})
    lab.until("move the pods out of 10.48.0.0/16", commit)
    server, _ = lab.pod(0, "server2"), lab.pod(1, "client2")
    again = lab.flow("client2", "server2", server)
    lost = lab.lost(talking)
    for pod in ("server", "client", "new"):
        verbs.remove_pod(lab.name, "demo", pod)
    lab.until("take the pool 10.48.0.0/16 out", commit)
    lab.muslin("confirm", "ippool", "default-ipv4-ippool")
    lab.until(None, commit)

    assert server.startswith("10.49.")
    assert (lost, lab.lost(again)) == (0, 0)
