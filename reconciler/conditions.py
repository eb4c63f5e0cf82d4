"""Whether what ends a stage is so, from what nodes report and a datastore holds: pure.

What is true is found by looking, never remembered, so a reconciler that was killed finds the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from blueprints.stages import Condition, Until
from muslin.datastore.protocol import Entry, Json
from muslin.errors import MuslinError
from muslin.ipam.blocks import Block
from muslin.net import Prefix, parse_prefix
from muslin.resources.keys import Key
from reconciler.course import node_addresses
from reconciler.findings import is_excused
from reconciler.gates import Finding
from reconciler.node_reports import NodeReport

__all__ = ["DAEMONS", "World", "addresses_of", "empty_blocks", "finding", "kinds_for"]

DAEMONS: Final = "pod-template-generation"
"""Label that Kubernetes gives to pods of DaemonSets, and to no others."""

_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class World:
    """What a stage is judged by.

    Attributes:
        live: Mapping[Key, Entry]: of pods and addresses what `kinds_for` names.
        addresses: Mapping[node that runs, its addresses as text].
        reports: Mapping[node, its report].
        blocks: Mapping[node, prefixes that it holds].
        revision: of the last of the stage's objects that was written; agents must have applied it.
        since: when the stage began, RFC 3339.
        excused: `node peer` and `node routes` of what was wrong before the commit came.
    """

    live: Mapping[Key, Entry]
    addresses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    reports: Mapping[str, NodeReport] = field(default_factory=dict)
    blocks: Mapping[str, Collection[str]] = field(default_factory=dict)
    revision: int = 0
    since: str = ""
    excused: Collection[str] = ()


def addresses_of(live: Mapping[Key, Entry]) -> dict[str, tuple[str, ...]]:
    """Mapping[node that runs, its addresses as text]: those that have told one."""
    found = {}
    for key, entry in live.items():
        if key.kind == "Node" and (held := node_addresses(entry.value)):
            found[key.name] = held
    return found


def kinds_for(until: Sequence[Until]) -> frozenset[str]:
    """Kinds that must be known, beside nodes and their reports."""
    needed = {
        Condition.ONLY_DAEMONS: ("WorkloadEndpoint",),
        Condition.PODS_REMADE: ("WorkloadEndpoint",),
        Condition.POOL_EMPTY: ("IPAMBlock",),
    }
    return frozenset(kind for each in until for kind in needed.get(each.condition, ()))


def finding(until: Until, world: World) -> Finding:
    """Whether a condition is met. STORED and CONFIRMED are not seen in the world: who writes and who confirms knows."""
    match until.condition:
        case Condition.ONLY_DAEMONS:
            running = [each for each in _pods(world, until.nodes, until.but) if DAEMONS not in _labels(each)]
            return Finding(tuple(_few([f"{_name(each)} runs on {_node(each)}" for each in running])))
        case Condition.PODS_REMADE:
            old = [each for each in _pods(world, until.nodes, until.but) if not _made_after(each, world.since)]
            return Finding(tuple(_few([f"{_name(each)} on {_node(each)} was made before" for each in old])))
        case Condition.POOL_EMPTY:
            return Finding(tuple(_in_use(until.prefix, world)))
        case Condition.SESSIONS:
            return _sessions(until, world)
        case Condition.ROUTES:
            return _routes(until, world)
        case Condition.STORED:
            return _agents(world)
        case Condition.CONFIRMED:
            return Finding((until.text,))


def empty_blocks(prefix: Prefix, live: Mapping[Key, Entry]) -> tuple[Block, ...]:
    """Blocks of a pool that holds no address any more; none while one is in use."""
    found = _blocks(prefix, live)
    return () if any(each is None or _held(each) for each in found) else tuple(each for each in found if each)


def _agents(world: World) -> Finding:
    """Whether agents that say what they have applied know what the stage has written."""
    lacks = [
        f"{name} has applied revision {report.applied}, not yet {world.revision}"
        for name, report in sorted(world.reports.items())
        if name in world.addresses
        and report.applied is not None
        and report.applied.isdecimal()
        and int(report.applied) < world.revision
    ]
    return Finding(tuple(_few(lacks)))


def _sessions(until: Until, world: World) -> Finding:
    addresses = world.addresses
    # nodes among themselves: each but itself, and of those that run
    whole = not until.but and until.nodes in ((), until.peers) and until.count < len(until.peers)
    peers = {each: addresses.get(each, (each,)) for each in until.peers if each in addresses or not whole}
    owner = {address: name for name, held in addresses.items() for address in held}
    lacks: list[str] = []
    unheard: list[str] = []
    for name in _asked(until, addresses):
        mine = {peer: held for peer, held in peers.items() if peer != name}
        wanted = min(until.count, len(mine)) if whole else until.count
        cut = sum(any(is_excused(world.excused, name, address) for address in held) for held in mine.values())
        # who reached nobody before is not looked at; but a new reflector that one cannot reach is no reflector
        excused = cut if whole or cut == len(mine) else 0
        report = world.reports.get(name)
        if wanted - excused <= 0:
            continue
        if report is None or not report.heard:
            unheard.append(f"{name} does not report its sessions")
            continue
        missing = [peer for peer, held in mine.items() if not any(_up(name, address, world, owner) for address in held)]
        if len(mine) - len(missing) < wanted - excused:
            lacks.append(f"{name} has no session with {', '.join(_few(missing))}")
    behind = _agents(world)
    return Finding((*_few(lacks), *behind.lacks), tuple(_few(unheard)))


def _up(name: str, address: str, world: World, owner: Mapping[str, str]) -> bool:
    """Whether both ends say so: one that ended a session cannot always tell the other."""
    if address not in world.reports[name].established:
        return False
    other = world.reports.get(owner.get(address, ""))
    if other is None or not other.heard:
        return True
    return any(mine in other.established for mine in world.addresses.get(name, ()))


def _routes(until: Until, world: World) -> Finding:
    lacks: list[str] = []
    unheard: list[str] = []
    for name in _asked(until, world.addresses):
        report = world.reports.get(name)
        if f"{name} routes" in world.excused:
            continue
        if report is None or not report.heard:
            unheard.append(f"{name} does not report its routes")
            continue
        missing = sorted(
            prefix
            for other, held in world.blocks.items()
            if other != name
            for prefix in held
            if prefix not in report.learnt
        )
        if missing:
            lacks.append(f"{name} has no route to {', '.join(_few(missing))}")
    return Finding(tuple(_few(lacks)), tuple(_few(unheard)))


def _asked(until: Until, running: Collection[str]) -> list[str]:
    """Nodes that must fulfil a condition: of those that run."""
    return sorted(name for name in running if (name in until.nodes if until.nodes else name not in until.but))


def _in_use(prefix: Prefix | None, world: World) -> Iterator[str]:
    found = _blocks(prefix, world.live) if prefix is not None else []
    unread = sum(each is None for each in found)
    held = [each for each in found if each is not None and _held(each)]
    if unread:
        yield f"{unread} blocks of {prefix} can't be read"
    if held:
        total = sum(map(_held, held))
        users = sorted({str(_user(block)) for block in held})
        yield f"{total} addresses of {prefix} are assigned, on {', '.join(_few(users))}"
    empty = [each for each in found if each is not None and not _held(each)]
    if empty:
        yield f"{len(empty)} empty blocks of {prefix} are not given back yet"


def _blocks(prefix: Prefix, live: Mapping[Key, Entry]) -> list[Block | None]:
    """Blocks within a prefix; None for one that cannot be read."""
    found: list[Block | None] = []
    for key, entry in live.items():
        if key.kind != "IPAMBlock":
            continue
        try:
            cidr = parse_prefix(str(_mapping(entry.value, "spec").get("cidr")), strict=False)
            if cidr.version == prefix.version and cidr.overlaps(prefix):
                found.append(Block.read(entry.value))
        except (MuslinError, ValueError, KeyError, TypeError):
            found.append(None)
    return found


def _held(block: Block) -> int:
    return sum(index is not None for index in block.allocations)


def _user(block: Block) -> str:
    return block.affinity.removeprefix("host:") if block.affinity else str(block.prefix)


def _pods(world: World, nodes: Collection[str], but: Collection[str]) -> list[Json]:
    return [
        entry.value
        for key, entry in sorted(world.live.items(), key=lambda item: str(item[0]))
        if key.kind == "WorkloadEndpoint" and (_node(entry.value) in nodes if nodes else _node(entry.value) not in but)
    ]


def _made_after(pod: Json, since: str) -> bool:
    """Whether a pod was made in a later second than that in which the stage began: stores keep no finer times."""
    try:
        made = datetime.fromisoformat(str(_mapping(pod, "metadata").get("creationTimestamp")))
        return _utc(made) > _utc(datetime.fromisoformat(since)).replace(microsecond=0)
    except (ValueError, OverflowError):
        return False


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _name(pod: Json) -> str:
    spec = _mapping(pod, "spec")
    return f"{_mapping(pod, 'metadata').get('namespace')}/{spec.get('pod') or _mapping(pod, 'metadata').get('name')}"


def _node(pod: Json) -> str:
    return str(_mapping(pod, "spec").get("node"))


def _labels(pod: Json) -> Mapping[str, Any]:
    return _mapping(_mapping(pod, "metadata"), "labels")


def _mapping(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name)
    return found if isinstance(found, Mapping) else {}


def _few(names: Sequence[str]) -> list[str]:
    return list(names) if len(names) <= _SHOWN + 1 else [*names[:_SHOWN], f"{len(names) - _SHOWN} more"]
