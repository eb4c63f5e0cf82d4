"""Names of workloads are the ones that Calico computes."""

from __future__ import annotations

from muslin.conversion.endpoint_name import EndpointName


def test_endpoint_name_doubles_hyphens() -> None:
    """Hyphens inside parts are doubled, so that a name splits in one way only."""
    assert str(EndpointName("node-1", pod="web-0", endpoint="eth0")) == "node--1-k8s-web--0-eth0"
