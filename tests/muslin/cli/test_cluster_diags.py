"""`cluster diags` with a kubectl that answers as a cluster does."""

from __future__ import annotations

import json
import os
import sys
import tarfile
from pathlib import Path

import pytest

from tests.muslin.cli.calico import Calico


def _pod(name: str, node: str, namespace: str = "calico-system") -> dict[str, object]:
    owner = {"kind": "DaemonSet", "name": name.rpartition("-")[0]}
    return {"metadata": {"name": name, "namespace": namespace, "ownerReferences": [owner]}, "spec": {"nodeName": node}}


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program named kubectl that says what it was asked, and knows pods and definitions."""
    pods = {"items": [_pod(f"calico-node-{n}", f"n{n}") for n in range(4)] + [_pod("web-1", "n1", "shop")]}
    program = tmp_path / "bin" / "kubectl"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\nimport sys\nwords = sys.argv[1:]\n"
        f"if words[-3:] == ['--all-namespaces', '-o', 'json']: print({json.dumps(pods)!r})\n"
        "elif 'customresourcedefinitions' in words: print('crd/ippools.projectcalico.org crd/things.example.org')\n"
        "elif 'exec' in words and 'conntrack' in words: sys.exit('not there')\n"
        "else: print(' '.join(words))\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    return program


@pytest.mark.slow
def test_what_is_collected(calico: Calico, kubectl: Path, tmp_path: Path) -> None:
    """Calico's objects, Kubernetes' objects, logs of at most so many pods of a workload, those in focus first."""
    del kubectl
    ran = calico.ctl("cluster", "diags", "--max-logs", "2", "--focus-nodes", "n3", "--since", "2h")
    archive = next(tmp_path.glob("calico-diagnostics-*.tar.gz"))
    with tarfile.open(archive) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
        log = tar.extractfile(f"{archive.name.removesuffix('.tar.gz')}/nodes/n3/calico-system/calico-node-3.log")
        assert log is not None
        said = log.read().decode()

    assert (ran.status, ran.err) == (0, "")
    assert {"cluster/calico/ippools.projectcalico.org.yaml", "cluster/nodes.txt", "cluster/pods.yaml"} <= names
    assert not any("things" in name or "web-1" in name for name in names)
    assert {name.split("/")[1] for name in names if name.endswith(".log")} == {"n0", "n3"}
    assert said.startswith("-n calico-system logs --since=2h calico-node-3 ")
    assert "Could not collect nodes/n3/conntrack.txt: not there" in ran.out


def test_no_kubectl(calico: Calico, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is what asks the cluster, so it must be there."""
    monkeypatch.setenv("PATH", str(tmp_path))
    ran = calico.ctl("cluster", "diags")

    assert (ran.status, ran.err.splitlines()[0]) == (1, "missing dependency: kubectl is not installed")
