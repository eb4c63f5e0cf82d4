"""Usage: python -m tests.bench [NAME ...]; without names, all of them."""

from __future__ import annotations

import importlib
import os
import sys
import time

from muslin.errors import MuslinError
from tests.bench.figures import Line, table
from tests.bench.load import Load

_BENCHES = {
    "push": "Push to packet, 3 nodes, a flow at 1 kHz",
    "pods": "CNI ADD with the agent running, 3 nodes",
    "restart": "Agent start with 100 local endpoints",
    "idle": "CPU of idle processes, 3 nodes",
    "kernel": "The kernel's packet filter and routes",
    "kubernetes_api": "Client of the Kubernetes API, plain dictionaries on all sides, CPU time of the client",
    "reading": "Reading YAML, selectors, computing a node",
    "effect": "What a change does to traffic, and a plan",
    "validation": "Reading objects into checked models",
    "etcd": "The driver on etcd, with TLS",
    "reconcile": "Reconciling 10,000 objects, embedded datastore",
    "reconcile_etcd": "Reconciling 10,000 objects, etcd with TLS",
    "reconcile_kubernetes": "Reconciling 10,000 objects, Kubernetes API, beside kubectl",
    "showing": "One object shown from etcd, from start to exit",
    "explaining": "Facts explained and rendered, from start to exit",
    "pulumi_program": "A Pulumi program with ReferenceNetwork",
}


def main() -> int:
    """Run what the arguments name; exit status 2 for a name that is none, 1 if a bench could not go on."""
    wanted = sys.argv[1:] or list(_BENCHES)
    if unknown := [name for name in wanted if name not in _BENCHES]:
        print(f"no such bench: {', '.join(unknown)}; there are: {', '.join(_BENCHES)}", file=sys.stderr)
        return 2
    began, failed, lines = time.monotonic(), False, list[Line]()
    print(f"{os.cpu_count()} CPUs, Linux {os.uname().release}, Python {sys.version.split()[0]}")
    for name in wanted:
        module = importlib.import_module(f"tests.bench.{name}")
        try:
            with Load() as load:
                found = module.measure()
        except (MuslinError, RuntimeError) as error:
            print(f"\n{_BENCHES[name]}\n  could not be measured: {error}", flush=True)
            failed = True
            continue
        lines += found
        print(f"{table(_BENCHES[name], found)}\n         {load}", flush=True)
    missed = [line.what for line in lines if line.held is False]
    with_goal = sum(line.held is not None for line in lines)
    told = f"; missed: {', '.join(missed)}" if missed else ""
    print(f"\n{with_goal - len(missed)} of {with_goal} goals reached, in {time.monotonic() - began:.0f} s{told}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
