"""Which datastore to use and how to reach it, as values: what flags, files and the environment come to.

The words are Calico's (`DATASTORE_TYPE`, `spec.datastoreType` of a CalicoAPIConfig); `embedded` is ours.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TypeAlias

__all__ = ["DatastoreSettings", "EmbeddedSettings", "EtcdSettings", "KubernetesSettings", "unpaced"]


@dataclass(frozen=True, slots=True)
class EmbeddedSettings:
    """The SQLite file of one machine. `assumed`: nobody named any datastore, and this is the usual file."""

    path: str
    assumed: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class EtcdSettings:
    """A separate etcd.

    Attributes:
        endpoints: URLs, `http://` or `https://`, tried in this order; empty where `discovery_srv` is set.
        discovery_srv: domain whose SRV records name the endpoints.
        ca_cert, cert, key: PEM, as bytes; None where not given.
        places: where each of the PEMs came from (a path, or the name of the field), for messages and for the refusal
            of the cluster's own certificates.
    """

    endpoints: tuple[str, ...] = ()
    discovery_srv: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_cert: bytes | None = None
    cert: bytes | None = None
    key: bytes | None = field(default=None, repr=False)
    places: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KubernetesSettings:
    """A Kubernetes API. Nothing set means: the service account of the pod we run in.

    Attributes:
        kubeconfig: path, or several joined by `:`; `kubeconfig_inline` is its text.
        api_group: `projectcalico.org/v3`, `crd.projectcalico.org/v1`, or None to look what is there.
        qps, burst: bound of our own requests a second, and above it for a moment.
    """

    kubeconfig: str | None = None
    kubeconfig_inline: str | None = field(default=None, repr=False)
    context: str | None = None
    api_endpoint: str | None = None
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    token: str | None = field(default=None, repr=False)
    insecure_skip_tls_verify: bool = False
    use_pod_cidr: bool = False
    api_group: str | None = None
    qps: float = 5.0
    burst: int = 100


DatastoreSettings: TypeAlias = EmbeddedSettings | EtcdSettings | KubernetesSettings


def unpaced(settings: DatastoreSettings) -> DatastoreSettings:
    """The same without a bound of requests a second, unless somebody has set one.

    For who has few requests under way at once, and many in all: the server's own fairness decides how fast they go.
    """
    if isinstance(settings, KubernetesSettings) and settings.qps == KubernetesSettings().qps:
        return replace(settings, qps=0.0)
    return settings
