"""Typha, complete: what the reference architecture calls the fan-out, as objects of Kubernetes.

It runs on the hosts' network, where no NetworkPolicy reaches it; its port 5473 is among Felix' failsafe ports, which
stay open on hosts with endpoints of their own. It may read what agents read, and write the one object that says that
the datastore is initialised: none of the rights of calico-node.
Sources: reference architecture, "Kubernetes Datastore Mode"; upstream's manifest calico-typha.yaml for the settings.
"""

from __future__ import annotations

from typing import Any, Final

from blueprints import reflectors
from blueprints.fact_parts import DatastoreWish
from blueprints.upstream.emitted import Emitted
from blueprints.upstream.etcd import CERTIFICATES_MOUNT, CERTIFICATES_VOLUME, environment
from blueprints.upstream.network import Network

__all__ = ["NAME", "NAMESPACE", "PORT", "apart_from_reflectors", "emitted_typha", "typha"]

NAME: Final = "calico-typha"
NAMESPACE: Final = "kube-system"
PORT: Final = 5473

_HEALTH_PORT: Final = 9098
_GRACE_S: Final = 300
"""How long a Typha that ends may take to send its clients away one by one."""
_LABELS: Final = {"k8s-app": NAME}
_READ: Final = ["get", "list", "watch"]
_KINDS: Final = [
    "bgpconfigurations", "bgpfilters", "bgppeers", "blockaffinities", "caliconodestatuses", "clusterinformations",
    "felixconfigurations", "globalnetworkpolicies", "globalnetworksets", "hostendpoints", "ipamblocks", "ippools",
    "ipreservations", "networkpolicies", "networksets", "stagedglobalnetworkpolicies",
    "stagedkubernetesnetworkpolicies", "stagednetworkpolicies", "tiers",
]  # fmt: skip
_GROUPS: Final = ["crd.projectcalico.org", "projectcalico.org"]


def typha(network: Network) -> tuple[dict[str, Any], ...]:
    """ServiceAccount, its rights, Service, PodDisruptionBudget, Deployment, in the order to apply; none if off."""
    return tuple(each.value for each in emitted_typha(network))


def emitted_typha(network: Network) -> tuple[Emitted, ...]:
    """The same with reasons."""
    if network.typha_replicas == 0:
        return ()
    off = "What it reads for all agents. It writes only that the datastore is initialised."
    one = "A node that is drained takes at most one Typha along; its agents go to the others."
    return (
        Emitted(_object("v1", "ServiceAccount"), network.told("fan-out")),
        Emitted({**_cluster_wide("ClusterRole"), "rules": _rules()}, off),
        Emitted({**_cluster_wide("ClusterRoleBinding"), **_binding()}),
        Emitted(_object("v1", "Service", _service()), "Agents find Typhas by the endpoints of this name."),
        Emitted(_object("policy/v1", "PodDisruptionBudget", _budget()), one),
        Emitted(
            _object("apps/v1", "Deployment", _deployment(network)),
            why={
                ("spec", "replicas"): network.told("fan-out replicas"),
                ("spec", "template", "spec", "hostNetwork"): "Pods have no network before it runs.",
                ("spec", "template", "spec", "containers", 0, "image"): "The version of calico-node.",
                (
                    "spec",
                    "template",
                    "spec",
                    "containers",
                    0,
                    "envFrom",
                ): "Where Kubernetes is, if kube-proxy is not there.",
            },
        ),
    )


def _object(version: str, kind: str, spec: dict[str, Any] | None = None) -> dict[str, Any]:
    metadata = {"name": NAME, "namespace": NAMESPACE, "labels": dict(_LABELS)}
    told: dict[str, Any] = {"apiVersion": version, "kind": kind, "metadata": metadata}
    return told if spec is None else {**told, "spec": spec}


def _cluster_wide(kind: str) -> dict[str, Any]:
    metadata = {"name": NAME, "labels": dict(_LABELS)}
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": metadata}


