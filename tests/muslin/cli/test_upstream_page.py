"""The commands of `docs/upstream.md` do what the page says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from shutil import copy

import pytest

from tests.blueprints.upstream.upstreams import upstreams_text
from tests.muslin.cli.running import Run

_DOCS = Path(__file__).parents[3] / "docs"
_PAGE = (_DOCS / "upstream.md").read_text("utf-8")


def _commands() -> list[list[str]]:
    """Those that can be run here: a cluster is another test's."""
    lines = [
        line.removeprefix("$ muslin ")
        for block in re.findall(r"```console\n(.*?)```", _PAGE, re.DOTALL)
        for line in block.splitlines()
    ]
    return [shlex.split(line) for line in lines if "--from-cluster" not in line]


def test_the_commands_of_the_page_run(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In their order, in an empty folder with the example; upstream's file is put where the page says."""
    monkeypatch.chdir(tmp_path)
    copy(_DOCS / "cluster.yaml", tmp_path / "cluster.yaml")
    ran = []
    for words in _commands():
        if words[0] == "verify-install" and not (tmp_path / "install/manifests/calico.yaml").exists():
            (tmp_path / "install/manifests/calico.yaml").write_text(upstreams_text())
        ran.append((words[0], run(*words)))

    assert [name for name, _ in ran] == ["render", "render", "render", "verify-install", "verify-install"]
    assert [(each.status, each.err) for _, each in ran] == [(0, "")] * 5
    assert "0 differs, 0 absent" in ran[3][1].out
    assert "0 differs, 0 absent, 1 cannot tell" in ran[4][1].out


def test_every_file_of_the_page_is_written(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And no other, for the example and for an etcd together."""
    monkeypatch.chdir(tmp_path)
    example = (_DOCS / "cluster.yaml").read_text("utf-8")
    etcd = "datastore: etcd\netcdIsTheClusters: false\netcdEndpoints: [https://192.0.2.10:2379]\nplannedNodes: 49\n"
    (tmp_path / "a.yaml").write_text(example)
    (tmp_path / "b.yaml").write_text(example.replace("plannedNodes: 40\n", "") + etcd)
    for target, facts in (("operator", "a.yaml"), ("manifests", "a.yaml"), ("manifests", "b.yaml")):
        assert run("render", facts, "--for", target, "--out", "install").status == 0
    written = {path.name for path in (tmp_path / "install").rglob("*.yaml")}
    told = {name.rpartition("/")[2] for name in re.findall(r"^\| `([\w/.-]+\.yaml)`", _PAGE, re.MULTILINE)}

    assert told == written
