"""`muslin explain` of a cluster of three nodes, and a rendering of 5,000, from start to exit.

As after an installation, whose modules are compiled. CPU seconds of the process, which others do not disturb, beside
those of a Python that does nothing.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from ipaddress import IPv4Network
from pathlib import Path
from statistics import median

from tests.bench.figures import Line, in_turns, milliseconds

__all__ = ["compiled", "cpu_s", "large_cluster", "measure", "small_cluster"]

_ROUNDS, _EXPLAIN_S, _RENDER_S, _RENDER_MB = 5, 0.4, 5.0, 300
_MUSLIN = (sys.executable, "-m", "muslin.cli.main")
_NOTHING = (sys.executable, "-c", "pass")
_HEAD = "apiVersion: blueprints.muslin/v1alpha1\nkind: Cluster\nnetworkMTU: 1500\n"


def small_cluster() -> str:
    """Facts of three nodes in one subnet."""
    nodes = "".join(f"- {{name: node-{n}, address: 192.0.2.{n}}}\n" for n in (1, 2, 3))
    return f"{_HEAD}name: small\nnodes:\n{nodes}subnets: [192.0.2.0/24]\npodRange: 10.48.0.0/16\n"


def large_cluster() -> str:
    """Facts of 5,000 nodes in 20 subnets and as many racks."""
    subnets = list(IPv4Network("198.18.0.0/15").subnets(new_prefix=24))[:20]
    nodes = "".join(
        f"- {{name: n{number}-{index}, address: {subnet[index]}, rack: r{number}}}\n"
        for number, subnet in enumerate(subnets)
        for index in range(1, 251)
    )
    listed = ", ".join(map(str, subnets))
    return (
        f"{_HEAD}name: large\nblueprint: route_reflectors\nnodes:\n{nodes}subnets: [{listed}]\npodRange: 10.0.0.0/8\n"
    )


def compiled(folder: Path) -> dict[str, str]:
    """An environment in which modules are compiled once, below a folder."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(folder / "compiled")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return environment


def cpu_s(command: tuple[str, ...], environment: dict[str, str]) -> float:
    """CPU seconds of a command, user and system. Raises CalledProcessError."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=environment, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def measure() -> list[Line]:
    """Both figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small, large, out = folder / "small.yaml", folder / "large.yaml", folder / "out"
        small.write_text(small_cluster())
        large.write_text(large_cluster())
        environment = compiled(folder)
        explain = (*_MUSLIN, "explain", str(small))
        render = (*_MUSLIN, "render", str(large), "--out", str(out))
        cpu_s(explain, environment)
        rounds = in_turns(lambda: cpu_s(explain, environment), lambda: cpu_s(_NOTHING, environment), _ROUNDS)
        goal = f"under {milliseconds(_EXPLAIN_S)} of CPU"
        held = median(rounds.ours) < _EXPLAIN_S
        took = cpu_s(render, environment)
        most_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return [
        rounds.line("muslin explain, 3 nodes", "python -c pass", goal=goal, held=held),
        Line("muslin render, 5,000 nodes", f"{took:.2f} s", goal=f"under {_RENDER_S:g} s CPU", held=took < _RENDER_S),
        Line("its memory", f"{most_mb:.0f} MB", goal=f"under {_RENDER_MB} MB", held=most_mb < _RENDER_MB),
    ]
