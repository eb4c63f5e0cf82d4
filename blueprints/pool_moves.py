"""Pools that go, come and change in a running cluster: what may, and how pods move from one to another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from blueprints.decision import section
from blueprints.packet_moves import PODS_ANEW
from blueprints.stages import Condition, Procedure, Stage, Until
from muslin.net import Prefix
from muslin.resources.base import Resource
from muslin.resources.ip_pool import IPPool
from muslin.resources.keys import Key
from muslin.resources.places import FieldPath
from muslin.semantics.routes import Encapsulation, possible_encapsulations

__all__ = ["NEW_POOL", "NotLive", "pool_changes", "pool_moves"]

NEW_POOL = (
    "make a second pool with another range (set another podRange, and the stages are told): disable the old one, move "
    "every pod (delete them, a node at a time) until no block of the old pool is left, then delete it"
)
_NO_VXLAN = (
    "build a new cluster beside it and move the workloads; or, with an outage: drain every node, change it while no "
    "pod runs, restart the agents, let pods come back"
)


@dataclass(frozen=True, slots=True)
class NotLive:
    """What no commit may change while a cluster runs: which field of which object, and the safe way."""

    key: Key
    path: FieldPath
    what: str
    fix: str
    source: str


def pool_changes(before: Iterable[IPPool], after: Iterable[IPPool]) -> Iterator[NotLive]:
    """Changes of pools that no order of stages makes safe."""
    running = {each.metadata.name: each for each in before}
    wished = {each.metadata.name: each for each in after}
    for name, now in running.items():
        then = wished.get(name)
        if then is None:
            replaced = [
                each
                for each in wished.values()
                if each.spec.cidr.version == now.spec.cidr.version and not each.spec.disabled
            ]
            if not replaced:
                what = f"no other pool is left for the pods of {now.spec.cidr}: new pods would get no address"
                yield NotLive(now.key, ("metadata", "name"), what, NEW_POOL, section("Routable Pod Network"))
            yield from _other_way(now, replaced)
            for each in replaced:
                if each.spec.cidr.overlaps(now.spec.cidr):
                    what = f"the pools {now.spec.cidr} and {each.spec.cidr} can't stand beside each other: they overlap"
                    yield NotLive(now.key, ("spec", "cidr"), what, NEW_POOL, section("Routable Pod Network"))
            continue
        if then.spec.cidr != now.spec.cidr:
            what = f"the running pool has the range {now.spec.cidr}, which can't be changed to {then.spec.cidr}"
            yield NotLive(now.key, ("spec", "cidr"), what, NEW_POOL, section("Routable Pod Network"))
        if then.spec.effective_block_size != now.spec.effective_block_size:
            size = now.spec.effective_block_size
            what = f"the running pool has blocks of /{size}, which can't be changed"
            yield NotLive(now.key, ("spec", "blockSize"), what, NEW_POOL, section("Single Subnet Configuration"))
        yield from _other_way(now, [then])


def _other_way(now: IPPool, replaced: Sequence[IPPool]) -> Iterator[NotLive]:
    """VXLAN to or from the others: routes come another way, so pods of both kinds would not find each other."""
    for then in replaced:
        ours, theirs = _wrapped(now), _wrapped(then)
        if (ours is Encapsulation.VXLAN) != (theirs is Encapsulation.VXLAN):
            what = f"{ours.value} runs, and {theirs.value} can't replace it while it runs: routes come another way"
            yield NotLive(now.key, ("spec", "vxlanMode"), what, _NO_VXLAN, section("VXLAN Configuration"))
            return


def _wrapped(pool: IPPool) -> Encapsulation:
    """What wraps its packets, if anything ever does."""
    return next(iter(possible_encapsulations(pool) - {Encapsulation.NONE}), Encapsulation.NONE)


def pool_moves(before: Iterable[IPPool], after: Iterable[IPPool]) -> tuple[Procedure, ...]:
    """One procedure for each pool that goes: the new one in, the old one disabled, drained, out."""
    running = {each.metadata.name: each for each in before}
    wished = {each.metadata.name: each for each in after}
    gone = [each for name, each in running.items() if name not in wished]
    return tuple(
        _replacement(now, [e for n, e in wished.items() if n not in running and _same_family(e, now.spec.cidr)])
        for now in gone
    )


def _same_family(pool: IPPool, prefix: Prefix) -> bool:
    return pool.spec.cidr.version == prefix.version


def _replacement(now: IPPool, added: Sequence[IPPool]) -> Procedure:
    old = now.spec.cidr
    new = ", ".join(str(each.spec.cidr) for each in added)
    disabled = IPPool.model_validate(_disabled(now))
    arrive: tuple[Resource, ...] = tuple(added)
    coming = (
        Stage(
            f"bring the pool {new} in",
            "pods that are made from now on may take addresses of it; nothing moves yet",
            (Until(Condition.STORED),),
            f"delete {', '.join(each.metadata.name for each in added)}, if no pod has an address of it yet",
            write=arrive,
        ),
    )
    return Procedure(
        f"pool {old} to {new}" if added else f"pool {old} out",
        "every pod keeps an address that others reach",
        section("Routable Pod Network"),
        (
            *(coming if added else ()),
            Stage(
                f"disable the pool {old}",
                "new pods take no addresses of it; those that have one keep it, and its routes",
                (Until(Condition.STORED),),
                "enable it again",
                write=(disabled,),
            ),
            Stage(
                f"move the pods out of {old}",
                "a pod keeps its address as long as it lives: make each anew, a node at a time",
                (Until(Condition.POOL_EMPTY, prefix=old),),
                "enable the old pool again: pods that are made then may take addresses of both",
                commands=PODS_ANEW,
            ),
            Stage(
                f"take the pool {old} out",
                "nobody has an address of it",
                (Until(Condition.STORED),),
                "write it again",
                remove=(now.key,),
            ),
        ),
        (now,),
    )


def _disabled(pool: IPPool) -> dict[str, object]:
    spec = pool.spec.to_json()
    return {"metadata": {"name": pool.metadata.name}, "spec": {**spec, "disabled": True}}
