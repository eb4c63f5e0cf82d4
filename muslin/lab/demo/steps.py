"""The steps of the demo: each does one thing to the cluster, says what happens, and gives what it checked.

A step may rely on those before it. Tests run the same functions (`tests/lab/test_demo.py`).
"""

from __future__ import annotations

import asyncio
import copy
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from blueprints import facts
from blueprints.decision import Blueprint
from blueprints.emit import render
from blueprints.single_subnet import single_subnet
from muslin import yaml
from muslin.errors import Failed, Problem
from muslin.lab import verbs
from muslin.lab.demo import files
from muslin.lab.demo.check import Check
from muslin.lab.demo.cluster import Cluster
from muslin.lab.demo.flows import Flow, Idle, start_flow, start_idle
from muslin.lab.demo.repository import Clone, Push
from muslin.lab.processes import probe
from muslin.lab.state import StateFolder
from muslin.lab.topology import Topology
from muslin.resources.keys import Key

__all__ = ["STEPS", "Demo", "Step"]

_POLICY_KINDS = ("IPPool", "BGPConfiguration", "FelixConfiguration", "GlobalNetworkPolicy", "NetworkPolicy", "Tier")
_ECHO, _SPEAK = 7, 8
_DEFAULT_DENY = Key("GlobalNetworkPolicy", "default-deny")


@dataclass(slots=True)
class Demo:
    """A lab with its cluster, and what the steps leave for each other.

    `say` prints a line for people; `show` prints whatever else there is to see (a table, a problem).
    """

    topology: Topology
    state: StateFolder
    cluster: Cluster
    clone: Clone
    say: Callable[[str], None]
    show: Callable[[Any], None]
    blueprint: Blueprint | None = None
    addresses: dict[str, str] = field(default_factory=dict)
    flows: list[Flow] = field(default_factory=list)
    idle: Idle | None = None
    last_push: Push | None = None

    @property
    def lab(self) -> str:
        """Name of the lab."""
        return self.topology.name

    def node(self, number: int) -> str:
        """Name of a node, counted from 0 and round."""
        return self.topology.nodes[number % len(self.topology.nodes)].name


@dataclass(frozen=True, slots=True)
class Step:
    """One step: what it is about, and the function that does it."""

    title: str
    run: Callable[[Demo], Awaitable[Sequence[Check]]]


async def cluster_up(demo: Demo) -> Sequence[Check]:
    """Agents and speakers run; every pair of nodes has a session."""
    began = time.monotonic()
    names = [each["name"] for each in (await _status(demo))["processes"]]
    demo.say(f"{len(demo.topology.nodes)} nodes on one bridge, MTU {demo.topology.mtu}; a router, a host outside")
    demo.say(f"processes: {', '.join(names)}")
    ends = await demo.cluster.sessions_up()
    wanted = len(demo.topology.nodes) * (len(demo.topology.nodes) - 1)
    took = time.monotonic() - began
    return [
        Check(
            "BGP sessions between the nodes are up", ends == wanted, f"{ends // 2} after {took:.1f} s", f"{wanted // 2}"
        )
    ]


async def network_pushed(demo: Demo) -> Sequence[Check]:
    """Facts become decisions, decisions files, files a commit, and the commit objects."""
    text = files.cluster_file(demo.topology)
    document = yaml.load(text, "cluster.yaml")[0]
    demo.blueprint = single_subnet(facts.load(document.value, document.places, "cluster.yaml"), document.places)
    demo.show(demo.blueprint)
    texts = {"cluster.yaml": text, **render(demo.blueprint, ["network"])}
    demo.say(f"commit and push {', '.join(sorted(texts))}")
    push = await asyncio.to_thread(demo.clone.push, "The network as the blueprint decides it", texts)
    status = await demo.cluster.applied(push.commit)
    took = time.monotonic() - push.ended
    demo.say(f"the reconciler applied {push.commit[:12]}: {_counts(status.get('lastPlan'))}")
    pools = await demo.cluster.store.list("IPPool")
    return [
        Check("push to applied", took < 2.0, f"{took * 1000:.0f} ms", "under 2000 ms"),
        Check("the pool is there", len(pools.entries) == 1, f"{len(pools.entries)} IPPool", "1 IPPool"),
    ]


