"""Admission policies that stand beside the definitions: what OpenAPI's defaults and rules cannot do.

With them `kubectl apply` comes to the objects that Calico's own client would have written: a policy's directions follow
from its rules, its tier is a label as well, and nobody deletes a built-in tier. The API server runs them by itself, no
webhook is needed: from Kubernetes 1.36 on, before that with the beta version enabled.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from muslin.resources.crds import GROUP, VERSION

__all__ = ["admission_objects"]

_TIERED: Final = (
    "networkpolicies",
    "globalnetworkpolicies",
    "stagednetworkpolicies",
    "stagedglobalnetworkpolicies",
)
_KUBERNETES_FORM: Final = "stagedkubernetesnetworkpolicies"
_BUILT_IN: Final = ("default", "kube-admin", "kube-baseline")


def _has_any(field: str) -> str:
    return f"has(object.spec.{field}) && size(object.spec.{field}) > 0"


_NO_DIRECTIONS: Final = f"!({_has_any('types')}) && !({_has_any('policyTypes')})"
_NOT_A_DELETION: Final = "!has(object.spec.stagedAction) || object.spec.stagedAction != 'Delete'"
_IS_KUBERNETES: Final = "object.kind == 'StagedKubernetesNetworkPolicy'"
_DIRECTIONS: Final = (
    f"!({_has_any('egress')}) ? ['Ingress'] : "
    f"({_has_any('ingress')}) || {_IS_KUBERNETES} ? ['Ingress', 'Egress'] : ['Egress']"
)
_TIER: Final = "has(object.spec.tier) && object.spec.tier != '' ? object.spec.tier : 'default'"
_LABEL: Final = "/metadata/labels/projectcalico.org~1tier"


def admission_objects(version: str = "v1") -> list[dict[str, Any]]:
    """Policies and their bindings.

    Args:
        version: of `MutatingAdmissionPolicy`: `v1`, or `v1beta1` for Kubernetes 1.34 and 1.35.
    """
    mutating = {"apiVersion": f"admissionregistration.k8s.io/{version}", "kind": "MutatingAdmissionPolicy"}
    types = {
        **mutating,
        "metadata": {"name": f"policytypes.policy.{GROUP}"},
        "spec": {
            "failurePolicy": "Fail",
            "reinvocationPolicy": "IfNeeded",
            "matchConstraints": _on(("CREATE", "UPDATE"), *_TIERED, _KUBERNETES_FORM),
            "matchConditions": [
                {"name": "no-directions", "expression": _NO_DIRECTIONS},
                {"name": "not-a-deletion", "expression": _NOT_A_DELETION},
            ],
            "mutations": [
                _patch(
                    f"[JSONPatch{{op: 'add', path: {_IS_KUBERNETES} ? '/spec/policyTypes' : '/spec/types', "
                    f"value: {_DIRECTIONS}}}]"
                )
            ],
        },
    }
    label = {
        **mutating,
        "metadata": {"name": f"tierlabel.policy.{GROUP}"},
        "spec": {
            "failurePolicy": "Fail",
            "reinvocationPolicy": "IfNeeded",
            "matchConstraints": _on(("CREATE", "UPDATE"), *_TIERED),
            "variables": [{"name": "tier", "expression": _TIER}],
            "mutations": [
                _patch("[JSONPatch{op: 'add', path: '/spec/tier', value: variables.tier}]"),
                _patch(
                    "has(object.metadata.labels) ? [] : [JSONPatch{op: 'add', path: '/metadata/labels', value: {}}]"
                ),
                _patch(f"[JSONPatch{{op: 'add', path: '{_LABEL}', value: variables.tier}}]"),
            ],
        },
    }
    tiers = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": f"protect-builtin-tiers.{GROUP}"},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": _on(("DELETE",), "tiers"),
            "validations": [
                {
                    "expression": f"!(oldObject.metadata.name in {list(_BUILT_IN)})",
                    "messageExpression": "'The built-in tier ' + oldObject.metadata.name + ' cannot be deleted'",
                }
            ],
        },
    }
    return [each for policy in (types, label, tiers) for each in _bound(policy)]


def _on(operations: tuple[str, ...], *plurals: str) -> dict[str, Any]:
    rule = {
        "apiGroups": [GROUP],
        "apiVersions": [VERSION],
        "operations": list(operations),
        "resources": list(plurals),
    }
    return {"resourceRules": [rule]}


def _patch(expression: str) -> dict[str, Any]:
    return {"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}


def _bound(policy: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield policy
    name = policy["metadata"]["name"]
    binding: dict[str, Any] = {
        "apiVersion": policy["apiVersion"],
        "kind": f"{policy['kind']}Binding",
        "metadata": {"name": name},
        "spec": {"policyName": name},
    }
    if policy["kind"] == "ValidatingAdmissionPolicy":
        binding["spec"]["validationActions"] = ["Deny"]
    yield binding
