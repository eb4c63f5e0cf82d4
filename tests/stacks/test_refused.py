"""Clusters that cannot be written to as they are: a clear error at preview, and nothing written."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from muslin.pulumi.asking import OWNED, PATCHED
from muslin.resources.crds import definitions
from tests.stacks.conftest import MakeStack
from tests.stacks.engine.deployment import Stack
from tests.stacks.reporting import register_nodes
from tests.support.engines import wait_until
from tests.support.kube_apiserver import KubeApiserver

pytestmark = pytest.mark.engines

_ROOT = Path(__file__).parents[2]
_API = "/apis/projectcalico.org/v3"


def _older(definition: dict[str, Any]) -> dict[str, Any]:
    """The definition of a kind as older Calico has it: another group, and no say in what is in it."""
    names = definition["spec"]["names"]
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{names['plural']}.crd.projectcalico.org"},
        "spec": {"group": "crd.projectcalico.org", "names": names, "scope": "Cluster", "versions": [version]},
    }


def test_without_definitions_and_with_older_ones(tmp_path: Path) -> None:
    """A cluster without definitions, then one of an older Calico: each is told, with what to do; nothing is made."""
    shutil.copytree(_ROOT / "stacks" / "single_subnet", tmp_path / "stack")
    pools = next(each for each in definitions() if each["spec"]["names"]["kind"] == "IPPool")
    with KubeApiserver() as server:
        mine = Stack(tmp_path / "stack", server)
        bare = mine.preview()
        server.install(_older(pools))
        older = mine.preview()
        server.install(pools)
        partly = mine.up()
        made = server.request("GET", f"{_API}/ippools")["items"]

    assert "the cluster has no definitions of projectcalico.org/v3" in bare.error
    assert "muslin crds" in bare.error
    assert "this is an older Calico" in older.error
    assert "the cluster does not serve BGPConfiguration" in partly.error
    assert "the cluster does not serve GlobalNetworkPolicy" in partly.error
    assert [bare.names("create"), older.names("create"), partly.names("create"), made] == [[], [], [], []]


def test_without_rights(stack: MakeStack, cluster: KubeApiserver) -> None:
    """Every kind that the user may not write is told at once."""
    done = stack("single_subnet", token=cluster.user_token).up()

    for kind in ("IPPool", "BGPConfiguration", "GlobalNetworkPolicy"):
        assert f"this user may not create, delete, get, list, patch, watch {kind} objects" in done.error
    assert done.names("create") == []


def test_passwords_without_rights_or_a_namespace(stack: MakeStack, cluster: KubeApiserver) -> None:
    """What is written beside the network's objects is asked about too, so that no half of it is written."""
    mine = stack("later_password", token=cluster.user_token)
    program = mine.folder / "__main__.py"
    lines = [each for each in program.read_text("utf-8").splitlines() if not each.startswith("first = ")]
    text = "\n".join('password = "known"' if each.startswith("password = ") else each for each in lines)
    program.write_text(text, "utf-8")
    denied = mine.preview()
    mine.token = None
    program.write_text(text.replace("gate=None", 'gate=None, password_namespace="nowhere"'), "utf-8")
    homeless = mine.preview()

    assert "this user may not create, delete, get, list, patch, watch Secret objects" in denied.error
    assert "this user may not create, delete, get, list, patch, watch RoleBinding objects" in denied.error
    assert "the namespace nowhere is not there" in homeless.error


def test_without_the_right_to_see_a_reconcilers_objects(stack: MakeStack, cluster: KubeApiserver) -> None:
    """Who may write everything and not see the ledger of reconcilers is told so: two writers would not be noticed."""
    rights = {"apiGroups": ["projectcalico.org"], "resources": ["*"], "verbs": ["*"]}
    with _allowed(cluster, rights):
        done = stack("single_subnet", token=cluster.user_token).preview()

    assert "one thing is wrong" in done.error
    assert "this user may not list ReconcilerLedger objects" in done.error
    assert "nobody sees whether a reconciler writes the same objects" in done.error


