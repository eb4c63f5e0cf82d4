"""When a live object means what a file declares."""

from __future__ import annotations

from reconciler.compare import canonical, differences


def test_defaults_that_a_server_or_client_wrote_are_no_drift() -> None:
    """An API server's and calicoctl's defaults beside what a file says make no difference."""
    spec = {"selector": "all()", "egress": [{"action": "Allow"}]}
    given = {
        "apiVersion": "projectcalico.org/v3",
        "kind": "GlobalNetworkPolicy",
        "metadata": {"name": "p"},
        "spec": spec,
    }
    written = {
        **given,
        "metadata": {"name": "p", "labels": {"projectcalico.org/tier": "default"}, "uid": "1"},
        "spec": {**spec, "tier": "default", "types": ["Egress"]},
    }

    assert differences(canonical(written), canonical(given)) == ()
    other = {**written, "spec": {**spec, "types": ["Ingress"]}}
    assert differences(canonical(other), canonical(given))
