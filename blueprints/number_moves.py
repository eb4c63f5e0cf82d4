"""Another AS number for a running cluster: node by node in a mesh, and no way at all elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from blueprints.decision import section
from blueprints.pool_moves import NotLive
from blueprints.session_moves import Peering
from blueprints.stages import Condition, Procedure, Stage, Until
from muslin.net import AsNumber
from muslin.resources.bgp_configuration import BGPConfigurationSpec
from muslin.resources.keys import Key
from muslin.resources.node import Node

__all__ = ["number_changes", "number_moves"]

_CONFIG = Key("BGPConfiguration", "default")


def _number(peering: Peering) -> AsNumber:
    spec = peering.config.spec if peering.config is not None else BGPConfigurationSpec()
    return spec.effective_as_number


def _own(peering: Peering) -> Mapping[str, AsNumber]:
    """Mapping[node, the number that it has for itself]."""
    found = {name: each.spec.bgp.as_number for name, each in peering.nodes.items() if each.spec.bgp is not None}
    return {name: number for name, number in found.items() if number is not None}


def _plain(peering: Peering) -> bool:
    """Whether it is a mesh and nothing else: every node talks with every other itself."""
    return peering.mesh and not peering.reflectors and not peering.peers


def _movable(before: Peering, after: Peering) -> bool:
    """Whether nodes can change their AS one by one. Some may have theirs already, where a change was given up."""
    return _plain(before) and _plain(after) and not _own(after) and bool(before.names)


def number_changes(before: Peering, after: Peering) -> Iterator[NotLive]:
    """An AS that can't be changed in stages: reflectors do not pass routes on between nodes of another AS."""
    old, new = _number(before), _number(after)
    if old == new or (before.kind == "no BGP" and after.kind == "no BGP"):
        return
    if _movable(before, after):
        return
    what = f"nodes run in AS {old}: with AS {new} every session ends at once, and so do routes"
    fix = (
        f"keep asNumber: {old}; or change three times, each in its stages: to a mesh of at most 100 nodes, there to AS "
        f"{new} node by node, and back to reflectors. With switches let the new number be local to their sessions "
        "(localASNumber), rack by rack, together with the network's people"
    )
    yield NotLive(_CONFIG, ("spec", "asNumber"), what, fix, section("Global Route Reflection"))


def number_moves(before: Peering, after: Peering) -> Procedure | None:
    """Node by node: each is drained, gets the number as its own, and takes pods again; last the number of all.

    Within a mesh this is safe at each moment: every node talks with every other itself, as a peer of the same AS or
    of another, so no route needs a third node to pass it on.
    """
    old, new = _number(before), _number(after)
    own = _own(before)
    names = before.names
    moving = [name for name in names if own.get(name, old) != new]
    config = after.config
    if config is None or not _movable(before, after) or not (moving or old != new or own):
        return None
    stages = [stage for name in moving for stage in _one_node(before, after, name, new)]
    if old != new:
        stages.append(
            Stage(
                f"make {new} the number of all",
                "every node has it already, so no session ends",
                (Until(Condition.STORED), Until(Condition.SESSIONS, peers=names, count=len(names) - 1)),
                f"write {old} again: nodes keep their own",
                write=(config,),
            )
        )
    wished = tuple(after.nodes[name] for name in names if name in after.nodes)
    stages.append(
        Stage(
            "take the nodes' own numbers back",
            "they are the same as that of all, and would be in the way of the next change",
            (Until(Condition.STORED), Until(Condition.SESSIONS, peers=names, count=len(names) - 1)),
            "write them again",
            write=wished,
            remove=tuple(Key("Node", name) for name in names if name not in after.nodes),
        )
    )
    running = () if before.config is None or old == new else (before.config,)
    numbered = tuple(_node(before, after, name, own[name]) for name in names if name in own)
    return Procedure(
        f"AS {old} to {new}" if old != new else f"AS {new} for every node",
        "routes to all nodes that carry pods stay",
        section("Global Route Reflection"),
        tuple(stages),
        (*running, *numbered),
    )


def _one_node(before: Peering, after: Peering, name: str, new: AsNumber) -> Iterator[Stage]:
    others = len(before.names) - 1
    yield Stage(
        f"move the pods away from {name}",
        "its sessions end and come again when its number changes; one node at a time",
        (Until(Condition.ONLY_DAEMONS, nodes=(name,)),),
        f"kubectl uncordon {name}",
        commands=(f"kubectl drain {name} --ignore-daemonsets --delete-emptydir-data",),
    )
    yield Stage(
        f"give {name} the AS {new}",
        "nobody needs its sessions now",
        (Until(Condition.SESSIONS, peers=before.names, count=others), Until(Condition.ROUTES)),
        f"take the number from {name} again",
        write=(_node(before, after, name, new),),
        commands=(f"# when this stage has ended: kubectl uncordon {name}",),
    )


def _node(before: Peering, after: Peering, name: str, number: AsNumber) -> Node:
    known = after.nodes.get(name) or before.nodes.get(name)
    labels = dict(known.metadata.labels) if known is not None else {}
    metadata: dict[str, Any] = {"name": name, **({"labels": labels} if labels else {})}
    return Node.model_validate({"metadata": metadata, "spec": {"bgp": {"asNumber": int(number)}}})
