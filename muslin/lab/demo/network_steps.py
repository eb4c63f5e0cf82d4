"""Steps 1 to 4: a cluster comes up, its network is decided and pushed, pods are attached, packets pass."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from blueprints import facts
from blueprints.emit import render
from blueprints.single_subnet import single_subnet
from muslin import yaml
from muslin.errors import Failed
from muslin.lab import verbs
from muslin.lab.demo import files
from muslin.lab.demo.check import Check
from muslin.lab.demo.stage import ECHO, SPEAK, Demo
from muslin.lab.processes import probe

__all__ = ["cluster_up", "network_pushed", "packets_pass", "pods_attached"]


async def cluster_up(demo: Demo) -> Sequence[Check]:
    """Agents and speakers run; every pair of nodes has a session."""
    began = time.monotonic()
    names = list(await demo.starts())
    demo.say(
        f"{len(demo.topology.nodes)} nodes on one bridge, links of MTU {demo.topology.mtu}; a router, a host outside"
    )
    demo.say(f"processes that run: {', '.join(names)}")
    demo.say("waiting until every pair of nodes has a BGP session")
    ends = await demo.cluster.sessions_up()
    wanted = len(demo.topology.nodes) * (len(demo.topology.nodes) - 1)
    took = time.monotonic() - began
    return [
        Check(
            "BGP sessions between the nodes are up",
            ends == wanted,
            f"{ends // 2} sessions after {took:.1f} s",
            f"{wanted // 2} sessions",
        )
    ]


async def network_pushed(demo: Demo) -> Sequence[Check]:
    """Facts become decisions, decisions files, files a commit, and the commit objects."""
    text = files.cluster_file(demo.topology)
    document = yaml.load(text, "cluster.yaml")[0]
    demo.blueprint = single_subnet(facts.load(document.value, document.places, "cluster.yaml"), document.places)
    demo.say("cluster.yaml holds facts; the blueprint single_subnet decides, and says why:")
    demo.show(demo.blueprint)
    texts = {"cluster.yaml": text, **render(demo.blueprint, ["network"])}
    demo.say(f"git push of {', '.join(sorted(texts))}")
    push = await asyncio.to_thread(demo.clone.push, "The network as the blueprint decides it", texts)
    status = await demo.cluster.applied(push.commit)
    took = time.monotonic() - push.ended
    demo.say(f"the reconciler applied {push.commit[:12]}: {_counts(status.get('lastPlan') or {})}")
    pools = await demo.cluster.store.list("IPPool")
    return [
        Check(
            "from the end of the push to objects in the datastore", took < 2.0, f"{took * 1000:.0f} ms", "under 2000 ms"
        ),
        Check("the address pool is there", len(pools.entries) == 1, f"{len(pools.entries)} pool", "1 pool"),
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
        demo.say(f"pod {namespace}/{name} on {node} has {demo.addresses[name]}")
    each = (time.monotonic() - began) / (len(pods) + 1)
    await asyncio.to_thread(
        verbs.start, demo.lab, "server", "demo.server",
        probe("echo", "--udp", str(ECHO), "--tcp", str(ECHO), "--speak", str(SPEAK), "--every", "0.1"),
    )  # fmt: skip
    blocks = {str(entry.value["spec"]["cidr"]) for entry in (await demo.cluster.store.list("IPAMBlock")).entries}
    for entry in (await demo.cluster.store.list("IPAMBlock")).entries:
        await demo.cluster.caught_up(entry)
    missing = await _until_routes(demo, blocks)
    return [
        Check(
            "pods attached by executing the CNI plugin",
            True,
            f"{len(pods) + 1} pods, {each * 1000:.0f} ms each",
            "5 pods",
        ),
        Check(
            "every node has a route to every block, by BGP",
            not missing,
            f"{len(blocks)} blocks, {len(missing)} routes missing",
            "0 routes missing",
        ),
    ]


async def packets_pass(demo: Demo) -> Sequence[Check]:
    """Pods reach each other as they are, at full MTU, and the outside through NAT."""
    payload = demo.topology.mtu - 28
    demo.say(f"ping with {payload} octets, never fragmented: with 28 of headers exactly the MTU {demo.topology.mtu}")
    full = await demo.ping("demo.client", demo.addresses["server"], "-M", "do", "-s", str(payload))
    over = await demo.ping("demo.client", demo.addresses["server"], "-M", "do", "-s", str(payload + 1))
    outside = await demo.ping("demo.client", str(demo.topology.outside.ip))
    route = await demo.run("outside", "ip", "-json", "route", "get", demo.addresses["client"])
    mtu = demo.topology.mtu
    return [
        Check(
            f"pods of two nodes exchange packets of {mtu} octets, so nothing is put around them",
            full == 3 and over == 0,
            f"{full} of 3 pings; {over} of 3 with one octet more",
            "3 of 3; 0 of 3",
        ),
        Check("a pod reaches the outside through NAT", outside == 3, f"{outside} of 3 pings", "3 of 3"),
        Check(
            "the outside knows no way to pods, so it was NAT",
            route.returncode != 0,
            "no route" if route.returncode else "a route",
            "no route",
        ),
    ]


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
    try:
        await demo.cluster.until(
            ["CalicoNodeStatus"], lambda objects: True if len(missing(objects)) == own else None, "routes", 10.0
        )
    except Failed:
        return ["route"]
    return []


_DONE = {"create": "created", "update": "updated", "adopt": "adopted", "delete": "deleted", "drift": "repaired"}


def _counts(plan: Mapping[str, int]) -> str:
    """What a plan did, in words: `2 created, 1 updated`."""
    done = [f"{number} {_DONE.get(what, what)}" for what, number in plan.items() if number]
    return ", ".join(done) or "nothing to do"
