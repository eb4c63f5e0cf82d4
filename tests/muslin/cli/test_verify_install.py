"""`muslin verify-install` of files: one, a folder, kustomize's, standard input; mistakes in texts; its reports."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from muslin.yaml.write import dump, dump_documents
from tests.blueprints.upstream.networks import NETWORKS, decided
from tests.blueprints.upstream.upstreams import by_manifests, upstreams_text
from tests.muslin.cli.running import Run

_NAME = "several-subnets-60-nodes"


def _cluster(folder: Path, name: str = _NAME) -> Path:
    path = folder / "cluster.yaml"
    told = {
        "apiVersion": "blueprints.muslin/v1alpha1",
        "kind": "Cluster",
        "name": "demo",
        "nodes": [{"name": "node-a", "address": "192.0.2.1"}, {"name": "node-b", "address": "192.0.2.2"}],
        "subnets": ["192.0.2.0/24"],
        "networkMTU": 1500,
        "podRange": "10.48.0.0/16",
    }
    path.write_text(dump({**told, **NETWORKS[name]}))
    return path


def _file(folder: Path, text: str | None = None) -> Path:
    path = folder / "installed.yaml"
    path.write_text(dump_documents(by_manifests(decided(_NAME))) if text is None else text)
    return path


def _wrong(out: str) -> set[tuple[str, str]]:
    return {(each["check"], each["verdict"]) for each in json.loads(out)["lines"] if each["verdict"] != "holds"}


def test_what_holds_is_a_table_and_status_0(run: Run, tmp_path: Path) -> None:
    """Every line is shown, and the sum."""
    ran = run("verify-install", _cluster(tmp_path), _file(tmp_path))
    (last,) = ran.out.splitlines()[-1:]

    assert (ran.status, ran.err) == (0, "")
    assert ran.out.startswith("VERDICT   CHECK ")
    assert "0 differs, 0 absent, 0 cannot tell" in last
    assert "holds     calico_backend " in ran.out


def test_what_differs_says_where_and_what_to_do(run: Run, tmp_path: Path) -> None:
    """Line and column of the file, the fix, the section; status 1."""
    ran = run("verify-install", _cluster(tmp_path), _file(tmp_path, upstreams_text()))
    told = ran.out.partition("differs: CALICO_IPV4POOL_IPIP\n")[2].partition("\n\n")[0]

    assert (ran.status, ran.err) == (1, "")
    assert "found:    Always" in told
    assert "installed.yaml:" in told
    assert "fix:      set CALICO_IPV4POOL_IPIP of calico-node to 'CrossSubnet'" in told
    assert 'rule:     Calico Reference Architecture, "Multi-Subnet Configuration"' in told


def test_what_cannot_be_told_fails_where_asked(run: Run, tmp_path: Path) -> None:
    """Files without Calico's resources: fine, unless --strict."""
    objects = [each for each in by_manifests(decided(_NAME)) if "calico.org" not in each["apiVersion"]]
    arguments = ("verify-install", _cluster(tmp_path), _file(tmp_path, dump_documents(objects)))

    assert [run(*arguments).status, run(*arguments, "--strict").status] == [0, 1]


def test_a_folder_of_kustomize_is_patched_as_it_says(run: Run, tmp_path: Path) -> None:
    """What render wrote, with upstream's file put beside it, holds; without that file it is refused."""
    facts = _cluster(tmp_path)
    run("render", facts, "--for", "manifests", "--out", tmp_path)
    before = run("verify-install", facts, tmp_path / "manifests")
    (tmp_path / "manifests" / "calico.yaml").write_text(upstreams_text())
    ran = run("verify-install", facts, tmp_path / "manifests", "-o", "json")

    assert (before.status, before.out) == (2, "")
    assert "calico.yaml, which kustomization.yaml names, is not there" in before.err
    assert (ran.status, {verdict for _, verdict in _wrong(ran.out)}) == (0, {"cannot tell"})


