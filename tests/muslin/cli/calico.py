"""A datastore to work on with calicoctl's verbs: embedded, etcd or Kubernetes, the same calls for each."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.muslin.cli.running import Ran, Run

__all__ = ["BOTH", "POLICY", "POOL", "TIER", "Calico", "manifest"]


def manifest(kind: str, name: str, spec: str, namespace: str | None = None, extra: str = "") -> str:
    """One object as YAML; `spec` and `extra` metadata in flow style."""
    place = f", namespace: {namespace}" if namespace else ""
    return f"apiVersion: projectcalico.org/v3\nkind: {kind}\nmetadata: {{name: {name}{place}{extra}}}\nspec: {spec}\n"


POOL = manifest("IPPool", "pods", "{cidr: 10.48.0.0/16}")
TIER = manifest("Tier", "sec", "{order: 10}")
POLICY = manifest("NetworkPolicy", "web", "{tier: sec, selector: \"app == 'web'\", types: [Ingress]}", "shop")
BOTH = f"{POLICY}---\n{TIER}---\n{POOL}"


class Calico:
    """Runs verbs in this process, on one datastore, as `muslin` or as calicoctl.

    Args:
        run: of the fixture.
        folder: for manifests.
        environment: which datastore.
    """

    def __init__(self, run: Run, folder: Path, environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._run, self.folder = run, folder
        for name in list(os.environ):
            if name.startswith(("ETCD_", "K8S_", "CALICO_", "DATASTORE_", "KUBE")):
                monkeypatch.delenv(name)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)

    def write(self, text: str, name: str = "objects.yaml") -> Path:
        """Write a manifest; gives its file."""
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def __call__(self, *arguments: object) -> Ran:
        """As `muslin`."""
        return self._run(*arguments)

    def ctl(self, *arguments: object) -> Ran:
        """As calicoctl."""
        return self._run("ctl", *arguments)

    def apply(self, text: str) -> None:
        """Apply a manifest that is right."""
        ran = self("apply", "-f", self.write(text, "applied.yaml"))
        assert ran.status == 0, ran.err

    def get(self, *arguments: object) -> Any:
        """What `get -o json` says."""
        ran = self("get", *arguments, "-o", "json")
        assert ran.status == 0, ran.err
        return json.loads(ran.out)