def test_the_rights_that_are_asked_for_are_enough(stack: MakeStack, cluster: KubeApiserver) -> None:
    """Who has no more than these can bring a stack up and down: of what is shared, and of nodes, only fields."""
    ours, shared = ["ippools", "bgpconfigurations", "bgppeers"], ["felixconfigurations"]
    register_nodes(cluster)
    mine = stack("route_reflectors", waitForSessions=False, defaultPolicy=False, token=cluster.user_token)
    with _allowed(
        cluster,
        {"apiGroups": ["projectcalico.org"], "resources": ours, "verbs": list(OWNED)},
        {"apiGroups": ["projectcalico.org"], "resources": shared, "verbs": ["create", *PATCHED]},
        {"apiGroups": [""], "resources": ["nodes"], "verbs": list(PATCHED)},
        {"apiGroups": ["reconciler.muslin"], "resources": ["reconcilerledgers"], "verbs": ["list"]},
    ):
        up = mine.up()
        again = mine.up()
        mine.unprotect()
        gone = mine.destroy()

    assert [up.error, again.error, gone.error] == ["", "", ""]
    assert sorted(again.names("same")) == sorted(gone.names("delete")) == sorted(up.names("create"))


@contextmanager
def _allowed(cluster: KubeApiserver, *rights: dict[str, Any]) -> Iterator[None]:
    """These rights, everywhere, for the user who has none."""
    root, rbac = "/apis/rbac.authorization.k8s.io/v1", "rbac.authorization.k8s.io"
    role = {
        "apiVersion": f"{rbac}/v1", "kind": "ClusterRole", "metadata": {"name": "of-alice"}, "rules": list(rights),
    }  # fmt: skip
    binding = {
        "apiVersion": f"{rbac}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "of-alice"},
        "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "of-alice"},
        "subjects": [{"kind": "User", "apiGroup": rbac, "name": "alice"}],
    }
    assert cluster.request("POST", f"{root}/clusterroles", role).status == 201
    assert cluster.request("POST", f"{root}/clusterrolebindings", binding).status == 201
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {"group": rights[0]["apiGroups"][0], "resource": "ippools", "verb": "get"}},
    }
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    try:
        wait_until(
            lambda: cluster.request("POST", path, review, token=cluster.user_token)["status"]["allowed"], "the rights"
        )
        yield
    finally:
        for plural in ("clusterrolebindings", "clusterroles"):
            cluster.request("DELETE", f"{root}/{plural}/of-alice")


def test_a_password_that_nobody_brings(stack: MakeStack, cluster: KubeApiserver) -> None:
    """A Secret that the facts name is missed, then its entry, where the agents run; with both, all is well."""
    cluster.request("POST", "/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-a"}})
    namespace = cluster.new_namespace()
    mine = stack("named_password", agents=namespace)
    secrets = f"/api/v1/namespaces/{namespace}/secrets"
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "bgp"}, "stringData": {"other": "x"}}

    absent = mine.up()
    cluster.request("POST", secrets, secret)
    without = mine.up()
    cluster.request(
        "PATCH", f"{secrets}/bgp", {"stringData": {"password": "x"}}, content_type="application/merge-patch+json"
    )

    assert f"the Secret {namespace}/bgp is not there: sessions need its password" in absent.error
    assert "BGPPeer/" in absent.error
    assert f"the Secret {namespace}/bgp has no entry password" in without.error
    assert absent.names("create") == without.names("create") == []
    assert mine.preview().error == ""
    _unseen(mine, cluster, namespace)


def _unseen(mine: Stack, cluster: KubeApiserver, namespace: str) -> None:
    """Who may not see Secrets is told that this one was not looked at, and is not refused for it."""
    mine.token = cluster.user_token
    with _allowed(
        cluster,
        {"apiGroups": ["projectcalico.org", "reconciler.muslin"], "resources": ["*"], "verbs": ["*"]},
        {"apiGroups": [""], "resources": ["nodes"], "verbs": list(PATCHED)},
    ):
        unseen = mine.preview()

    assert unseen.error == ""
    told = [text for severity, text in unseen.said if severity == "WARNING"]
    assert [f"this user may not see whether the Secret {namespace}/bgp is there" in each for each in told] == [True]


def test_nodes_and_namespaces_that_are_not_there(stack: MakeStack, cluster: KubeApiserver) -> None:
    """A node of the facts that Kubernetes does not have would be made by a patch, so it is refused."""
    done = stack("route_reflectors").preview()

    assert "the cluster has no node node-a" in done.error
    assert "the cluster has no node node-c" in done.error


def test_a_pool_with_the_same_addresses(stack: MakeStack, cluster: KubeApiserver) -> None:
    """A pool of another name that has addresses of ours is refused, which the server itself takes."""
    other = {
        "apiVersion": "projectcalico.org/v3", "kind": "IPPool", "metadata": {"name": "other"},
        "spec": {"cidr": "10.48.0.0/17"},
    }  # fmt: skip
    assert cluster.request("POST", f"{_API}/ippools", other).status == 201
    done = stack("single_subnet").preview()

    assert "one thing is wrong" in done.error
    assert "the cluster's pool other has addresses of 10.48.0.0/16: 10.48.0.0/17" in done.error