async def pods_attached(demo: Demo) -> Sequence[Check]:
    """The CNI executable gives pods addresses from their node's block, and BGP tells the other nodes."""
    pods = (
        (demo.node(0), "demo", "client"),
        (demo.node(1), "demo", "server"),
        (demo.node(2), "shop", "stranger"),
        (demo.node(1), "shop", "neighbour"),
    )
    began = time.monotonic()
    demo.addresses["dns"] = await asyncio.to_thread(verbs.start_dns, demo.lab, demo.node(0))
    for node, namespace, name in pods:
        result = await asyncio.to_thread(verbs.add_pod, demo.lab, node, namespace, name, {"app": name})
        demo.addresses[name] = str(result["ips"][0]["address"]).split("/")[0]
        demo.say(f"{namespace}/{name} on {node}: {demo.addresses[name]}")
    each = (time.monotonic() - began) / (len(pods) + 1)
    await asyncio.to_thread(
        verbs.start, demo.lab, "server", "demo.server",
        probe("echo", "--udp", str(_ECHO), "--tcp", str(_ECHO), "--speak", str(_SPEAK), "--every", "0.1"),
    )  # fmt: skip
    blocks = {str(entry.value["spec"]["cidr"]) for entry in (await demo.cluster.store.list("IPAMBlock")).entries}
    for entry in (await demo.cluster.store.list("IPAMBlock")).entries:
        await demo.cluster.caught_up(entry)
    missing = await _until_routes(demo, blocks)
    return [
        Check("pods attached by executing the CNI plugin", True, f"{len(pods) + 1}, {each * 1000:.0f} ms each", "5"),
        Check(
            "every node has a route to every block, by BGP", not missing, f"{len(blocks)} blocks", "no route missing"
        ),
    ]


async def packets_pass(demo: Demo) -> Sequence[Check]:
    """Pods reach each other as they are, at full MTU, and the outside through NAT."""
    payload = demo.topology.mtu - 28
    demo.say(f"ping with {payload} octets and don't-fragment: with the headers that is exactly the network's MTU")
    full = await _ping(demo, "demo.client", demo.addresses["server"], "-M", "do", "-s", str(payload))
    over = await _ping(demo, "demo.client", demo.addresses["server"], "-M", "do", "-s", str(payload + 1))
    outside = await _ping(demo, "demo.client", str(demo.topology.outside.ip))
    route = await _run(demo, "outside", "ip", "-json", "route", "get", demo.addresses["client"])
    return [
        Check("pod to pod at full MTU, so without encapsulation", full == 3 and over == 0, f"{full} of 3, {over} of 3 larger",
              f"3 of 3 at {demo.topology.mtu}"),
        Check("pod to the outside by NAT", outside == 3 and route.returncode != 0, f"{outside} of 3",
              "3 of 3, no route back to pods"),
    ]  # fmt: skip


async def default_deny_pushed(demo: Demo) -> Sequence[Check]:
    """Default deny and one allowance: each flow flips when it should, and no other notices."""
    assert demo.blueprint is not None
    server = demo.addresses["server"]
    for name, pod, kind, allowed in (
        ("client-udp", "demo.client", "udp", True),
        ("client-udp-new", "demo.client", "udp-new", True),
        ("client-tcp", "demo.client", "tcp", True),
        ("stranger-udp", "shop.stranger", "udp", False),
        ("stranger-tcp", "shop.stranger", "tcp", False),
        ("neighbour-udp", "shop.neighbour", "udp", False),
    ):
        demo.flows.append(await start_flow(demo.lab, name, pod, kind, server, _ECHO, allowed=allowed))
    demo.idle = await start_idle(demo.lab, "client-idle", "demo.client", server, _SPEAK)
    demo.say(f"{len(demo.flows)} flows at 100 Hz and an idle client of a server that speaks first")
    texts = {**render(demo.blueprint, ["default-policy"]), files.ALLOW_FILE: files.ALLOW_SHOP}
    push = demo.last_push = await asyncio.to_thread(
        demo.clone.push, "Deny by default; clients may ask the server", texts
    )
    await demo.cluster.applied(push.commit)
    denied = [flow for flow in demo.flows if not flow.allowed]
    cut = {flow.name: await flow.until("down") - push.began for flow in denied}
    for name, after in cut.items():
        demo.say(f"{name} stopped {after * 1000:.0f} ms after the push began")
    heard = await demo.idle.heard_after(time.monotonic())
    lookups = await _lookup(demo, "shop.stranger", "server.demo.lab")
    still = [flow for flow in denied if flow.seen().down_at() is None]
    return [
        Check("denied flows stopped, the established ones too", not still, f"{len(denied)} of {len(denied)}", "all"),
        Check("push to the last packet that passed wrongly", max(cut.values()) < 1.0,
              f"{max(cut.values()) * 1000:.0f} ms", "under 1000 ms"),
        Check("an idle connection whose server speaks did not notice", not demo.idle.closed() and heard > 0,
              "open, still spoken to", "open"),
        Check("DNS still answers whom policy denies all else", lookups == server, lookups or "no answer", server),
    ]  # fmt: skip


