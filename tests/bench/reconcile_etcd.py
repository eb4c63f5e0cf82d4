"""As `reconcile.py`, on a real etcd with TLS."""

from __future__ import annotations

from tests.bench.figures import Line
from tests.bench.reconcile_push import pushes
from tests.bench.reconciling import figures, looks
from tests.support.engines import Missing
from tests.support.etcd_server import EtcdServer

__all__ = ["measure"]


def measure() -> list[Line]:
    """One repository, one etcd; then both processes as they run."""
    try:
        with EtcdServer(tls=True) as server:
            store = {
                "DATASTORE_TYPE": "etcdv3", "ETCD_ENDPOINTS": server.endpoint, "ETCD_CA_CERT_FILE": str(server.ca_file),
            }  # fmt: skip
            with looks(store) as (repository, reconciler):
                return [*figures(repository, reconciler), *pushes(repository, store)]
    except Missing as missing:
        raise RuntimeError(str(missing)) from missing