def test_what_a_reconciler_writes(stack: MakeStack, cluster: KubeApiserver) -> None:
    """An object in a reconciler's ledger is refused: one writer at a time."""
    ledger = {
        "apiVersion": "reconciler.muslin/v1alpha1",
        "kind": "ReconcilerLedger",
        "metadata": {"name": "default.0"},
        "spec": {"set": "default", "part": 0, "items": {"IPPool//default-ipv4-ippool": {"applied": {}}}},
    }
    answer = cluster.request("POST", "/apis/reconciler.muslin/v1alpha1/reconcilerledgers", ledger)
    assert answer.status == 201, answer
    done = stack("single_subnet").preview()

    assert "a reconciler writes IPPool/default-ipv4-ippool already: one writer at a time" in done.error
    assert "muslin adopt" in done.error


def test_what_another_program_of_pulumis_writes(stack: MakeStack, cluster: KubeApiserver) -> None:
    """Fields that another program made or applied with another value are told at preview, and nothing is written."""
    there = {
        "apiVersion": "projectcalico.org/v3",
        "kind": "BGPConfiguration",
        "metadata": {"name": "default"},
        "spec": {"asNumber": 64500},
    }
    mine = stack("single_subnet", defaultPolicy=False)
    for manager in ("pulumi-kubernetes", "pulumi-kubernetes-ab12cd34"):
        path = f"{_API}/bgpconfigurations/default?fieldManager={manager}"
        if manager == "pulumi-kubernetes":
            answer = cluster.request("POST", f"{_API}/bgpconfigurations?fieldManager={manager}", there)
        else:
            cluster.request("DELETE", f"{_API}/bgpconfigurations/default")
            answer = cluster.request("PATCH", path, there, content_type="application/apply-patch+yaml")
        assert answer.status == 201, answer
        done = mine.up()

        assert "BGPConfiguration/default  spec.asNumber" in done.error
        assert f'conflict with "{manager}"' in done.error
        assert done.names("create") == []


def test_what_another_stack_writes(stack: MakeStack, cluster: KubeApiserver, tmp_path: Path) -> None:
    """Two stacks have one manager, so each object names its stack: the second is refused at preview, unless forced."""
    first = stack("single_subnet", defaultPolicy=False)
    assert first.up().error == ""
    shutil.copytree(first.folder, tmp_path / "second")
    second = Stack(tmp_path / "second", cluster, {"defaultPolicy": False}, name="other")
    refused = second.up()

    for name in ("IPPool/default-ipv4-ippool", "BGPConfiguration/default"):
        assert f"the stack single-subnet/test writes {name} already: one writer at a time" in refused.error
    assert refused.names("create") == []
    second.config["force"] = ["IPPool/default-ipv4-ippool", "BGPConfiguration/default"]
    assert second.up().error == ""
    assert "the stack single-subnet/other writes" in first.preview().error


def test_what_another_component_of_the_program_writes(stack: MakeStack, cluster: KubeApiserver) -> None:
    """Components of one cluster share a manager too: two that name one object are refused; parts that share none go."""
    mine = stack("single_subnet")
    program = mine.folder / "__main__.py"
    text = program.read_text("utf-8").replace("import ReferenceNetwork", "import Policy, Pools, ReferenceNetwork")
    program.write_text(text + "Pools('pools', configured('single_subnet'))\n", "utf-8")
    twice = mine.preview()
    parts = text.replace("network = ReferenceNetwork", "Policy('policy', configured('single_subnet'))\nnetwork = Pools")
    program.write_text(parts, "utf-8")

    assert "another component of this program writes IPPool/default-ipv4-ippool already" in twice.error
    assert mine.preview().error == ""


def test_wrong_facts_and_settings(stack: MakeStack, cluster: KubeApiserver) -> None:
    """Facts that are wrong are told with file and line, without a traceback, before the cluster is asked."""
    mine = stack("single_subnet")
    facts = mine.folder / "cluster.yaml"
    facts.write_text(facts.read_text("utf-8").replace("plannedNodes: 40", "plannedNodes: 80"), "utf-8")
    refused = mine.preview()
    mine.config["retain"] = "perhaps"
    unclear = mine.preview()

    assert "cluster.yaml:" in refused.error
    assert "Traceback" not in refused.error + unclear.error
    assert "retain is not true or false" in unclear.error