def _rules() -> list[dict[str, Any]]:
    policies = ["adminnetworkpolicies", "baselineadminnetworkpolicies", "clusternetworkpolicies"]
    told: list[tuple[list[str], list[str], list[str]]] = [
        ([""], ["endpoints", "namespaces", "nodes", "pods", "serviceaccounts", "services"], _READ),
        (["discovery.k8s.io"], ["endpointslices"], _READ),
        (["networking.k8s.io"], ["networkpolicies"], _READ),
        (["policy.networking.k8s.io"], policies, _READ),
        (_GROUPS, _KINDS, _READ),
        (_GROUPS, ["clusterinformations"], ["create", "update"]),
    ]
    return [{"apiGroups": list(groups), "resources": kinds, "verbs": list(verbs)} for groups, kinds, verbs in told]


def _binding() -> dict[str, Any]:
    return {
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": NAME},
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}],
    }


def _service() -> dict[str, Any]:
    ports = [{"name": NAME, "port": PORT, "protocol": "TCP", "targetPort": NAME}]
    return {"selector": dict(_LABELS), "ports": ports}


def _budget() -> dict[str, Any]:
    return {"maxUnavailable": 1, "selector": {"matchLabels": dict(_LABELS)}}


def _deployment(network: Network) -> dict[str, Any]:
    return {
        "replicas": network.typha_replicas,
        "revisionHistoryLimit": 2,
        "selector": {"matchLabels": dict(_LABELS)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "100%", "maxUnavailable": 1}},
        "template": {
            "metadata": {
                "labels": dict(_LABELS),
                "annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "true"},
            },
            "spec": _pod(network),
        },
    }


def _pod(network: Network) -> dict[str, Any]:
    pod: dict[str, Any] = {
        "hostNetwork": True,
        "serviceAccountName": NAME,
        "priorityClassName": "system-cluster-critical",
        "terminationGracePeriodSeconds": _GRACE_S,
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [
            {"key": "CriticalAddonsOnly", "operator": "Exists"},
            {"effect": "NoSchedule", "operator": "Exists"},
            {"effect": "NoExecute", "operator": "Exists"},
        ],
        "securityContext": {"fsGroup": 65534, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [_container(network)],
    }
    if network.reflecting:
        pod["affinity"] = apart_from_reflectors()
    if network.datastore is DatastoreWish.ETCD:
        pod["volumes"] = [CERTIFICATES_VOLUME]
    return pod


def apart_from_reflectors() -> dict[str, Any]:
    """Affinity to nodes that do not reflect routes: these carry nothing else."""
    terms = [{"matchExpressions": [{"key": reflectors.LABEL, "operator": "DoesNotExist"}]}]
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}


def _container(network: Network) -> dict[str, Any]:
    etcd = network.datastore is DatastoreWish.ETCD
    settings = {
        "TYPHA_LOGSEVERITYSCREEN": "info",
        "TYPHA_LOGFILEPATH": "none",
        "TYPHA_LOGSEVERITYSYS": "none",
        "TYPHA_CONNECTIONREBALANCINGMODE": "kubernetes",
        "TYPHA_DATASTORETYPE": "etcdv3" if etcd else "kubernetes",
        "TYPHA_HEALTHENABLED": "true",
        "TYPHA_SHUTDOWNTIMEOUTSECS": str(_GRACE_S),
    }
    told: list[dict[str, Any]] = [{"name": name, "value": value} for name, value in settings.items()]
    container: dict[str, Any] = {
        "name": NAME,
        "image": f"quay.io/calico/typha:{network.version}",
        "envFrom": [{"configMapRef": {"name": "kubernetes-services-endpoint", "optional": True}}],
        "env": told + (environment() if etcd else []),
        "ports": [{"name": NAME, "containerPort": PORT, "protocol": "TCP"}],
        "livenessProbe": _probe("liveness", 30) | {"initialDelaySeconds": 30},
        "readinessProbe": _probe("readiness", 10),
        "securityContext": {"runAsNonRoot": True, "allowPrivilegeEscalation": False},
    }
    if etcd:
        container["volumeMounts"] = [CERTIFICATES_MOUNT]
    return container


def _probe(path: str, period_s: int) -> dict[str, Any]:
    asked = {"path": f"/{path}", "port": _HEALTH_PORT, "host": "localhost"}
    return {"httpGet": asked, "periodSeconds": period_s, "timeoutSeconds": 10}
