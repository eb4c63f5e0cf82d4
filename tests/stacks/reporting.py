"""Nodes of the stack with route reflectors, and what their agents report when they are asked for their sessions."""

from __future__ import annotations

from tests.support.kube_apiserver import KubeApiserver

__all__ = ["NODES", "register_nodes", "report_sessions"]

_API = "/apis/projectcalico.org/v3"
NODES = {"node-a": "192.0.2.1", "node-b": "192.0.2.2", "node-c": "198.51.100.1", "node-d": "198.51.100.2"}
"""Mapping[node, address], as in the stack's facts."""


def register_nodes(server: KubeApiserver) -> None:
    """What kubelets do."""
    for name in NODES:
        server.request("POST", "/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})


def report_sessions(server: KubeApiserver, node: str, established: set[str]) -> None:
    """What a node's agent writes when it is asked for its sessions."""
    peers = [
        {"peerIP": address, "state": "Established" if name in established else "Active", "type": "NodePeer"}
        for name, address in NODES.items()
        if name != node
    ]
    path = f"{_API}/caliconodestatuses/sessions-of-{node}"
    current = server.request("GET", path)
    status = {"bgp": {"peersV4": peers, **{f"number{which}V{version}": 0 for which in ("Established", "NotEstablished")
                                           for version in (4, 6)}}}  # fmt: skip
    answer = server.request("PUT", f"{path}/status", {**current, "status": status})
    assert answer.status == 200, answer
