"""A separate etcd as upstream's manifests name it: endpoints, and certificates that stand in a Secret, never in files.

The keys and variables are upstream's (calico-etcd.yaml). The Secret itself is made from files that nobody commits.
"""

from __future__ import annotations

from typing import Any, Final

from blueprints.upstream.network import Network

__all__ = [
    "CERTIFICATES_MOUNT", "CERTIFICATES_VOLUME", "CONFIG_KEYS", "SECRET", "config_data", "environment",
    "secret_command",
]  # fmt: skip

SECRET: Final = "calico-etcd-secrets"  # noqa: S105 - the name of one
_FOLDER: Final = "/calico-secrets"
_PARTS: Final = ("etcd-ca", "etcd-cert", "etcd-key")
CONFIG_KEYS: Final = {
    "ETCD_ENDPOINTS": "etcd_endpoints",
    "ETCD_CA_CERT_FILE": "etcd_ca",
    "ETCD_CERT_FILE": "etcd_cert",
    "ETCD_KEY_FILE": "etcd_key",
}
"""Mapping[variable, key of calico-config that it is taken from]."""
CERTIFICATES_VOLUME: Final[dict[str, Any]] = {
    "name": "etcd-certs",
    "secret": {"secretName": SECRET, "defaultMode": 0o440},
}
"""Readable by the group, which is that of Typha's user."""
CERTIFICATES_MOUNT: Final = {"name": "etcd-certs", "mountPath": _FOLDER, "readOnly": True}


def config_data(network: Network) -> dict[str, str]:
    """What calico-config says of the etcd."""
    return {
        "etcd_endpoints": ",".join(network.facts.etcd_endpoints),
        **{part.replace("-", "_"): f"{_FOLDER}/{part}" for part in _PARTS},
    }


def environment() -> list[dict[str, Any]]:
    """Variables that take it from there."""
    return [
        {"name": name, "valueFrom": {"configMapKeyRef": {"name": "calico-config", "key": key}}}
        for name, key in CONFIG_KEYS.items()
    ]


def secret_command() -> str:
    """How a person makes the Secret from the files of a certificate."""
    given = " ".join(f"--from-file={part}={part.removeprefix('etcd-')}.pem" for part in _PARTS)
    return f"kubectl -n kube-system create secret generic {SECRET} {given}"
