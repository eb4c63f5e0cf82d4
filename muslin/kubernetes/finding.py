"""Which access is meant: a kubeconfig, single settings over it, or the pod we run in."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from muslin.kubernetes.access import Access, Pem, checked_server
from muslin.kubernetes.in_cluster import from_pod
from muslin.kubernetes.kubeconfig import from_files, from_text
from muslin.kubernetes.login import checked_token

__all__ = ["find_access"]


def find_access(
    *,
    kubeconfig: str | None = None,
    inline: str | None = None,
    context: str | None = None,
    server: str | None = None,
    ca_file: str | None = None,
    cert_file: str | None = None,
    key_file: str | None = None,
    token: str | None = None,
    insecure_skip_tls_verify: bool = False,
    environment: Mapping[str, str] = os.environ,
) -> Access:
    """The access that settings come to.

    `inline` wins over `kubeconfig`; with neither, `server` alone is enough, and with nothing it is the pod's service
    account. Each further setting replaces what was found. Raises BadInput.
    """
    if inline:
        found = from_text(inline, context=context)
    elif kubeconfig:
        found = from_files(kubeconfig, context=context)
    elif server:
        found = Access(server, place=server)
    else:
        found = from_pod(environment)
    user = found.user
    if token:
        user = replace(user, token=checked_token(token, "token"), token_file=None, username=None, plugin=None)
    if cert_file:
        user = replace(user, certificate=Pem(cert_file, path=Path(cert_file)))
    if key_file:
        user = replace(user, key=Pem(key_file, path=Path(key_file)))
    return replace(
        found,
        server=checked_server(server, "k8sAPIEndpoint (K8S_API_ENDPOINT)") if server else found.server,
        ca=None if insecure_skip_tls_verify else Pem(ca_file, path=Path(ca_file)) if ca_file else found.ca,
        user=user,
        insecure_skip_tls_verify=insecure_skip_tls_verify or found.insecure_skip_tls_verify,
    )
