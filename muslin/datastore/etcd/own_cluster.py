"""The etcd of a Kubernetes cluster is not for us: recognised by its certificates and by its keys, and refused.

No process but the API server's should have access to it: whoever can write there is above every rule of the cluster,
and a mistake there is the end of it.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from muslin.datastore.etcd import rpc_pb2 as rpc
from muslin.datastore.etcd.client import Client
from muslin.datastore.etcd.members import RANGE
from muslin.datastore.protocol import Forbidden
from muslin.datastore.settings import EtcdSettings
from muslin.errors import BadInput, Problem

__all__ = ["refuse_certificates", "refuse_keys"]

_RULE: Final = "etcd Datastore Mode: do not use the Kubernetes etcd cluster as the datastore for Calico"
_FIX: Final = "run an etcd of its own for it and name that one, or use the datastore type kubernetes"
_PLACES: Final = re.compile(r"/kubernetes/pki/|/k3s/server/tls/|/rke2/server/tls/|apiserver-etcd-client|/pki/etcd/")
_NAMES: Final = (b"kube-apiserver-etcd-client", b"kube-etcd-healthcheck-client")
"""Common names that kubeadm gives the API server's client certificates."""
_PEM: Final = re.compile(rb"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)


def refuse_certificates(settings: EtcdSettings) -> None:
    """Raises `BadInput` if a certificate is the API server's own; nothing has been connected then."""
    problems = [
        Problem("this certificate is for the etcd of the Kubernetes cluster itself", place, _FIX, _RULE)
        for place in settings.places
        if _PLACES.search(place)
    ]
    if not problems and any(name in der for name in _NAMES for der in _certificates(settings.cert or b"")):
        what = "the client certificate is the Kubernetes API server's, for the cluster's own etcd"
        problems = [Problem(what, ", ".join(settings.places) or "etcdCert", _FIX, _RULE)]
    if problems:
        raise BadInput(problems)


async def refuse_keys(client: Client) -> None:
    """Look for keys of a Kubernetes API server. Call it before the first write.

    Raises:
        BadInput: there are some.
        Unavailable: etcd does not answer.
    """
    request = rpc.RangeRequest(key=b"/registry/", range_end=b"/registry0", limit=1, keys_only=True)
    try:
        found = await client.read(RANGE, request)
    except Forbidden:
        return  # a user who may not look there may not write there
    if found.kvs:
        what = f"this etcd is a Kubernetes cluster's own: there are keys under /registry ({_text(found.kvs[0].key)})"
        raise BadInput(Problem(what, client.where, _FIX, _RULE))


def _text(key: bytes) -> str:
    return key.decode(errors="replace")[:80]


def _certificates(pem: bytes) -> list[bytes]:
    found = []
    for match in _PEM.finditer(pem):
        try:
            found.append(base64.b64decode(match[1]))
        except binascii.Error:
            continue  # TLS says what is wrong with it
    return found
