"""With the admission policies beside the definitions, the server completes policies as Calico's client does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from muslin.resources import load
from muslin.resources.admission import admission_objects
from muslin.resources.crds import GROUP, definition
from muslin.resources.stored_form import as_stored
from tests.engines.verdicts import path_of
from tests.support.engines import wait_until
from tests.support.kube_apiserver import Answer, KubeApiserver

pytestmark = [pytest.mark.engines, pytest.mark.slow]

_ADMISSION = "/apis/admissionregistration.k8s.io/v1"
_POLICIES = ("NetworkPolicy", "GlobalNetworkPolicy", "StagedNetworkPolicy", "StagedGlobalNetworkPolicy")
_PLURALS = {
    "MutatingAdmissionPolicy": "mutatingadmissionpolicies",
    "MutatingAdmissionPolicyBinding": "mutatingadmissionpolicybindings",
    "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
}
_RULE = {"action": "Allow"}


def _object(kind: str, name: str, spec: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": f"{GROUP}/v3", "kind": kind, "metadata": {"name": name, **metadata}, "spec": spec}


def _is_completed(answer: Answer) -> bool:
    """Whether every policy had its say; while one of them is being made ready the server refuses."""
    return answer.status == 201 and {"tier", "types"} <= set(answer["spec"]) and "labels" in answer["metadata"]


@pytest.fixture(scope="module")
def server() -> Iterator[KubeApiserver]:
    """A server of its own: what admission does would surprise tests of other things."""
    with KubeApiserver() as server:
        for kind in (*_POLICIES, "StagedKubernetesNetworkPolicy", "Tier"):
            server.install(definition(kind))
        for each in admission_objects():
            answer = server.request("POST", f"{_ADMISSION}/{_PLURALS[each['kind']]}", each)
            assert answer.status == 201, answer
        probe = _object("GlobalNetworkPolicy", "probe", {})
        path = f"{path_of('GlobalNetworkPolicy', '')}?dryRun=All"
        wait_until(
            lambda: _is_completed(server.request("POST", path, probe)),
            "admission policies to take effect",
            within_s=30,
        )
        tier = server.request("POST", path_of("Tier", ""), _object("Tier", "default", {"order": 1000000}))
        assert tier.status == 201, tier

        def refused() -> bool:
            return server.request("DELETE", f"{path_of('Tier', '')}/default?dryRun=All").status != 200

        wait_until(refused, "built-in tiers to be protected", within_s=30)
        yield server


@pytest.mark.parametrize("kind", _POLICIES)
@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"ingress": [_RULE]},
        {"egress": [_RULE]},
        {"ingress": [_RULE], "egress": [_RULE]},
        {"ingress": [], "egress": [_RULE]},
        {"types": ["Egress"], "tier": "security"},
        {"tier": ""},
    ],
    ids=str,
)
def test_a_policy_is_stored_as_calicos_client_stores_it(server: KubeApiserver, kind: str, spec: dict[str, Any]) -> None:
    """Tier, its label and directions are those that our own client would have written."""
    namespaced = {} if kind.endswith("GlobalNetworkPolicy") else {"namespace": "default"}
    obj = _object(kind, "example", spec, labels={"team": "a"}, **namespaced)
    stored = server.request("POST", f"{path_of(kind, 'default')}?dryRun=All", obj)
    expected = as_stored(load(obj))

    assert stored.status == 201, stored
    assert stored["metadata"]["labels"] == expected["metadata"]["labels"]
    assert {name: stored["spec"].get(name) for name in ("tier", "types")} == {
        name: expected["spec"].get(name) for name in ("tier", "types")
    }


@pytest.mark.parametrize(
    ("spec", "types"),
    [
        ({"podSelector": {}}, ["Ingress"]),
        ({"podSelector": {}, "ingress": [{}]}, ["Ingress"]),
        ({"podSelector": {}, "egress": [{}]}, ["Ingress", "Egress"]),
        ({"podSelector": {}, "policyTypes": ["Egress"]}, ["Egress"]),
        ({"stagedAction": "Delete"}, None),
    ],
)
def test_a_policy_in_kubernetes_form_gets_kubernetes_directions(
    server: KubeApiserver, spec: dict[str, Any], types: list[str] | None
) -> None:
    """Egress rules do not take ingress away there; a deletion stays bare."""
    kind = "StagedKubernetesNetworkPolicy"
    obj = _object(kind, "example", spec, namespace="default")
    stored = server.request("POST", f"{path_of(kind, 'default')}?dryRun=All", obj)

    assert stored.status == 201, stored
    assert stored["spec"].get("policyTypes") == types


def test_the_label_follows_the_tier(server: KubeApiserver) -> None:
    """An update of the tier, or a label that somebody wrote himself, ends with the tier's label."""
    path = path_of("GlobalNetworkPolicy", "")
    obj = _object("GlobalNetworkPolicy", "moved", {"tier": "one"}, labels={f"{GROUP}/tier": "wrong"})
    first = server.request("POST", path, obj)
    moved = server.request(
        "PATCH", f"{path}/moved", {"spec": {"tier": "two"}}, content_type="application/merge-patch+json"
    )

    assert [each["metadata"]["labels"][f"{GROUP}/tier"] for each in (first, moved)] == ["one", "two"]


def test_built_in_tiers_stay(server: KubeApiserver) -> None:
    """Nobody deletes a built-in tier; another goes."""
    path = path_of("Tier", "")
    assert server.request("POST", path, _object("Tier", "ours", {"order": 5})).status == 201
    kept = server.request("DELETE", f"{path}/default")
    gone = server.request("DELETE", f"{path}/ours")

    assert (kept.status, gone.status) == (422, 200)
    assert "The built-in tier default cannot be deleted" in kept["message"]
