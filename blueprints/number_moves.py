"""Another AS number for a running cluster: node by node in a mesh, and no way at all elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
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


def _plain(peering: Peering) -> bool:
    """Whether it is a mesh and nothing else, in one AS."""
    own = any(each.spec.bgp is not None and each.spec.bgp.as_number is not None for each in peering.nodes.values())
    return peering.mesh and not peering.reflectors and not peering.peers and not own


def number_changes(before: Peering, after: Peering) -> Iterator[NotLive]:
    """An AS that can't be changed in stages: reflectors do not pass routes on between nodes of another AS."""
    old, new = _number(before), _number(after)
    if old == new or (before.kind == "no BGP" and after.kind == "no BGP"):
        return
    if _plain(before) and _plain(after) and before.names:
        return
    what = f"nodes run in AS {old}: with AS {new} every session ends at once, and so do routes"
    fix = (
        f"keep asNumber: {old}; a mesh alone can change node by node. With switches let the new number be local to "
        "their sessions (localASNumber), rack by rack, together with the network's people"
    )
    yield NotLive(_CONFIG, ("spec", "asNumber"), what, fix, section("Global Route Reflection"))


def number_moves(before: Peering, after: Peering) -> Procedure | None:
    """Node by node: each is drained, gets the number as its own, and takes pods again; last the number of all.

    Within a mesh this is safe at each moment: every node talks with every other itself, as a peer of the same AS or
    of another, so no route needs a third node to pass it on.
    """
    old, new = _number(before), _number(after)
    config = after.config
    if old == new or config is None or not (_plain(before) and _plain(after) and before.names):
        return None
    names = before.names
    stages = [
        Stage(
            f"give {name} the AS {new}",
            "its sessions end and come again, so its pods are moved away first; one node at a time",
            (Until(Condition.SESSIONS, peers=names, count=len(names) - 1), Until(Condition.ROUTES)),
            f"take the number from {name} again",
            write=(_node(before, after, name, new),),
            commands=(
                f"kubectl drain {name} --ignore-daemonsets --delete-emptydir-data",
                "# when this stage has ended: kubectl uncordon " + name,
            ),
        )
        for name in names
    ]
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
    running = () if before.config is None else (before.config,)
    return Procedure(
        f"AS {old} to {new}",
        "routes to all nodes that carry pods stay",
        section("Global Route Reflection"),
        tuple(stages),
        running,
    )


def _node(before: Peering, after: Peering, name: str, number: AsNumber) -> Node:
    known = after.nodes.get(name) or before.nodes.get(name)
    labels = dict(known.metadata.labels) if known is not None else {}
    metadata: dict[str, Any] = {"name": name, **({"labels": labels} if labels else {})}
    return Node.model_validate({"metadata": metadata, "spec": {"bgp": {"asNumber": int(number)}}})