@pytest.mark.parametrize(
    ("kustomization", "told"),
    [
        ({"resources": ["calico.yaml"], "images": [{"name": "calico/node"}]}, "kustomize does more here: images"),
        ({"resources": ["calico.yaml"], "patches": [{"patch": "- op: add"}]}, "patches are more than paths"),
        ({"resources": [{"a": 1}]}, "resources is more than names of files"),
        ({"resources": ["https://example.org/calico.yaml"]}, "is not there"),
        ({"resources": ["calico.yaml"], "patches": [{"path": "other.yaml"}]}, "which none of the resources is"),
    ],
)
def test_what_only_kustomize_can_do_is_left_to_it(
    run: Run, tmp_path: Path, kustomization: dict[str, Any], told: str
) -> None:
    """With the command that does it."""
    (tmp_path / "k").mkdir()
    (tmp_path / "k" / "kustomization.yaml").write_text(dump(kustomization))
    (tmp_path / "k" / "calico.yaml").write_text(upstreams_text())
    (tmp_path / "k" / "other.yaml").write_text("kind: ConfigMap\nmetadata: {name: other}\n")
    ran = run("verify-install", _cluster(tmp_path), tmp_path / "k")

    assert (ran.status, ran.out) == (2, "")
    assert told in ran.err
    assert "kubectl kustomize" in ran.err


def test_a_kustomization_that_names_itself_is_refused(run: Run, tmp_path: Path) -> None:
    """And not read for ever."""
    (tmp_path / "k").mkdir()
    (tmp_path / "k" / "kustomization.yaml").write_text(dump({"resources": ["../k"]}))
    ran = run("verify-install", _cluster(tmp_path), tmp_path / "k")

    assert (ran.status, ran.out) == (2, "")
    assert "part of itself" in ran.err


