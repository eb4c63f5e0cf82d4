"""The service account of the pod we run in, as the kubelet mounts it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from muslin.errors import BadInput, Problem
from muslin.kubernetes.access import Access, Pem, User

__all__ = ["FOLDER", "from_pod"]

FOLDER = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def from_pod(environment: Mapping[str, str], folder: Path = FOLDER) -> Access:
    """An access whose token is read again as it rotates. Raises BadInput outside of a pod."""
    host, port = environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT")
    if not host or not port:
        what = "no kubeconfig is given, and this is no pod of a cluster"
        where = "KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT"
        raise BadInput(Problem(what, where, "name a kubeconfig: --kubeconfig, KUBECONFIG"))
    token, authority = folder / "token", folder / "ca.crt"
    for path in (token, authority):
        if not path.is_file():
            fix = "mount the service account's token (automountServiceAccountToken)"
            raise BadInput(Problem("the pod has no service account mounted", str(path), fix))
    try:
        namespace = (folder / "namespace").read_text("utf-8").strip()
    except OSError:
        namespace = ""
    return Access(
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        ca=Pem(str(authority), path=authority),
        user=User(token_file=token),
        namespace=namespace or "default",
        place=str(folder),
    )