async def bad_commit_pushed(demo: Demo) -> Sequence[Check]:
    """A commit with one wrong field changes nothing and is told where and how to mend it; a revert heals."""
    before = await demo.cluster.everything(_POLICY_KINDS)
    push = await asyncio.to_thread(demo.clone.push, "Refuse everything", {files.MISTAKE_FILE: files.MISTAKE})
    status = await demo.cluster.held(push.commit)
    problems = list(status.get("problems") or ())
    for problem in problems:
        demo.show(Problem(problem["what"], problem["where"], problem["fix"]))
    after = await demo.cluster.everything(_POLICY_KINDS)
    text = json.dumps(problems)
    told = len(problems) == 1 and f"{files.MISTAKE_FILE}:8" in text and "ingress" in text
    healed = await asyncio.to_thread(demo.clone.revert)
    await demo.cluster.applied(healed.commit)
    demo.say(f"reverted: {healed.commit[:12]} is applied")
    return [
        Check("a bad commit changes nothing", before == after, f"{len(after)} objects as before", "none written"),
        Check("it is told with file, line, field and fix", told, problems[0]["where"] if problems else "nothing told",
              f"{files.MISTAKE_FILE}:8"),
        Check("a revert heals it", True, "applied", "applied"),
    ]  # fmt: skip


async def drift_repaired(demo: Demo) -> Sequence[Check]:
    """Somebody changes an object by hand; it is put back, and said."""
    store = demo.cluster.store
    entry = await store.get(_DEFAULT_DENY)
    changed = copy.deepcopy(dict(entry.value))
    changed["spec"]["order"] = 5000
    demo.say(f"by hand: {_DEFAULT_DENY} gets order 5000 instead of {entry.value['spec']['order']:g}")
    written = await store.update(_DEFAULT_DENY, changed, entry.revision)
    began = time.monotonic()

    def repaired(objects: Any) -> float | None:
        value = objects.get(_DEFAULT_DENY)
        there = value is not None and value["metadata"]["resourceVersion"] != written.revision
        return time.monotonic() - began if there and value["spec"] == entry.value["spec"] else None

    took = await demo.cluster.until(["GlobalNetworkPolicy"], repaired, "the repair", 5.0)

    def said(objects: Any) -> dict[str, Any] | None:
        for value in objects.values():
            for drift in (value.get("status") or {}).get("drift") or ():
                if drift["object"] == str(_DEFAULT_DENY):
                    return dict(drift)
        return None

    drift = await demo.cluster.until(["ReconcilerStatus"], said, "the repair's report", 5.0)
    field_ = drift["fields"][0]
    demo.say(f"repaired and said: {drift['object']} {field_['path']}: {field_['old']} back to {field_['new']}")
    return [Check("drift is repaired, and said", took < 2.0, f"{took * 1000:.0f} ms", "under 2000 ms")]


