"""Commits of one cluster by chance: pools, BGP, policies, sets, and mistakes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from random import Random
from typing import Any

from tests.simulation.oracle import POISON

__all__ = ["Writer"]

APPS = ("web", "client", "db")
NAMESPACES = ("demo", "shop")
_MISTAKES = (
    "kind: [",
    "apiVersion: projectcalico.org/v3\nkind: GlobalNetworkPolicy\nmetadata: {name: oops}\nspec: {selektor: all()}\n",
    "apiVersion: projectcalico.org/v3\nkind: GlobalNetworkPolicy\nmetadata: {name: oops}\nspec: {selector: 'a ='}\n",
    "apiVersion: projectcalico.org/v3\nkind: Policy\nmetadata: {name: oops}\n",
)


def _text(kind: str, name: str, spec: Mapping[str, Any], namespace: str | None = None, **labels: str) -> str:
    metadata: dict[str, Any] = {"name": name}
    if namespace is not None:
        metadata["namespace"] = namespace
    if labels:
        metadata["labels"] = labels
    return json.dumps({"apiVersion": "projectcalico.org/v3", "kind": kind, "metadata": metadata, "spec": dict(spec)})


class Writer:
    """Somebody who changes a repository a little with each commit."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._bad = 0
        pool = {"cidr": "10.48.0.0/25", "blockSize": 29, "natOutgoing": True, "ipipMode": "Never"}
        self.files: dict[str, str] = {
            "pool.yaml": _text("IPPool", "pods", pool),
            "bgp.yaml": _text("BGPConfiguration", "default", {"asNumber": 64512, "nodeToNodeMeshEnabled": True}),
        }

    def good(self) -> dict[str, str]:
        """The next commit."""
        for _ in range(self._random.randint(1, 3)):
            self._change()
        return dict(self.files)

    def bad(self) -> dict[str, str]:
        """A commit with one mistake, which also would open everything and remove much."""
        self._bad += 1
        allow = [{"action": "Allow"}]
        opened = {"order": 1, "selector": "all()", "types": ["Ingress", "Egress"], "ingress": allow, "egress": allow}
        kept = {name: text for name, text in self.files.items() if self._random.random() < 0.5}
        return kept | {
            "a.yaml": _text("GlobalNetworkPolicy", f"{POISON}-{self._bad}", opened),
            "m.yaml": self._random.choice(_MISTAKES),
            "z.yaml": _text("GlobalNetworkPolicy", f"{POISON}-z{self._bad}", opened),
        }

    def _change(self) -> None:
        random = self._random
        match random.randrange(6):
            case 0:
                if self.files.pop("deny.yaml", None) is None:
                    spec = {"order": 2000, "selector": "all()", "types": ["Ingress", "Egress"]}
                    self.files["deny.yaml"] = _text("GlobalNetworkPolicy", "default-deny", spec)
            case 1:
                name = f"set-{random.randint(0, 1)}"
                nets = [f"10.48.0.{random.randrange(0, 128, 8)}/29" for _ in range(random.randint(1, 3))]
                self.files[f"{name}.yaml"] = _text(
                    "GlobalNetworkSet", name, {"nets": sorted(set(nets))}, which=str(random.randint(0, 1))
                )
            case 2:
                name = f"policy-{random.randint(0, 3)}"
                self.files.pop(f"{name}.yaml", None)
            case _:
                name = f"policy-{random.randint(0, 3)}"
                self.files[f"{name}.yaml"] = self._policy(name)

    def _policy(self, name: str) -> str:
        random = self._random
        types = random.choice((["Ingress"], ["Egress"], ["Ingress", "Egress"]))
        spec: dict[str, Any] = {
            "order": random.randint(1, 50) * 10,
            "selector": random.choice(("all()", *(f"app == '{app}'" for app in APPS))),
            "types": types,
        }
        for direction in types:
            spec[direction.lower()] = [self._rule(direction) for _ in range(random.randint(0, 3))]
        if int(name[-1]) % 2:
            return _text("NetworkPolicy", name, spec, NAMESPACES[int(name[-1]) // 2])
        return _text("GlobalNetworkPolicy", name, spec)

    def _rule(self, direction: str) -> dict[str, Any]:
        random = self._random
        peer: dict[str, Any] = {}
        match random.randrange(4):
            case 0:
                peer["selector"] = f"app == '{random.choice(APPS)}'"
            case 1:
                peer["selector"] = f"which == '{random.randint(0, 1)}'"
            case 2:
                peer["nets"] = [f"10.48.0.{random.randrange(0, 128, 32)}/27"]
            case _:
                pass
        rule: dict[str, Any] = {"action": random.choice(("Allow", "Allow", "Allow", "Deny", "Pass"))}
        source, destination = (peer, {}) if direction == "Ingress" else ({}, peer)
        if random.random() < 0.5:
            rule["protocol"] = "TCP"
            destination = {**destination, "ports": [80]}
        if source:
            rule["source"] = source
        if destination:
            rule["destination"] = destination
        return rule
