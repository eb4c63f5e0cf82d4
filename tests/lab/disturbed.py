"""The demo's steps while processes are killed at chosen moments, and the state in which everything ends.

A schedule is data: at which moment which process gets SIGKILL. Moments are events (before a step, around a push, the
nth write of a kind to the datastore), so that a schedule means the same on a slow machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from muslin.datastore.embedded import EmbeddedDatastore
from muslin.datastore.protocol import Change
from muslin.errors import BadInput, MuslinError
from muslin.lab import verbs
from muslin.lab.demo.check import Check
from muslin.lab.demo.cluster import Cluster
from muslin.lab.demo.repository import Clone, Push
from muslin.lab.demo.stage import Demo
from muslin.lab.demo.steps import STEPS
from muslin.lab.state import StateFolder
from muslin.lab.topology import Topology
from muslin.resources import KINDS
from muslin.resources.keys import Key

__all__ = ["DIRECTED", "Kill", "Outcome", "differences", "forget", "run", "schedule"]

LAB, NODES = "kills", 3
VICTIMS = (
    *(f"{role}-node{number}" for role in ("agent", "speaker") for number in range(1, NODES + 1)),
    "fetcher",
    "reconciler",
)
_WRITES = {
    "IPPool": 1, "GlobalNetworkPolicy": 3, "NetworkPolicy": 2, "ReconcilerLedger": 8, "IPAMHandle": 5, "IPAMBlock": 8,
    "BlockAffinity": 6, "WorkloadEndpoint": 5, "CalicoNodeStatus": 12,
}  # fmt: skip
"""Kinds, and how many writes of each an undisturbed run makes at least."""
_PUSHES, _LAST = 5, len(STEPS) + 1
_KINDS = (*KINDS, "ReconcilerLedger", "ReconcilerStatus")
_VOLATILE = frozenset({
    "uid", "creationTimestamp", "resourceVersion", "clusterGUID", "annotations", "lastUpdated", "since", "mac",
    "sequenceNumber", "sequenceNumberForAllocation", "lastPlan", "drift", "at", "handle", "packets", "bytes",
    "affinityClaimTime", "timestamp", "repository",
})  # fmt: skip
_LAST_S = 10.0
_MARK = Key("GlobalNetworkSet", "the-end")


@dataclass(frozen=True, slots=True)
class Kill:
    """SIGKILL to `victim` at `moment`: `before STEP`, `pushing N`, `pushed N`, or `write KIND N`."""

    moment: str
    victim: str


@dataclass(slots=True)
class Outcome:
    """What the steps checked, which kills struck a running process, and how everything ended."""

    checks: list[Check] = field(default_factory=list)
    struck: list[Kill] = field(default_factory=list)
    state: Mapping[str, Any] = field(default_factory=dict)
    ipam: list[str] = field(default_factory=list)


DIRECTED: Mapping[str, tuple[Kill, ...]] = {
    "agents-in-the-middle-of-add": (
        Kill("write IPAMHandle 1", "agent-node1"), Kill("write BlockAffinity 3", "agent-node2"),
        Kill("write WorkloadEndpoint 4", "agent-node3"),
    ),
    "reconciler-in-the-middle-of-apply": (
        Kill("write IPPool 1", "reconciler"), Kill("write NetworkPolicy 1", "reconciler"),
        Kill("write GlobalNetworkPolicy 2", "reconciler"), Kill("write ReconcilerLedger 6", "reconciler"),
    ),
    "around-the-pushes": (
        Kill("pushed 1", "fetcher"), Kill("pushing 2", "reconciler"), Kill("pushed 2", "agent-node3"),
        Kill("pushed 3", "reconciler"), Kill("pushing 4", "fetcher"), Kill("before 9", "agent-node1"),
    ),
    "speakers": (
        Kill("before 2", "speaker-node1"), Kill("write IPAMBlock 3", "speaker-node2"),
        Kill("before 4", "speaker-node3"), Kill("pushed 2", "speaker-node1"), Kill("before 9", "speaker-node3"),
    ),
    "all-at-once": tuple(Kill("before 5", victim) for victim in VICTIMS),
}  # fmt: skip
"""Schedules whose moments were chosen: where something is half done."""


def schedule(seed: int) -> tuple[Kill, ...]:
    """Six kills drawn by a seed."""
    draw = random.Random(seed)
    moments = [f"before {step}" for step in range(2, _LAST + 1)]
    moments += [f"{when} {n}" for when in ("pushing", "pushed") for n in range(1, _PUSHES + 1)]
    moments += [f"write {kind} {n}" for kind, most in _WRITES.items() for n in range(1, most + 1)]
    # Step 8 kills these itself, and counts that each was there.
    taken = {"before 8", "pushing 5"}
    return tuple(
        Kill(moment, draw.choice(VICTIMS)) for moment in draw.sample([each for each in moments if each not in taken], 6)
    )


class _Killer:
    def __init__(self, kills: Sequence[Kill]) -> None:
        self._kills = list(kills)
        self._written: Counter[str] = Counter()
        self.struck: list[Kill] = []

    def reached(self, moment: str) -> None:
        """Do what is due at this moment. A process that is just not running has nothing to lose."""
        for kill in [each for each in self._kills if each.moment == moment]:
            self._kills.remove(kill)
            with contextlib.suppress(BadInput):
                verbs.ask(LAB, "kill", name=kill.victim)
                self.struck.append(kill)

    async def watch(self, store: EmbeddedDatastore, revision: Any) -> None:
        """Count writes."""
        async for event in store.watch(list(_WRITES), revision):
            if isinstance(event, Change) and event.value is not None:
                self._written[event.key.kind] += 1
                self.reached(f"write {event.key.kind} {self._written[event.key.kind]}")


class _Clone(Clone):
    """A clone that tells before and after each push."""

    def __init__(self, folder: Path, repository: Path, killer: _Killer) -> None:
        self._killer, self._pushes = killer, 0
        super().__init__(folder, repository)

    def _push(self) -> Push:
        self._pushes += 1
        self._killer.reached(f"pushing {self._pushes}")
        push = super()._push()
        self._killer.reached(f"pushed {self._pushes}")
        return push


async def run(kills: Sequence[Kill], wanted: Mapping[str, Any] | None = None) -> Outcome:
    """A lab from up to down with these kills; raises where a step can't go on.

    Where a `wanted` end is given, the state may take `_LAST_S` to become that.
    """
    topology = Topology.of(NODES, name=LAB)
    state = await asyncio.to_thread(verbs.up, topology)
    store, watched = EmbeddedDatastore.open(state.datastore), EmbeddedDatastore.open(state.datastore)
    killer = _Killer(kills)
    outcome = Outcome(struck=killer.struck)
    watching = asyncio.create_task(killer.watch(watched, (await store.list("IPPool")).revision))
    try:
        cluster = Cluster(store, [node.name for node in topology.nodes])
        clone = await asyncio.to_thread(_Clone, state.path / "work", state.repository, killer)
        demo = Demo(topology, state, cluster, clone, print, lambda _: None)
        for number, step in enumerate(STEPS, start=1):
            killer.reached(f"before {number}")
            outcome.checks += await step.run(demo)
        killer.reached(f"before {_LAST}")
        await _settled(demo)
        outcome.ipam = await _ipam(store)
        outcome.state = await _state(demo)
        deadline = asyncio.get_running_loop().time() + _LAST_S
        while wanted is not None and any(differences(outcome.state, wanted)):
            if asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(0.2)  # the state is in four kernels and a file, which have no common event
            outcome.state = await _state(demo)
    except MuslinError as error:
        _tell_logs(state)
        error.add_note(f"struck: {killer.struck}")
        raise
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await watched.close()
        await store.close()
        await asyncio.to_thread(verbs.down, LAB)
    return outcome


def _tell_logs(state: StateFolder) -> None:
    for log in sorted(state.logs.glob("*.log")):
        print(f"--- {log.name}\n{log.read_text(errors='replace')[-3000:]}")


async def _settled(demo: Demo) -> None:
    """Wait until everything that was killed is back and has caught up, proven by something new for each of them."""
    push = await asyncio.to_thread(demo.clone.push, "The end", {"END.md": "All are back.\n"})
    await demo.cluster.applied(push.commit, 30)
    mark = {"apiVersion": "projectcalico.org/v3", "kind": _MARK.kind, "metadata": {"name": _MARK.name}, "spec": {}}
    await demo.cluster.caught_up(await demo.cluster.store.create(_MARK, mark), 30)
    await demo.cluster.sessions_up(30)


async def _ipam(store: EmbeddedDatastore) -> list[str]:
    """What is wrong with addresses: owned twice, leaked, or owned by nobody's block."""
    values = {kind: [each.value for each in (await store.list(kind)).entries] for kind in _KINDS}
    owners = Counter(
        network.partition("/")[0] for each in values["WorkloadEndpoint"] for network in each["spec"]["ipNetworks"]
    )
    wrong = [f"{address} has {number} owners" for address, number in owners.items() if number > 1]
    given: set[str] = set()
    by_handle: Counter[tuple[str, str]] = Counter()
    for block in (each["spec"] for each in values["IPAMBlock"]):
        network, *_ = block["cidr"].partition("/")
        first = [int(part) for part in network.split(".")]
        for ordinal, attribute in enumerate(block["allocations"]):
            if attribute is not None:
                given.add(".".join(map(str, [*first[:3], first[3] + ordinal])))
                by_handle[block["attributes"][attribute]["handle_id"], block["cidr"]] += 1
    wrong += [f"{address} is leaked" for address in sorted(given - set(owners))]
    wrong += [f"{address} is in no block" for address in sorted(set(owners) - given)]
    claimed = Counter(
        {
            (each["spec"]["handleID"], block): number
            for each in values["IPAMHandle"]
            for block, number in each["spec"]["block"].items()
        }
    )
    wrong += [f"handle and block differ: {each}" for each in (claimed - by_handle) + (by_handle - claimed)]
    blocks = {each["spec"]["cidr"] for each in values["IPAMBlock"]}
    affine = [each["spec"] for each in values["BlockAffinity"]]
    wrong += [
        f"affinity {each['cidr']} of {each['node']} is {each['state']}"
        for each in affine
        if each["state"] != "confirmed"
    ]
    wrong += [f"no block for the affinity to {each['cidr']}" for each in affine if each["cidr"] not in blocks]
    return wrong


