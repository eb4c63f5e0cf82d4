"""`muslin get` of one object from etcd, from start to exit, beside a Python that does nothing.

As after an installation, whose modules are compiled: where Python is told to write no bytecode, each start would
compile all of them anew.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from statistics import median

from tests.bench.figures import Line, Rounds, in_turns, milliseconds
from tests.support.engines import Missing
from tests.support.etcd_server import EtcdServer

__all__ = ["measure"]

_ROUNDS, _GOAL_S = 5, 0.4
_GET = (sys.executable, "-m", "muslin.cli.main", "get", "tier", "default", "-o", "yaml")
_NOTHING = (sys.executable, "-c", "pass")


def measure() -> list[Line]:
    """CPU seconds of the process, which others do not disturb, and the time on the clock beside them."""
    try:
        with EtcdServer() as server, tempfile.TemporaryDirectory() as bytecode:
            environment = {
                **os.environ,
                "DATASTORE_TYPE": "etcdv3",
                "ETCD_ENDPOINTS": server.endpoint,
                "PYTHONPYCACHEPREFIX": bytecode,
            }
            for name in ("MUSLIN_DATASTORE", "PYTHONDONTWRITEBYTECODE"):
                environment.pop(name, None)
            subprocess.run((*_GET[:3], "datastore", "migrate", "unlock"), env=environment, check=True,
                           capture_output=True)  # fmt: skip
            subprocess.run(_GET, env=environment, check=True, capture_output=True)
            walls: list[float] = []
            rounds = in_turns(lambda: _cpu(_GET, environment, walls), lambda: _cpu(_NOTHING, environment, []), _ROUNDS)
            return [_cpu_line(rounds), _wall_line(walls)]
    except Missing as missing:
        raise RuntimeError(str(missing)) from missing


def _cpu(command: tuple[str, ...], environment: dict[str, str], walls: list[float]) -> float:
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    walls.append(time.monotonic() - began)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def _cpu_line(rounds: Rounds) -> Line:
    goal = f"under {milliseconds(_GOAL_S)} of CPU"
    return rounds.line("muslin get, one object", "python -c pass", goal=goal, held=median(rounds.ours) < _GOAL_S)


def _wall_line(walls: list[float]) -> Line:
    shown = milliseconds(median(walls))
    return Line("the same on the clock (a quiet machine's goal)", shown, goal=f"under {milliseconds(_GOAL_S)}")
