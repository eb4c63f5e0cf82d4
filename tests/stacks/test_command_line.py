"""The shipped stack through Pulumi's own command line and provider, where they are: what the guide leaves out.

Never seen to run where this was written: the command line is in no package index. Each test says what it relies on.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.stacks.command_line import environment, missing
from tests.stacks.engine.real import RealStack
from tests.stacks.reporting import NODES, register_nodes, report_sessions
from tests.support.engines import wait_until
from tests.support.kube_apiserver import KubeApiserver

pytestmark = [pytest.mark.engines, pytest.mark.skipif(bool(missing()), reason=missing())]

_ROOT = Path(__file__).parents[2]
_API = "/apis/projectcalico.org/v3"
_BGP = f"{_API}/bgpconfigurations/default"
_LIMIT_S = 300

Pulumi = Callable[..., tuple[int, str]]


@pytest.fixture
def pulumi(cluster: KubeApiserver, tmp_path: Path) -> Pulumi:
    """`pulumi("up", "--yes")` in a copy of a stack, with state in a file; gives exit status and all that was said."""
    folder = tmp_path / "network"
    shutil.copytree(_ROOT / "stacks" / "single_subnet", folder)
    variables = environment(cluster, tmp_path)

    def run(*arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            ["pulumi", *arguments, "--non-interactive"],
            cwd=folder, env=variables, capture_output=True, text=True, timeout=_LIMIT_S, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    assert run("stack", "init", "dev")[0] == 0
    assert run("config", "set", "protectPools", "false")[0] == 0
    return run


def _done(answer: tuple[int, str]) -> str:
    status, said = answer
    assert status == 0, said
    return said


def test_create_no_change_and_destroy(pulumi: Pulumi, cluster: KubeApiserver) -> None:
    """A preview writes nothing; up makes all; up again has nothing to do; destroy removes all."""
    _done(pulumi("preview"))
    assert cluster.request("GET", _BGP).status == 404

    _done(pulumi("up", "--yes"))
    assert cluster.request("GET", _BGP)["spec"]["asNumber"] == 64512
    _done(pulumi("up", "--yes", "--expect-no-changes"))
    outputs: dict[str, Any] = json.loads(_done(pulumi("stack", "output", "--json")))
    assert outputs["decisions"]["encapsulation"]["because"]

    _done(pulumi("destroy", "--yes"))
    assert cluster.request("GET", _BGP).status == 404


def test_drift(pulumi: Pulumi, cluster: KubeApiserver) -> None:
    """What somebody changed is refused by name; taken by force after a refresh, it is put back."""
    _done(pulumi("up", "--yes"))
    cluster.request("PATCH", _BGP, {"spec": {"asNumber": 64500}}, content_type="application/merge-patch+json")

    status, said = pulumi("preview")
    assert status != 0
    assert "BGPConfiguration/default  spec.asNumber" in said
    _done(pulumi("config", "set", "force", '["BGPConfiguration/default"]'))
    _done(pulumi("up", "--yes", "--refresh"))
    assert cluster.request("GET", _BGP)["spec"]["asNumber"] == 64512


def test_refused_without_a_traceback(pulumi: Pulumi, cluster: KubeApiserver, tmp_path: Path) -> None:
    """A refusal of the architecture is the program's error, with file and line, and nothing is written."""
    facts = tmp_path / "network" / "cluster.yaml"
    facts.write_text(facts.read_text("utf-8").replace("plannedNodes: 40", "plannedNodes: 80"), "utf-8")
    status, said = pulumi("preview")

    assert status != 0
    assert "cluster.yaml:" in said
    assert "Traceback" not in said
    assert cluster.request("GET", f"{_API}/ippools")["items"] == []


def test_the_policy_pack(pulumi: Pulumi, tmp_path: Path) -> None:
    """The pack is started by the language host and asked with the program's facts; our own stack breaks no policy.

    Facts that the architecture refuses break one: so the pack was asked, and found them in the program's folder.
    """
    config = tmp_path / "policy.json"
    config.write_text(json.dumps({"decidable": {"facts": "others.yaml"}}), "utf-8")
    facts = (tmp_path / "network" / "cluster.yaml").read_text("utf-8")
    others = tmp_path / "network" / "others.yaml"
    others.write_text(facts, "utf-8")
    pack = ("--policy-pack", str(_ROOT / "stacks" / "policy"), "--policy-pack-config", str(config))

    _done(pulumi("preview", *pack))
    others.write_text(facts.replace("plannedNodes: 40", "plannedNodes: 80"), "utf-8")
    status, said = pulumi("preview", *pack)

    assert status != 0
    assert "decidable" in said


def test_reports_open_the_gate(cluster: KubeApiserver, tmp_path: Path) -> None:
    """The mesh goes off when agents report their sessions, which Pulumi's own provider waits for by its JSONPath."""
    register_nodes(cluster)
    folder = tmp_path / "reflected"
    shutil.copytree(_ROOT / "stacks" / "route_reflectors", folder)
    mine = RealStack(folder, environment(cluster, tmp_path), {"waitSeconds": "120"}, ())

    def report() -> None:
        for node in ("node-a", "node-c"):
            path = f"{_API}/caliconodestatuses/sessions-of-{node}"
            wait_until(lambda path=path: cluster.request("GET", path).status == 200, path)  # type: ignore[misc]
            assert cluster.request("GET", _BGP).status == 404
            report_sessions(cluster, node, set(NODES))

    with ThreadPoolExecutor(1) as thread:
        reported = thread.submit(report)
        done = mine.up()
        reported.result()

    assert done.error == ""
    assert cluster.request("GET", _BGP)["spec"]["nodeToNodeMeshEnabled"] is False
