"""What one policy change does to traffic, among 10,000 endpoints and 1,000 policies; a plan beside `kubectl diff`.

CPU time of the process that computes, or of all that a command starts: the machine is shared. `kubectl diff` is asked
object by object, as people do; it says nothing of traffic, and so the plan says more for its time.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from muslin import resources
from muslin.resources.base import Resource
from muslin.resources.crds import definitions
from muslin.semantics.snapshot import Snapshot
from reconciler.effect.paths import traffic_change
from tests.bench.figures import Line, Rounds, milliseconds
from tests.support.clusters import (
    global_policy,
    global_set,
    namespace_profile,
    node,
    policy,
    tier,
    workload,
)
from tests.support.engines import Missing, program
from tests.support.kube_apiserver import KubeApiserver

__all__ = ["app_policy", "big_cluster", "measure"]

_NODES, _NAMESPACES, _APPS, _PODS = 200, 100, 10, 10


def big_cluster() -> list[Resource]:
    """200 nodes, 100 namespaces of ten applications of ten pods; a policy of five rules an application, 50 global."""
    found: list[Resource] = [node(f"node-{at}", f"192.0.{2 + at // 250}.{at % 250 + 1}/16") for at in range(_NODES)]
    found += [tier("security", 100, "Pass")]
    found += [global_set(f"partner-{at}", [f"198.51.100.{at * 8}/29"], {"partner": f"p{at}"}) for at in range(20)]
    count = 0
    for space in range(_NAMESPACES):
        name = f"team-{space}"
        found.append(namespace_profile(name, {"stage": "prod" if space % 4 else "test", "team": f"t{space % 20}"}))
        for app in range(_APPS):
            for pod in range(_PODS):
                labels = {
                    "app": f"app-{app}",
                    "tier": "front" if app < 3 else "back",
                    "version": f"v{pod % 2}",
                    "pod-template-hash": f"{space:03}{app:03}",
                    "monitored": "yes" if app % 2 else "no",
                }
                address = f"10.{48 + count // 65536}.{count // 256 % 256}.{count % 256}"
                found.append(
                    workload(
                        f"a{app}-{pod}-{space}", address, on=f"node-{count % _NODES}", namespace=name, labels=labels
                    )
                )
                count += 1
        found += [app_policy(name, app) for app in range(_APPS) if space * _APPS + app < 950]
    found += [_global(at) for at in range(50)]
    return found


def app_policy(namespace: str, app: int, port: int = 8080) -> Resource:
    """Who may talk to one application of one namespace."""
    rules: list[dict[str, Any]] = [
        _rule("Allow", port, {"selector": f"app == 'app-{(app + 1) % _APPS}'"}),
        _rule("Allow", port, {"selector": "tier == 'front'", "namespaceSelector": "stage == 'prod'"}),
        _rule("Allow", 9100, {"namespaceSelector": "projectcalico.org/name == 'team-0'"}),
        _rule("Allow", 443, {"nets": ["203.0.113.0/24"]}),
        {"action": "Deny"},
    ]
    return policy(f"app-{app}", namespace, order=100, selector=f"app == 'app-{app}'", types=["Ingress"], ingress=rules)


def _rule(action: str, port: int, source: dict[str, Any]) -> dict[str, Any]:
    return {"action": action, "protocol": "TCP", "source": source, "destination": {"ports": [port]}}


def _global(at: int, action: str = "Deny") -> Resource:
    rule = {"action": action, "protocol": "TCP", "destination": {"selector": f"partner == 'p{at % 20}'"}}
    spec = {"order": at, "types": ["Egress"], "egress": [rule], "tier": "security"}
    return global_policy(f"security.guard-{at}", selector="monitored == 'yes'" if at % 2 else "all()", **spec)


_GOAL_S, _ROUNDS = 2.0, 5
_OBJECTS = 30


def measure() -> list[Line]:
    """Three changes by CPU and one by memory, then the plan of a folder beside the loop."""
    return [*_effects(), *_plans()]


def changes(before: Sequence[Resource]) -> dict[str, list[Resource]]:
    """Changes of one policy, from the usual to the widest that there is."""
    other = [each for each in before if (each.key.name, each.key.namespace) != ("app-3", "team-7")]
    metrics = [{"action": "Deny", "protocol": "TCP", "destination": {"ports": [9100]}}]
    return {
        "a port in one application's policy": [*other, app_policy("team-7", 3, 8443)],
        "a port denied to all endpoints": [
            *before, global_policy("metrics", order=1, selector="all()", types=["Ingress"], ingress=metrics)
        ],
        "everything denied that is not allowed": [
            *before, global_policy("deny", order=10_000, selector="all()", types=["Ingress", "Egress"])
        ],
    }  # fmt: skip


def _effects() -> list[Line]:
    before = big_cluster()
    lines = []
    for name, after in changes(before).items():
        spent = [_cpu(before, after) for _ in range(_ROUNDS)]
        lines.append(
            Line(f"effect on traffic: {name}", f"{milliseconds(median(spent))} of CPU", goal=f"under {_GOAL_S:.0f} s",
                 held=median(spent) < _GOAL_S, rounds=_ROUNDS)
        )  # fmt: skip
    tracemalloc.start()
    traffic_change(Snapshot.of(before), Snapshot.of(changes(before)["a port in one application's policy"]))
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return [*lines, Line("memory of the first, besides both snapshots", f"{peak:.0f} MB")]


def _cpu(before: Sequence[Resource], after: Sequence[Resource]) -> float:
    versions = Snapshot.of(before), Snapshot.of(after)
    gc.collect()
    gc.freeze()  # as the command does
    began = time.process_time()
    traffic_change(*versions)
    spent = time.process_time() - began
    gc.unfreeze()
    return spent


def _plans() -> list[Line]:
    what = f"plan of {_OBJECTS} policies of which one changes"
    try:
        kubectl = str(program("kubectl"))
        with KubeApiserver() as server, tempfile.TemporaryDirectory() as folder:
            return [_beside_kubectl(what, kubectl, server, Path(folder))]
    except Missing as missing:
        return [Line(what, f"not compared: {missing}")]


def _beside_kubectl(what: str, kubectl: str, server: KubeApiserver, folder: Path) -> Line:
    for definition in definitions():
        server.install(definition)
    files = [folder / f"app-{at}.json" for at in range(_OBJECTS)]
    environment = {
        **{name: value for name, value in os.environ.items() if name != "MUSLIN_DATASTORE"},
        "DATASTORE_TYPE": "kubernetes", "KUBECONFIG": str(server.kubeconfig), "K8S_CLIENT_QPS": "1000",
    }  # fmt: skip
    for at, file in enumerate(files):
        file.write_text(json.dumps(resources.dump(_one_of(at))))
    _run((kubectl, "apply", "--server-side", "-f", str(folder)), environment, (0,))
    files[0].write_text(json.dumps(resources.dump(_one_of(0, 8443))))
    ours = (sys.executable, "-m", "muslin.cli.main", "plan", str(folder))
    rounds = Rounds()
    for _ in range(3):
        rounds.ours.append(_run(ours, environment, (2,)))
        rounds.other.append(sum(_run((kubectl, "diff", "-f", str(file)), environment, (0, 1)) for file in files))
    return rounds.line(what, "a loop of kubectl diff")


def _one_of(at: int, port: int = 8080) -> Resource:
    found = app_policy("default", at % _APPS, port)
    return policy(f"app-{at}", "default", **resources.dump(found)["spec"])


def _run(command: Sequence[str], environment: dict[str, str], expected: tuple[int, ...]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode not in expected:
        raise RuntimeError(f"{' '.join(command[:4])}: exit status {done.returncode}: {done.stderr[-500:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