async def processes_killed(demo: Demo) -> Sequence[Check]:
    """An agent, its speaker and the reconciler die; nobody's packet notices."""
    allowed = [flow for flow in demo.flows if flow.allowed]
    victims = [f"agent-{demo.node(1)}", f"speaker-{demo.node(1)}", "reconciler"]
    before = {each["name"]: each["starts"] for each in (await _status(demo))["processes"]}
    revision = (await demo.cluster.store.get(Key("CalicoNodeStatus", demo.node(1)))).revision
    for victim in victims:
        await asyncio.to_thread(verbs.ask, demo.lab, "kill", name=victim)
        demo.say(f"SIGKILL to {victim}")
    await demo.cluster.until(
        ["CalicoNodeStatus"],
        lambda objects: True if _session_returned(objects, demo.node(1), str(revision)) else None,
        "the killed node's report", 30.0,
    )  # fmt: skip
    after = {each["name"]: each["starts"] for each in (await _status(demo))["processes"]}
    push = await asyncio.to_thread(demo.clone.push, "A note", {"NOTE.md": "The reconciler is back.\n"})
    await demo.cluster.applied(push.commit)
    assert demo.idle is not None
    await demo.idle.heard_after(time.monotonic())
    seen = {flow.name: await flow.stop() for flow in allowed}
    lost = {name: each.lost for name, each in seen.items()}
    sent = sum(each.sent for each in seen.values())
    wrongly = [flow.name for flow in demo.flows if not flow.allowed and (await flow.stop()).down_at() is None]
    restarted = all(after[name] > before[name] for name in victims)
    return [
        Check("killed processes are back and go on", restarted, f"{len(victims)} restarted", "3"),
        Check("allowed flows lost nothing, from before the policy to now", not sum(lost.values()),
              f"{sum(lost.values())} of {sent}", "0"),
        Check("denied flows stayed denied meanwhile", not wrongly, f"{len(wrongly)} passed", "0"),
        Check("the idle connection lives", not demo.idle.closed(), "open", "open"),
    ]  # fmt: skip


STEPS: tuple[Step, ...] = (
    Step("A cluster of network namespaces comes up", cluster_up),
    Step("The network is decided, pushed and applied", network_pushed),
    Step("Pods are attached by the CNI plugin", pods_attached),
    Step("Packets pass: no encapsulation, full MTU, NAT to the outside", packets_pass),
    Step("Default deny is pushed, with one allowance", default_deny_pushed),
    Step("A bad commit is pushed, and reverted", bad_commit_pushed),
    Step("Somebody changes an object by hand", drift_repaired),
    Step("Agent, speaker and reconciler are killed", processes_killed),
)


async def _status(demo: Demo) -> dict[str, Any]:
    return dict(await asyncio.to_thread(verbs.status, demo.lab))


async def _run(demo: Demo, where: str, *argv: str) -> Any:
    return await asyncio.to_thread(verbs.execute, demo.lab, where, argv, capture=True, timeout_s=10)


async def _ping(demo: Demo, pod: str, address: str, *options: str) -> int:
    """How many of three pings were answered."""
    done = await _run(demo, pod, "ping", "-n", "-c", "3", "-i", "0.05", "-W", "1", *options, address)
    return int(done.stdout.count("bytes from"))


async def _lookup(demo: Demo, pod: str, name: str) -> str:
    """The address that the cluster's DNS gives a pod for a name; empty if none."""
    done = await _run(demo, pod, *probe("lookup", demo.addresses["dns"], name))
    return str(done.stdout).strip()


async def _until_routes(demo: Demo, blocks: set[str]) -> list[str]:
    """Wait until every node reports a route to each block that is not its own; gives what is missing."""

    def missing(objects: Any) -> list[str]:
        found = []
        for value in objects.values():
            routes = (((value.get("status") or {}).get("routes")) or {}).get("routesV4") or ()
            learnt = {route["destination"] for route in routes if route["learnedFrom"]["sourceType"] != "Kernel"}
            found += list(blocks - learnt)
        return found

    own = len(blocks)  # each block is some node's own, and learnt by all others
    async with AsyncExitStack():
        try:
            await demo.cluster.until(
                ["CalicoNodeStatus"], lambda objects: True if len(missing(objects)) == own else None, "routes", 10.0
            )
        except Failed:
            return ["route"]
    return []


def _session_returned(objects: Any, node: str, revision: str) -> bool:
    """Whether the node has reported anew, and all its sessions are established."""
    value = objects.get(Key("CalicoNodeStatus", node))
    if value is None or value["metadata"]["resourceVersion"] == revision:
        return False
    bgp = (value.get("status") or {}).get("bgp") or {}
    return bool(bgp.get("numberEstablishedV4")) and not bgp.get("numberNotEstablishedV4")


def _counts(plan: Any) -> str:
    return ", ".join(f"{number} {what}" for what, number in dict(plan or {}).items()) or "nothing to do"
