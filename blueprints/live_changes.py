"""A cluster that runs: what is not changed at once there, refused with the way that is safe or given in stages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from pydantic import ValidationError

from blueprints.asking import Asked
from blueprints.encapsulation import Mode, encapsulation_name, mode_named
from blueprints.fact_parts import Distribution, RunningFacts
from blueprints.mtu import running_mtu
from blueprints.musts import Must, refuse
from blueprints.number_moves import number_changes
from blueprints.pool_moves import NotLive, pool_changes
from blueprints.running import running_distribution, running_pools, running_resources
from blueprints.session_moves import Peering
from blueprints.stages import Procedure
from blueprints.transitions import transition
from muslin.errors import Problem
from muslin.resources.base import Resource
from muslin.resources.bgp_configuration import BGPConfiguration
from muslin.resources.ip_pool import IPPool
from muslin.resources.places import FieldPath
from muslin.semantics.snapshot import Snapshot

__all__ = ["live_changes", "procedures_for"]

_PLACES = {"cidr": "podRange", "blockSize": "blockSize", "vxlanMode": "encapsulation", "asNumber": "asNumber"}
"""Mapping[field, the running fact that says otherwise]."""

_KEPT = {"blockSize": "block size", "vxlanMode": "encapsulation"}
"""Mapping[field, the decision that an override keeps as it runs]."""


def live_changes(asked: Asked, pools: Sequence[IPPool]) -> tuple[Problem, ...]:
    """Differences between what runs and what is decided that no commit may make; nothing for a new cluster.

    Args:
        asked: about which cluster.
        pools: as decided so far; those of a family without an encapsulation are missing.
    """
    running = asked.facts.running
    return () if running is None else tuple(_differences(asked, running, pools))


def _differences(asked: Asked, running: RunningFacts, pools: Sequence[IPPool]) -> Iterator[Problem]:
    unknown = tuple(_unknown(asked, running))
    yield from unknown
    if not unknown and pools:
        try:
            before = tuple(running_pools(asked.facts, running, pools))
        except ValidationError as error:
            what = f"no such pool runs anywhere: {error.errors()[0]['msg']}"
            where = asked.place("running", *(("pools",) if running.pools else ()))
            yield from refuse(Must.NOT_LIVE, what, where, "say of what runs what `muslin get ippools -o yaml` shows")
        else:
            yield from _refused(asked, pool_changes(before, pools))
    yield from _refused(asked, _numbers(asked, running))


def _unknown(asked: Asked, running: RunningFacts) -> Iterator[Problem]:
    names = {node.name for node in asked.facts.nodes}
    told: list[tuple[FieldPath, str | None]] = [(("running", "encapsulation"), running.encapsulation)]
    told += [(("running", "pools", at, "encapsulation"), each.encapsulation) for at, each in enumerate(running.pools)]
    for path, text in told:
        if text is not None and mode_named(text) is None:
            known = ", ".join(mode.value for mode in Mode)
            yield from refuse(Must.NOT_LIVE, f"{text!r} is no encapsulation", asked.place(*path), f"one of {known}")
    for index, name in enumerate(running.reflectors):
        if name not in names:
            where = asked.place("running", "reflectors", index)
            yield from refuse(Must.NOT_LIVE, f"the reflector {name} is none of the nodes", where, "correct the name")


def _refused(asked: Asked, found: Iterable[NotLive]) -> Iterator[Problem]:
    running = asked.facts.running
    for each in found:
        where = asked.place("running", _PLACES.get(str(each.path[-1]), "pools"))
        if running is not None and running.pools and each.key.kind == "IPPool":
            names = [pool.name for pool in running.pools]
            where = asked.place("running", "pools", names.index(each.key.name))
        kept = _KEPT.get(str(each.path[-1]))
        fix = each.fix if kept is None else f"{each.fix}. To keep what runs, override the decision {kept}"
        yield from refuse(Must.NOT_LIVE, each.what, where, fix, each.source)


def _numbers(asked: Asked, running: RunningFacts) -> Iterator[NotLive]:
    """Before there are resources: a configuration of each side is enough to judge the number."""
    decided = {each.name: each.chosen for each in asked.decisions}
    number, how = decided.get("AS number"), decided.get("route distribution")
    if running.as_number is None or number is None:
        return
    wished = Distribution(how) if how is not None else Distribution.NONE
    before = _peering(asked, running_distribution(running, wished), int(running.as_number))
    yield from number_changes(before, _peering(asked, wished, int(number)))


def _peering(asked: Asked, how: Distribution, number: int) -> Peering:
    mesh = how is Distribution.MESH
    spec = {"nodeToNodeMeshEnabled": mesh, "asNumber": number}
    config = BGPConfiguration.model_validate({"metadata": {"name": "default"}, "spec": spec})
    names = (node.name for node in asked.facts.nodes) if mesh and not asked.facts.top_of_rack else ()
    return Peering.of(Snapshot.of((config,)), names)


def procedures_for(asked: Asked, files: Mapping[str, tuple[Resource, ...]]) -> tuple[Procedure, ...]:
    """The stages from what runs to what is decided; none for a new cluster. What is refused then is noted.

    Args:
        asked: about which cluster; everything is decided.
        files: Mapping[path, resources] as decided.
    """
    running = asked.facts.running
    if running is None:
        return ()
    decided = {each.name: each.chosen for each in asked.decisions}
    how = Distribution(decided["route distribution"])
    wished = tuple(each for held in files.values() for each in held)
    before = running_resources(asked.facts, running, wished, how)
    names = (node.name for node in asked.facts.nodes)
    modes = {version: Mode(decided[encapsulation_name(version)]) for version in asked.facts.families}
    mtus = running_mtu(asked, modes), int(decided["MTU"])
    found = transition(before, wished, nodes=names, mtus=mtus)
    asked.add(tuple(_refused(asked, found.refused)))
    return found.procedures