async def _state(demo: Demo) -> dict[str, Any]:
    """Everything that must be the same however the run went, by what it is about."""
    log = await asyncio.to_thread(demo.clone.git, "log", "--reverse", "--format=%H")
    commits = {commit: f"commit {n}" for n, commit in enumerate(log.split(), start=1)}
    found: dict[str, Any] = {}
    for kind in _KINDS:
        for entry in (await demo.cluster.store.list(kind)).entries:
            found[str(entry.key)] = _steady(entry.value, commits)
    pods = [each["netns"] for each in (await demo.ask("status"))["pods"]]
    for place in (*demo.cluster.nodes, *pods):
        routes = json.loads((await demo.run(place, "ip", "-json", "route")).stdout or "[]")
        found[f"routes of {place}"] = sorted(map(json.dumps, _steady(routes, {})))
    for node in demo.cluster.nodes:
        rules = json.loads((await demo.run(node, "nft", "-j", "list", "ruleset")).stdout)["nftables"]
        found[f"ruleset of {node}"] = list(_ruleset(_steady(rules, {})))
        links = json.loads((await demo.run(node, "ip", "-json", "link")).stdout)
        found[f"links of {node}"] = sorted(each["ifname"] for each in links)
    return found


def _steady(value: Any, commits: Mapping[str, str]) -> Any:
    """A value without what differs from run to run by its nature, and with commits numbered."""
    if isinstance(value, dict):
        return {name: _steady(each, commits) for name, each in value.items() if name not in _VOLATILE}
    if isinstance(value, list):
        return [_steady(each, commits) for each in value]
    if isinstance(value, str) and commits:
        return re.sub(r"\b[0-9a-f]{40}\b", lambda found: commits.get(found[0], found[0]), value)
    return value


def _ruleset(entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Rules in the order in which each chain has them; the rest sorted."""
    texts = []
    for entry in entries:
        ((what, content),) = entry.items()
        if what == "metainfo":
            continue
        if isinstance(content, dict) and "elem" in content:
            content["elem"].sort(key=lambda each: json.dumps(each, sort_keys=True))
        texts.append((content.get("chain", "") if what == "rule" else f"{what} {content['name']}", entry))
    return (json.dumps(entry, sort_keys=True) for _, entry in sorted(texts, key=lambda each: each[0]))


def differences(one: Any, other: Any, path: str = "") -> Iterator[str]:
    """Each leaf in which two states differ, with both values."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for name in sorted(one.keys() | other.keys()):
            yield from differences(one.get(name), other.get(name), f"{path}.{name}" if path else name)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, (left, right) in enumerate(zip(one, other, strict=True)):
            yield from differences(left, right, f"{path}[{index}]")
    elif one != other:
        yield f"{path}: {one} and {other}"


def forget(folder: Path) -> None:
    """Remove a folder of a lab that is down."""
    shutil.rmtree(folder, ignore_errors=True)
