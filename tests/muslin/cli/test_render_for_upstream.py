"""`muslin render --for`: what upstream Calico is installed with, and a word for targets that are not there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from muslin import yaml
from muslin.yaml.write import dump
from tests.blueprints.upstream.networks import NETWORKS
from tests.muslin.cli.running import Run

_BARE: dict[str, Any] = {
    "apiVersion": "blueprints.muslin/v1alpha1",
    "kind": "Cluster",
    "name": "demo",
    "nodes": [{"name": "node-a", "address": "192.0.2.1"}],
    "subnets": ["192.0.2.0/24"],
    "networkMTU": 1500,
    "podRange": "10.48.0.0/16",
}


def _file(folder: Path, **changed: Any) -> Path:
    path = folder / "cluster.yaml"
    path.write_text(dump({**_BARE, **changed}))
    return path


def test_the_operators_files_are_printed(run: Run, tmp_path: Path) -> None:
    """In the order to apply, each under its name, with the decisions."""
    ran = run("render", _file(tmp_path), "--for", "operator")
    names = [line.split()[-1] for line in ran.out.splitlines() if line.startswith("# ---- ")]

    assert (ran.status, ran.err) == (0, "")
    assert names == [
        "DECISIONS.md",
        "operator/1-installation.yaml",
        "operator/2-api-server.yaml",
        "operator/3-calico-components.yaml",
    ]
    assert "# MTU: 1500. " in ran.out


def test_the_manifests_are_written_for_a_version(run: Run, tmp_path: Path) -> None:
    """Typha's image and the place of upstream's file follow `--calico-version`."""
    ran = run(
        "render", _file(tmp_path), "--for", "manifests", "--calico-version", "v3.31.2", "--out", tmp_path / "install"
    )
    (kustomization,) = yaml.load((tmp_path / "install/manifests/kustomization.yaml").read_bytes(), "kustomization.yaml")
    texts = [path.read_text() for path in (tmp_path / "install/manifests").iterdir()]

    assert (ran.status, ran.err) == (0, "")
    assert [path.split("/")[-1] for path in ran.out.split()] == [
        "DECISIONS.md",
        "kustomization.yaml",
        "calico-config.yaml",
        "calico-node.yaml",
        "typha.yaml",
    ]
    assert kustomization.value["resources"] == ["calico.yaml", "typha.yaml"]
    assert any("quay.io/calico/typha:v3.31.2" in text for text in texts)
    assert not any("v3.32.1" in text for text in texts)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--for", "pulumi"], "stacks/"),
        (["--for", "kubernetes"], "--for operator or --for manifests"),
        (["--for", "helm"], "one of muslin, operator, manifests"),
        (["--for", "operator", "--group", "network"], "has no groups of files"),
        (["--calico-version", "v3.32.1"], "leave it out"),
        (["--for", "manifests", "--calico-version", "3.32\n"], "is no version of Calico"),
    ],
)
def test_what_cannot_be_asked_for_is_told(run: Run, tmp_path: Path, arguments: list[str], told: str) -> None:
    """What is not a target, or does not go together, with what to do instead."""
    ran = run("render", _file(tmp_path), *arguments)

    assert (ran.status, ran.out) == (2, "")
    assert told in ran.err


@pytest.mark.parametrize(
    ("changed", "target", "told"),
    [
        (
            {"running": {"podRange": "10.49.0.0/16"}},
            "operator",
            "the operator would delete default-ipv4-ippool",
        ),
        ({"datastore": "embedded"}, "operator", "upstream Calico keeps its resources in Kubernetes or in etcd"),
        ({"datastore": "embedded"}, "manifests", "upstream Calico keeps its resources in Kubernetes or in etcd"),
        (NETWORKS["separate-etcd"], "operator", "use --for manifests"),
        ({"datastore": "etcd", "etcdIsTheClusters": False}, "manifests", "the etcd has no endpoints"),
        ({**NETWORKS["separate-etcd"], "etcdEndpoints": ["http://192.0.2.10:2379"]}, "manifests", "without TLS"),
        ({**NETWORKS["separate-etcd"], "etcdEndpoints": ["etcd.example"]}, "manifests", "is no URL of an etcd"),
        ({**NETWORKS["separate-etcd"], "etcdEndpoints": ["https://[::1]:99999"]}, "manifests", "is no URL of an etcd"),
        (
            {
                **NETWORKS["separate-etcd"],
                "nodes": [{"name": "node-a", "address": "192.0.2.10", "roles": ["control-plane"]}],
            },
            "manifests",
            "where the etcd of Kubernetes itself listens",
        ),
        (
            {**NETWORKS["separate-etcd"], "etcdEndpoints": ["https://127.0.0.1:2379"]},
            "manifests",
            "where the etcd of Kubernetes itself listens",
        ),
    ],
)
def test_what_upstream_cannot_be_is_refused(
    run: Run, tmp_path: Path, changed: dict[str, Any], target: str, told: str
) -> None:
    """A datastore that it has not, an etcd without TLS or that is Kubernetes' own; with the place in the facts."""
    ran = run("render", _file(tmp_path, **changed), "--for", target)

    assert (ran.status, ran.out) == (2, "")
    assert told in ran.err
