"""As `reconcile.py`, on a real kube-apiserver, beside `kubectl apply --server-side -f folder` of the same objects.

Both sides write into the same server, ours into a namespace `shop`, kubectl into `market`, and kubectl first, when
the server holds less. Of a change kubectl is given the changed files alone, which is less than people give it.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from muslin.datastore.kubernetes.own_kinds import own_definitions
from muslin.resources.crds import definitions
from tests.bench.figures import Line
from tests.bench.load import cpu_seconds
from tests.bench.reconcile_push import pushes
from tests.bench.reconciling import environment, figures, looks
from tests.support.engines import Missing, program
from tests.support.kube_apiserver import KubeApiserver

__all__ = ["measure"]

_NAMESPACES = ("shop", "market")


def measure() -> list[Line]:
    """One repository, one server; then both processes as they run."""
    try:
        with KubeApiserver() as server, tempfile.TemporaryDirectory(prefix="muslin-bench-") as folder:
            for definition in (*definitions(), *own_definitions()):
                server.install(definition)
            for name in _NAMESPACES:
                body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
                server.request("POST", "/api/v1/namespaces", body)
            store = {"DATASTORE_TYPE": "kubernetes", "KUBECONFIG": str(server.kubeconfig)}
            kubectl = _Kubectl(server, store, Path(folder))
            with looks(store) as (repository, reconciler):
                return [*figures(repository, reconciler, kubectl), *pushes(repository, store)]
    except Missing as missing:
        raise RuntimeError(str(missing)) from missing


class _Kubectl:
    """`kubectl apply --server-side` of a folder, in a namespace of its own. See `Peer`."""

    def __init__(self, server: KubeApiserver, store: Mapping[str, str], folder: Path) -> None:
        self._server, self._store, self._folder = server, store, folder
        self._program: Path | None = None
        self.name = "kubectl apply --server-side"
        try:
            self._program = program("kubectl")
        except Missing as missing:
            self.name = f"nobody: {missing}"

    def apply(self, files: Mapping[str, str]) -> float | None:
        """See `Peer.apply`. The files are in the form and the number in which we get them."""
        if self._program is None:
            return None
        for former in self._folder.iterdir():
            former.unlink()
        for name, text in files.items():
            (self._folder / name).write_text(text.replace("namespace: shop", "namespace: market"))
        command = (self._program, "apply", "--server-side", "-f", self._folder)
        began = time.perf_counter()
        done = subprocess.run(
            command, env=environment(**self._store), capture_output=True, text=True, check=False, timeout=300
        )
        if done.returncode:
            raise RuntimeError(f"kubectl: exit status {done.returncode}: {done.stderr[-500:]}")
        return time.perf_counter() - began

    def spent(self) -> float:
        """See `Peer.spent`: the server, and its etcd."""
        return sum(cpu_seconds(each.pid) for each in (self._server, self._server.etcd) if each.pid is not None)