def test_standard_input_and_a_folder_are_read_as_well(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Objects may stand in several files, and in lists as kubectl prints them."""
    facts, objects = _cluster(tmp_path), by_manifests(decided(_NAME))
    folder = tmp_path / "folder" / "deeper"
    folder.mkdir(parents=True)
    (folder / "list.json").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    from_folder = run("verify-install", facts, tmp_path / "folder").status
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(dump_documents(objects).encode())))

    assert (from_folder, run("verify-install", facts, "-").status) == (0, 0)


_CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: calico-config, namespace: kube-system}\ndata:\n"
_PEER = "apiVersion: projectcalico.org/v3\nkind: BGPPeer\nmetadata:\n  name: a\nspec:\n"
_INSTALLATION = "apiVersion: operator.tigera.io/v1\nkind: Installation\nmetadata: {name: default}\n"
_NODE = """apiVersion: apps/v1
kind: DaemonSet
metadata: {name: calico-node, namespace: kube-system}
spec:
  template:
    spec:
      containers:
      - name: calico-node
        image: calico/node
"""
_PROBE = """        livenessProbe:
        exec:
          command: [/bin/calico-node, -felix-live]
        periodSeconds: 10
"""
_NO_JSON = """  cni_network_config: |-
    {"plugins": [
      # other config removed
    ]}
"""
_MISTAKES = {
    "selectors are quoted": (f"{_PEER}  nodeSelector: !has(route-reflector)\n", "!has(route-reflector)", ":6:17"),
    "files are read": ("kind: ConfigMap\n\tmetadata: {}\n", "", ":2:1"),
    "variables are spelt right": (
        f"{_NODE}        env:\n        - name: CALICO_IPVPOOL_VXLAN\n          value: Always\n",
        "CALICO_IPVPOOL_VXLAN",
        ":11:17",
    ),
    "texts are texts": (
        f"{_NODE}        env:\n        - name: CALICO_IPV4POOL_NAT_OUTGOING\n          value: true\n",
        "true",
        ":12:18",
    ),
    "quotes are plain": (f"{_CONFIG}  calico_backend: \u201cvxlan\u201d\n", "\u201cvxlan\u201d", ":5:19"),
    "keys of calico-config are spelt right": (f"{_CONFIG}  backend: vxlan\n", "backend", ":5:12"),
    "the CNI configuration is JSON": (f"{_CONFIG}{_NO_JSON}", "no JSON", ":5:23"),
    "fields of the Installation are spelt right": (
        f"{_INSTALLATION}spec:\n  calicoNetwork:\n    ippools: []\n",
        "ippools",
        ":6:14",
    ),
    "probes are indented": (f"{_NODE}{_PROBE}", "exec, periodSeconds beside the probe", ":12:11"),
}
"""Mapping[check, (text that makes the mistake, what is found, where)]."""


@pytest.mark.parametrize("check", _MISTAKES)
def test_the_documents_mistakes_are_found_and_named(run: Run, tmp_path: Path, check: str) -> None:
    """Each in a text that makes it, beside a document without fault."""
    text, found, place = _MISTAKES[check]
    file = _file(tmp_path, f"{text}---\n{upstreams_text().partition('---')[2]}")
    ran = run("verify-install", _cluster(tmp_path), file, "-o", "json")
    told = [each for each in json.loads(ran.out)["lines"] if each["check"] == check and each["verdict"] == "differs"]

    assert (ran.status, ran.err) == (1, "")
    assert told
    assert any(found in each["found"] and place in each["where"] for each in told)
    assert all(each["fix"] and each["source"] for each in told)


def test_a_document_that_is_no_yaml_hides_no_other(run: Run, tmp_path: Path) -> None:
    """The others of its file are read, and their places are those of the file."""
    text = f"--- # first\n{_PEER}  nodeSelector: !all()\n---\n{upstreams_text()}"
    ran = run("verify-install", _cluster(tmp_path), _file(tmp_path, text), "-o", "json")
    told = {each["check"]: each for each in json.loads(ran.out)["lines"]}
    line = 1 + [each.strip() for each in text.splitlines()].index("calico_backend: bird")

    assert told["selectors are quoted"]["verdict"] == "differs"
    assert told["calico_backend"]["verdict"] == "holds"
    assert f"installed.yaml:{line}:19" in told["calico_backend"]["where"]


def test_reports_for_other_programs(run: Run, tmp_path: Path) -> None:
    """JSON has all fields of all lines; JUnit a case a line, with failures and what is skipped."""
    arguments = ("verify-install", _cluster(tmp_path), _file(tmp_path, upstreams_text()))
    lines = json.loads(run(*arguments, "-o", "json").out)["lines"]
    suites = ET.fromstring(run(*arguments, "-o", "junit").out)
    cases = list(suites.iter("testcase"))

    assert {frozenset(each) for each in lines} == {
        frozenset({"check", "expected", "found", "verdict", "fix", "source", "where"})
    }
    assert [each.get("name") for each in cases] == [each["check"] for each in lines]
    failed = sum(each["verdict"] in ("differs", "absent") for each in lines)
    assert (suites.get("tests"), suites.get("failures")) == (str(len(lines)), str(failed))
    assert sum(each.find("failure") is not None for each in cases) == failed
    assert sum(each.find("skipped") is not None for each in cases) == sum(
        each["verdict"] == "cannot tell" for each in lines
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "there is nothing to look at"),
        (["a.yaml", "--from-cluster"], "both manifests and a cluster"),
        (["a.yaml", "--kubeconfig", "x"], "add --from-cluster"),
        (["nowhere.yaml"], "the file can't be read"),
    ],
)
def test_wrong_usage_is_told(run: Run, tmp_path: Path, arguments: list[str], told: str) -> None:
    """Status 2, and nothing on standard output."""
    ran = run("verify-install", _cluster(tmp_path), *arguments)

    assert (ran.status, ran.out) == (2, "")
    assert told in ran.err


def test_an_empty_folder_holds_no_manifests(run: Run, tmp_path: Path) -> None:
    """That is a mistake of whoever asks, not an installation that differs."""
    (tmp_path / "empty").mkdir()

    assert run("verify-install", _cluster(tmp_path), tmp_path / "empty").status == 2
