"""A cluster of 5,000 nodes is decided and rendered in seconds and little memory; a small one is explained at once."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from statistics import median

import pytest

from tests.bench.explaining import compiled, cpu_s, large_cluster, small_cluster

_RENDER = """
import sys
from muslin.cli.main import main
try:
    main(["render", sys.argv[1], "--out", sys.argv[2]])
finally:
    print(open("/proc/self/status").read())
"""
"""It tells its memory itself: what `wait4` says of a child begins with the size of the process that started it."""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """In which modules are compiled once."""
    return compiled(tmp_path_factory.mktemp("compiled"))


@pytest.mark.slow
def test_five_thousand_nodes(tmp_path: Path) -> None:
    """Under 5 s of CPU time and 300 MB, starting the program included."""
    (tmp_path / "cluster.yaml").write_text(large_cluster())
    words = [sys.executable, "-c", _RENDER, str(tmp_path / "cluster.yaml"), str(tmp_path / "out")]
    with (tmp_path / "told").open("wb") as told:
        pid = os.posix_spawn(words[0], words, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, told.fileno(), 1)])
        _, status, used = os.wait4(pid, 0)

    most = re.search(r"^VmHWM:\s+(\d+) kB$", (tmp_path / "told").read_text("utf-8"), re.MULTILINE)
    assert most is not None

    assert os.waitstatus_to_exitcode(status) == 0
    assert (tmp_path / "out" / "network" / "nodes.yaml").exists()
    assert used.ru_utime + used.ru_stime < 5
    assert int(most[1]) < 300 * 1024


@pytest.mark.slow
def test_three_nodes_are_explained_at_once(tmp_path: Path, environment: dict[str, str]) -> None:
    """In less than four times what loading pydantic takes, which is 0.25 s of a quiet machine's 0.4.

    Seconds of a machine that does other things at the same time tell little: both sides run in turns.
    """
    (tmp_path / "cluster.yaml").write_text(small_cluster())
    words = (sys.executable, "-m", "muslin.cli.main", "explain", str(tmp_path / "cluster.yaml"))
    least = (sys.executable, "-c", "from pydantic import BaseModel")
    for command in (words, least):
        cpu_s(command, environment)
    ratios = [cpu_s(words, environment) / cpu_s(least, environment) for _ in range(3)]

    assert median(ratios) < 4


@pytest.mark.slow
def test_explaining_loads_no_model_of_a_resource(tmp_path: Path, environment: dict[str, str]) -> None:
    """Who only asks why waits for none of them, nor for rich."""
    (tmp_path / "cluster.yaml").write_text(small_cluster())
    script = (
        "import sys\nfrom muslin.cli.main import main\n"
        "try:\n    main(['explain', sys.argv[1]])\n"
        "except SystemExit:\n    loaded = {'rich', 'muslin.resources.ip_pool', 'muslin.resources.felix_configuration',"
        " 'muslin.resources.node'} & set(sys.modules)\n    sys.exit(1 if loaded else 0)\n"
    )

    assert cpu_s((sys.executable, "-c", script, str(tmp_path / "cluster.yaml")), environment) > 0
