"""Upstream Calico as a component: the same objects as the files for its operator and its manifests have."""

from __future__ import annotations

from typing import Any

import pytest

from blueprints.catalogue import BLUEPRINTS
from blueprints.upstream import manifests, operator
from blueprints.upstream.network import Network, network
from blueprints.upstream.typha import typha
from muslin.pulumi import EtcdCredentials, ReferenceNetworkArgs, Refused, UpstreamInstallation
from tests.blueprints.clusters import facts, nodes_in
from tests.muslin.pulumi.recording import Program, run

_ETCD = {"datastore": "etcd", "etcdIsTheClusters": False, "etcdEndpoints": ["https://192.0.2.10:2379"]}
_KEY = "-----BEGIN PRIVATE KEY----- hidden"
_CERTIFICATES = EtcdCredentials("ca", "cert", _KEY)


def _drawn(**told: Any) -> Network:
    given = facts(**told)
    return network(given, BLUEPRINTS["single_subnet"](given, None, None))


def _installed(*arguments: Any, **told: Any) -> Program:
    args = ReferenceNetworkArgs(facts(**told), "single_subnet", look_first=False)
    return run(lambda: UpstreamInstallation("calico", args, *arguments))


def _objects(done: Program) -> list[dict[str, Any]]:
    """What is written, as the files have it: without the annotations for Pulumi's provider."""
    found = []
    for each in done.resources.values():
        if "metadata" in each.inputs and not each.type.endswith(":Secret"):
            value = {**each.inputs, "metadata": dict(each.inputs["metadata"])}
            value["metadata"].pop("annotations")
            found.append(value)
    return found


def test_by_the_operator() -> None:
    """Installation and then APIServer, as the files for the operator say."""
    done = _installed("operator")

    assert done.error is None
    assert _objects(done) == list(operator.installation(_drawn()))
    assert done.resources["calico-apiserver-default"].after == ("calico-installation-default",)
    assert done.outputs["calico"]["decisions"]["MTU"]["chosen"] == "1500"


def test_by_its_manifests() -> None:
    """calico-config and calico-node are patched, Typha is made whole, each after the one before."""
    done, drawn = _installed("manifests"), _drawn()

    assert done.error is None
    assert _objects(done) == [manifests.config_patch(drawn), *typha(drawn), manifests.node_patch(drawn)]
    assert done.of("Patch") == [
        "calico-configmap-kube-system-calico-config",
        "calico-daemonset-kube-system-calico-node",
    ]
    node = done.resources["calico-daemonset-kube-system-calico-node"]
    assert node.type == "kubernetes:apps/v1:DaemonSetPatch"
    assert node.inputs["metadata"]["annotations"]["pulumi.com/patchForce"] == "true"
    assert {each.within for each in done.resources.values()} == {"", node.within}
    assert "calico-deployment-kube-system-calico-typha" in node.after
    assert (
        done.resources["calico-clusterrole-calico-typha"].type == "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole"
    )
    assert done.resources["calico-service-kube-system-calico-typha"].type == "kubernetes:core/v1:Service"


def test_agents_of_many_nodes_are_waited_for() -> None:
    """They change one by one: two minutes for each node, where that is more than Pulumi's own time."""
    name = "calico-daemonset-kube-system-calico-node"
    some, many = (_installed("manifests", **nodes_in(count)).resources[name].within for count in (3, 20))

    assert (some, many) == ("600s", "2400s")


def test_certificates_of_etcd_are_secret() -> None:
    """They stand in one Secret, secret for Pulumi, and nowhere else; everything else comes after it."""
    done = _installed("manifests", _CERTIFICATES, **_ETCD)
    secret = done.resources["calico-secret-kube-system-calico-etcd-secrets"]
    others = [each for each in done.resources.values() if each is not secret]

    assert done.error is None
    assert {path.partition(".")[0] for path in secret.secrets} == {"stringData"}
    assert sorted(secret.inputs["stringData"]) == ["etcd-ca", "etcd-cert", "etcd-key"]
    assert _KEY not in str(others) + str(done.outputs)
    assert all(secret.name in each.after for each in others if "metadata" in each.inputs)


@pytest.mark.parametrize(
    ("arguments", "told", "said"),
    [
        (("manifests",), _ETCD, "its certificates are not given"),
        (("manifests", _CERTIFICATES), {}, "the datastore is kubernetes"),
        (("operator", _CERTIFICATES), _ETCD, "the operator installs Calico with the datastore kubernetes only"),
        (("hand",), {}, "there is no installation by 'hand'"),
        (("operator",), {"datastore": "embedded"}, "in Kubernetes or in etcd"),
        (("operator",), {"plannedNodes": 80}, "80 nodes"),
    ],
)
def test_refused(arguments: tuple[Any, ...], told: dict[str, Any], said: str) -> None:
    """What cannot be installed so is Pulumi's own error before anything is registered."""
    done = _installed(*arguments, **told)

    assert isinstance(done.error, Refused)
    assert said in str(done.error)
    assert _KEY not in str(done.error)
    assert done.resources == {}
