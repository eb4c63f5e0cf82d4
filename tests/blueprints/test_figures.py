"""A cluster of 5,000 nodes is decided and rendered in seconds and little memory; CPU time of one process."""

from __future__ import annotations

import os
import sys
from ipaddress import IPv4Network
from pathlib import Path

import pytest

_RENDER = "import sys; from muslin.cli.main import main; main(['render', sys.argv[1], '--out', sys.argv[2]])"


@pytest.mark.slow
def test_five_thousand_nodes(tmp_path: Path) -> None:
    """Under 5 s of CPU time and 300 MB, starting the program included."""
    subnets = list(IPv4Network("198.18.0.0/15").subnets(new_prefix=24))[:20]
    nodes = "".join(
        f"- {{name: n{number}-{index}, address: {subnet[index]}, rack: r{number}}}\n"
        for number, subnet in enumerate(subnets)
        for index in range(1, 251)
    )
    listed = ", ".join(map(str, subnets))
    (tmp_path / "cluster.yaml").write_text(
        "apiVersion: blueprints.muslin/v1alpha1\nkind: Cluster\nname: large\nblueprint: route_reflectors\n"
        f"nodes:\n{nodes}subnets: [{listed}]\nnetworkMTU: 1500\npodRange: 10.0.0.0/8\n"
    )
    words = [sys.executable, "-c", _RENDER, str(tmp_path / "cluster.yaml"), str(tmp_path / "out")]
    with (tmp_path / "told").open("wb") as told:
        pid = os.posix_spawn(words[0], words, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, told.fileno(), 1)])
        _, status, used = os.wait4(pid, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert (tmp_path / "out" / "network" / "nodes.yaml").exists()
    assert used.ru_utime + used.ru_stime < 5
    assert used.ru_maxrss < 300 * 1024
