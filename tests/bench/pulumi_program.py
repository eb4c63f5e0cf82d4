"""A Pulumi program with ReferenceNetwork: a cluster of 50 nodes with mocks, and what importing our package adds."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from statistics import median

from muslin.pulumi import ReferenceNetwork, ReferenceNetworkArgs
from tests.bench.figures import Line, Rounds, in_turns, milliseconds
from tests.blueprints.clusters import facts, nodes_in
from tests.muslin.pulumi.recording import run

__all__ = ["GOAL_IMPORT_S", "GOAL_PROGRAM_S", "added_by_import", "measure", "program_s"]

GOAL_PROGRAM_S, GOAL_IMPORT_S = 2.0, 0.2
_NODES, _ROUNDS = 50, 5
_OURS = (sys.executable, "-c", "import pulumi, muslin.pulumi")
_PULUMI = (sys.executable, "-c", "import pulumi")


def program_s(nodes: int = _NODES) -> float:
    """CPU seconds of one run of a program for so many nodes, with reflectors and a gate."""
    args = ReferenceNetworkArgs(facts(**nodes_in(nodes // 2, nodes - nodes // 2)), "route_reflectors", look_first=False)
    began = time.process_time()
    done = run(lambda: ReferenceNetwork("net", args))
    took = time.process_time() - began
    if done.error is not None:
        raise RuntimeError(str(done.error))
    return took


def added_by_import(rounds: int = _ROUNDS) -> Rounds:
    """CPU seconds of a process that imports Pulumi and our package, in turns with one that imports Pulumi alone."""
    return in_turns(lambda: _cpu(_OURS), lambda: _cpu(_PULUMI), rounds)


def _cpu(command: tuple[str, ...]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def measure() -> list[Line]:
    """Both figures; the first run of a program also loads the blueprints and models."""
    first, again = program_s(), min(program_s() for _ in range(_ROUNDS))
    rounds = added_by_import()
    added = median(rounds.ours) - median(rounds.other)
    return [
        Line(
            f"program of {_NODES} nodes with mocks, models loaded first",
            f"{milliseconds(first)}, then {milliseconds(again)}",
            goal=f"under {milliseconds(GOAL_PROGRAM_S)} of CPU",
            held=first < GOAL_PROGRAM_S,
        ),
        rounds.line(
            "import pulumi, muslin.pulumi",
            "import pulumi",
            goal=f"adds under {milliseconds(GOAL_IMPORT_S)} of CPU (adds {milliseconds(added)})",
            held=added < GOAL_IMPORT_S,
        ),
    ]
