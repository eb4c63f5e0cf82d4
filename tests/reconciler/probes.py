"""A probe, and pods for which it means something."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any, Final

from muslin.resources.workload_endpoint import WorkloadEndpoint
from muslin.semantics.snapshot import Snapshot
from reconciler.probe import Pods, Probe
from tests.support.clusters import namespace_profile, workload

DB: Final = ip_address("192.0.2.10")
PROBE: Final = Probe("web-to-db", Pods("shop", None, "app == 'web'"), DB, port=5432)


def pod(name: str, number: int, **more: Any) -> WorkloadEndpoint:
    """A pod of the web in namespace shop, on the node with this number, unless told otherwise."""
    given = {"on": f"n{number}", "namespace": "shop", "labels": {"app": "web"}, "pod": name} | more
    return workload(f"{given['on']}-k8s-{name}-eth0", f"10.48.0.{number}/32", **given)


CLUSTER: Final = Snapshot.of([
    namespace_profile("shop", {"team": "red"}), pod("web-1", 1), pod("web-2", 2),
    pod("db", 3, labels={"app": "db"}), pod("other", 4, namespace="test"),
])  # fmt: skip
