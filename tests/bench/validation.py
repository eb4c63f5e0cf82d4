"""Reading policies into checked models: how many a second, and how much memory many of them take."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from muslin.resources import load
from tests.bench.figures import Line

__all__ = ["measure"]

_POLICIES, _ROUNDS = 2000, 5
_GOAL_PER_SECOND = 5000
_KEPT = 10_000
_GOAL_MEGABYTES = 200


def policy(number: int) -> dict[str, Any]:
    """A policy as a datastore gives it: five rules over selectors, ports and prefixes, no two alike."""
    return {
        "apiVersion": "projectcalico.org/v3",
        "kind": "NetworkPolicy",
        "metadata": {
            "name": f"policy-{number}",
            "namespace": f"ns-{number % 50}",
            "labels": {"app": f"app-{number % 200}", "projectcalico.org/tier": "default"},
            "uid": f"{number:08d}-0000-4000-8000-000000000000",
            "resourceVersion": str(number),
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {
            "tier": "default",
            "order": 100.0 + number % 10,
            "selector": f"app == 'app-{number % 200}' && env in {{'prod', 'stage'}}",
            "types": ["Ingress", "Egress"],
            "ingress": [
                {
                    "action": "Allow",
                    "protocol": "TCP",
                    "source": {"selector": f"role == 'front-{number % 100}'"},
                    "destination": {"ports": [80, 443, "8000:8099"]},
                },
                {
                    "action": "Allow",
                    "protocol": "TCP",
                    "source": {"namespaceSelector": "team == 'ops'", "selector": "has(monitoring)"},
                    "destination": {"ports": [9090 + number % 10]},
                },
                {"action": "Deny", "source": {"nets": [f"10.{number % 256}.0.0/16", "192.0.2.0/24"]}},
            ],
            "egress": [
                {"action": "Allow", "protocol": "UDP", "destination": {"ports": [53]}},
                {"action": "Allow", "protocol": "TCP", "destination": {"notNets": ["198.51.100.0/24"]}},
            ],
        },
    }


def measure() -> list[Line]:
    """CPU seconds of this process for the rate; resident memory of a process of its own for the size."""
    return [_rate(), _memory()]


def _rate() -> Line:
    objects = [policy(number) for number in range(_POLICIES)]
    load(objects[0])
    best = min(_seconds(objects) for _ in range(_ROUNDS))
    rate = len(objects) / best
    return Line(
        "policies of five rules into checked models",
        f"{rate:,.0f} a second",
        goal=f"over {_GOAL_PER_SECOND:,} a second",
        held=rate > _GOAL_PER_SECOND,
        rounds=_ROUNDS,
    )


def _seconds(objects: list[dict[str, Any]]) -> float:
    began = time.process_time()  # no I/O here: CPU time is not disturbed by others
    kept = [load(each) for each in objects]
    taken = time.process_time() - began
    del kept
    return taken


def _memory() -> Line:
    done = subprocess.run([sys.executable, "-m", __name__], capture_output=True, text=True, check=True)
    growth, whole = (int(word) / 1e6 for word in done.stdout.split())
    return Line(
        f"memory of {_KEPT:,} such models",
        f"{growth:.0f} MB, the whole process {whole:.0f} MB",
        goal=f"under {_GOAL_MEGABYTES} MB",
        held=whole < _GOAL_MEGABYTES,
    )


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _keep() -> None:
    """What the process for the memory does: read objects from their texts, one after the other, and keep them."""
    load(policy(0))
    before = _resident()
    kept = [load(json.loads(json.dumps(policy(number)))) for number in range(_KEPT)]
    after = _resident()
    print(after - before, after)
    del kept


if __name__ == "__main__":
    _keep()
