"""How routes keep being told while those who tell them change: mesh, reflectors, switches, in any direction.

New sessions come first, old ones go last, and between them stands the condition that routes arrive over the new.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from blueprints import reflectors, routable, switches
from blueprints.decision import section
from blueprints.stages import Condition, Procedure, Stage, Until
from muslin.net import ClusterId
from muslin.resources.base import Resource
from muslin.resources.bgp_configuration import BGPConfiguration
from muslin.resources.bgp_peer import BGPPeer
from muslin.resources.keys import Key
from muslin.resources.node import Node
from muslin.selectors import parse
from muslin.semantics.snapshot import Snapshot

__all__ = ["Peering", "session_moves"]

_ENOUGH: Final = 2
"""Reflectors that every client must have: one may fail while others change."""
_LABELS: Final = frozenset({reflectors.LABEL, switches.LABEL, routable.LABEL})
_STORED: Final = Until(Condition.STORED)


@dataclass(frozen=True, slots=True)
class Peering:
    """Who peers with whom, as resources say it.

    Attributes:
        mesh: whether nodes peer with each other.
        reflectors: Mapping[node, its cluster ID].
        peers: Mapping[name, BGPPeer].
        nodes: Mapping[name, what is known of a node].
        config: BGPConfiguration `default`, if there is one.
    """

    mesh: bool
    reflectors: Mapping[str, ClusterId]
    peers: Mapping[str, BGPPeer]
    nodes: Mapping[str, Node]
    config: BGPConfiguration | None = None
    _names: tuple[str, ...] = field(default=())

    @classmethod
    def of(cls, snapshot: Snapshot, names: Iterable[str] = ()) -> Peering:
        """The peering of a snapshot; `names` of nodes that it may not hold."""
        config = snapshot.get(BGPConfiguration, "default")
        nodes = {each.metadata.name: each for each in snapshot.all(Node)}
        reflecting = {
            name: each.spec.bgp.route_reflector_cluster_id
            for name, each in nodes.items()
            if each.spec.bgp is not None and each.spec.bgp.route_reflector_cluster_id is not None
        }
        mesh = config is None or config.spec.effective_node_to_node_mesh_enabled
        peers = {each.metadata.name: each for each in snapshot.all(BGPPeer)}
        return cls(mesh, reflecting, peers, nodes, config, tuple(sorted({*names, *nodes})))

    @property
    def names(self) -> tuple[str, ...]:
        """Every node that is known."""
        return self._names

    @property
    def kind(self) -> str:
        """What it is called."""
        found = ["mesh"] if self.mesh else []
        found += ["reflectors"] if self.reflectors else []
        found += ["peers outside"] if any(each.spec.peer_ip is not None for each in self.peers.values()) else []
        return " and ".join(found) or "no BGP"


def session_moves(before: Peering, after: Peering) -> Procedure | None:
    """From one peering to another without a moment in which a node misses routes; None where no session goes.

    Args:
        before: as it runs.
        after: as it is wished.
    """
    stages = tuple(_Moves(before, after).stages())
    ends = (before.mesh and not after.mesh) or bool(before.reflectors.keys() - after.reflectors.keys())
    ends = ends or any(name not in after.peers or after.peers[name] != each for name, each in before.peers.items())
    joins = after.reflectors.items() - before.reflectors.items()
    if not (ends or joins):
        return None
    name = f"{before.kind} to {after.kind}" if before.kind != after.kind else f"other {after.kind}"
    running = [before.config] if before.config is not None else []
    touched = {key for stage in stages for key in (*(each.key for each in stage.write), *stage.remove)}
    known = [each for each in (*running, *before.peers.values()) if each.key in touched]
    known += [each for each in map(_declared, before.nodes.values()) if each is not None and each.key in touched]
    source = section("Global Route Reflection" if after.reflectors else "Route Distribution")
    return Procedure(name, "routes stay while those who distribute them change", source, stages, tuple(known))


def _declared(node: Node) -> Node | None:
    """Of a node as it is stored, what files declare: labels of ours, AS, cluster ID."""
    labels = dict(_ours(node))
    bgp = node.spec.bgp
    own = {
        name: str(value) if name != "asNumber" else int(str(value))
        for name, value in (
            ("asNumber", bgp.as_number if bgp else None),
            ("routeReflectorClusterID", bgp.route_reflector_cluster_id if bgp else None),
        )
        if value is not None
    }
    if not labels and not own:
        return None
    spec = {"bgp": own} if own else {}
    return Node.model_validate({"metadata": {"name": node.metadata.name, "labels": labels}, "spec": spec})


class _Moves:
    """The stages between two peerings."""

    def __init__(self, before: Peering, after: Peering) -> None:
        self._before, self._after = before, after
        self._new = tuple(sorted(after.reflectors.keys() - before.reflectors.keys()))
        self._old = tuple(sorted(before.reflectors.keys() - after.reflectors.keys()))
        both = after.reflectors.keys() & before.reflectors.keys()
        self._renamed = tuple(sorted(name for name in both if after.reflectors[name] != before.reflectors[name]))

    def stages(self) -> Iterator[Stage]:
        """In order."""
        before, after = self._before, self._after
        if self._new:
            yield self._aside()
        yield from self._declare()
        if self._new:
            yield self._reflect()
        for name in self._renamed:
            yield self._some(
                f"give {name} its other cluster ID",
                "one after the other: reflectors with different ids pass each other's routes on meanwhile",
                (name,),
            )
        yield from self._exchange()
        if len(set(before.reflectors.values())) > 1 and not after.reflectors:
            why = "together: sets that serve different nodes pass their routes on to each other, and no one else does"
            yield self._some(f"let {', '.join(self._old)} reflect no more", why, self._old)
        else:
            why = "one after the other, when the others serve every node"
            yield from (self._some(f"let {name} reflect no more", why, (name,)) for name in self._old)
        if before.mesh and not after.mesh and after.config is not None:
            yield Stage(
                "turn the mesh off",
                "last: from here on routes come from the new peers alone",
                self._settled(),
                "turn the mesh on again",
                write=(after.config,),
            )
        gone = [Key("BGPPeer", name) for name in sorted(before.peers.keys() - after.peers.keys())]
        others, unsaid = self._leftover()
        if gone or others or unsaid or self._old:
            yield Stage(
                "clear away what nobody uses",
                "the sessions that these made have others beside them now",
                (_STORED, *self._settled()),
                "write them again",
                write=others,
                remove=(*gone, *unsaid),
                commands=reflectors.release_commands(self._old),
            )

    def _leftover(self) -> tuple[tuple[Node, ...], tuple[Key, ...]]:
        """Labels that no peer asks for any more: nodes of which less is declared, and those of which nothing is."""
        before, after = self._before.nodes, self._after.nodes
        told = {name: _ours(each) for name, each in before.items() if name not in self._old}
        less = sorted(name for name, labels in told.items() if name in after and labels.keys() - _labels(after[name]))
        none = sorted(name for name, labels in told.items() if name not in after and labels)
        return tuple(after[name] for name in less), tuple(Key("Node", name) for name in none)

    def _both(self, name: str) -> Node:
        """A node as it is wished, with the labels that it has: sessions that hang on them stay for now."""
        wished, running = self._after.nodes[name], self._before.nodes.get(name)
        if running is None or not _ours(running).keys() - _labels(wished):
            return wished
        metadata = {"name": name, "labels": {**_ours(running), **wished.metadata.labels}}
        return Node.model_validate({"metadata": metadata, "spec": wished.spec.to_json()})

    def _aside(self) -> Stage:
        return Stage(
            "set the reflectors aside",
            "a node that gets a cluster ID leaves the mesh in that moment, so its pods must be gone",
            (Until(Condition.ONLY_DAEMONS, nodes=self._new),),
            f"take the taint off {', '.join(self._new)}",
            commands=reflectors.taint_commands(self._new),
        )

    def _declare(self) -> Iterator[Stage]:
        """New peers, labels of racks, and the mesh where it comes on."""
        before, after = self._before, self._after
        added: list[Resource] = [each for name, each in after.peers.items() if name not in before.peers]
        added += [
            node
            for name, node in after.nodes.items()
            if name not in after.reflectors and name not in before.reflectors and _tells(node, before.nodes.get(name))
        ]
        on = after.mesh and not before.mesh
        if on and after.config is not None:
            added.append(after.config)
        if not added:
            return
        outside = [each for each in added if isinstance(each, BGPPeer) and each.spec.peer_ip is not None]
        told = self._settled() if on or (outside and not self._new) else ()
        yield Stage(
            "turn the mesh on" if on else "declare who will peer with whom",
            "new sessions come before old ones go" if told else "no session comes or goes: nobody has the label yet",
            (_STORED, *told),
            "turn the mesh off again" if on else "delete the BGPPeers",
            write=tuple(added),
        )

    def _reflect(self) -> Stage:
        return Stage(
            "make the reflectors",
            "with the label nodes peer with them, and with the cluster ID they pass routes on",
            self._settled(),
            "delete the Nodes' label and cluster ID"
            + (": they return to the mesh" if self._before.mesh else "; the other reflectors serve every node"),
            write=tuple(self._both(name) for name in self._new),
        )

    def _some(self, what: str, why: str, names: Sequence[str]) -> Stage:
        wished = self._after.nodes
        return Stage(
            what,
            why,
            (_STORED, *self._settled()),
            f"write {', '.join(names)} as before",
            write=tuple(wished[name] for name in names if name in wished),
            remove=tuple(Key("Node", name) for name in names if name not in wished),
        )

    def _exchange(self) -> Iterator[Stage]:
        """BGPPeers that change under their name: each ends its sessions and makes new ones."""
        for name, peer in sorted(self._after.peers.items()):
            if name in self._before.peers and self._before.peers[name] != peer:
                yield Stage(
                    f"change the peer {name}",
                    "its sessions end and come again: one peer at a time, so that nodes keep their others",
                    (_STORED, *self._settled()),
                    "write it as it was",
                    write=(peer,),
                )

    def _settled(self) -> tuple[Until, ...]:
        """Sessions of the wished peering are up, and routes came over them."""
        after = self._after
        found: list[Until] = []
        reflecting = tuple(sorted(after.reflectors))
        if reflecting:
            enough = min(_ENOUGH, len(reflecting))
            found.append(Until(Condition.SESSIONS, but=reflecting, peers=reflecting, count=enough))
        if after.mesh:
            inside = tuple(name for name in after.names if name not in self._before.reflectors)
            found.append(Until(Condition.SESSIONS, nodes=inside, peers=inside, count=max(0, len(inside) - 1)))
        for peer in after.peers.values():
            if peer.spec.peer_ip is not None:
                listening = self._selected(peer)
                found.append(Until(Condition.SESSIONS, listening, peers=(str(peer.spec.peer_ip.address),), count=1))
        return (*found, Until(Condition.ROUTES)) if found else (_STORED,)

    def _selected(self, peer: BGPPeer) -> tuple[str, ...]:
        """Nodes that a BGPPeer configures; none named where it is all of them."""
        if peer.spec.node:
            return (peer.spec.node,)
        if not peer.spec.node_selector:
            return ()
        selector = parse(peer.spec.node_selector)
        return tuple(sorted(name for name in self._after.names if selector.matches(self._labels(name))))

    def _labels(self, name: str) -> Mapping[str, str]:
        known: Sequence[Node | None] = (self._before.nodes.get(name), self._after.nodes.get(name))
        return {key: value for each in known if each is not None for key, value in each.metadata.labels.items()}


def _ours(node: Node) -> Mapping[str, str]:
    """Labels that files declare of nodes; Kubernetes gives them many more."""
    return {key: value for key, value in node.metadata.labels.items() if key in _LABELS}


def _labels(node: Node) -> frozenset[str]:
    return frozenset(node.metadata.labels)


def _tells(wished: Node, running: Node | None) -> bool:
    """Whether a node is declared to have a label that it has not yet."""
    return running is None or bool(wished.metadata.labels.items() - running.metadata.labels.items())
