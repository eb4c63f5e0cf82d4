"""The shipped stacks, unchanged, from nothing to gone: in their own process, into a real Kubernetes API."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.stacks.conftest import MakeAny, MakeStack
from tests.stacks.engine.deployment import Result, Run, Stack
from tests.stacks.engine.monitor import check
from tests.stacks.engine.values import secret_paths
from tests.stacks.reporting import NODES, register_nodes, report_sessions
from tests.support.engines import wait_until
from tests.support.kube_apiserver import KubeApiserver

pytestmark = pytest.mark.engines

_API = "/apis/projectcalico.org/v3"
_POOL = f"{_API}/ippools/default-ipv4-ippool"
_BGP = f"{_API}/bgpconfigurations/default"


def _there(server: KubeApiserver, path: str) -> bool:
    return server.request("GET", path).status == 200


@pytest.mark.parametrize("name", ["single_subnet", "multi_subnet"])
def test_the_life_of_a_stack(any_stack: MakeAny, cluster: KubeApiserver, name: str) -> None:
    """Preview writes nothing, up makes everything, up again changes nothing, destroy waits for leave and removes it."""
    shop = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
    cluster.request("POST", "/api/v1/namespaces", shop)
    mine = any_stack(name)

    preview = mine.preview()
    assert preview.error == ""
    assert not _there(cluster, _POOL)

    first = mine.up()
    assert first.error == ""
    assert sorted(first.names("create")) == sorted(preview.names("create"))
    assert first.outputs["decisions"]["datastore"]["chosen"] == "kubernetes"
    assert check(list(first.steps)) == []
    assert cluster.request("GET", _BGP)["spec"]["nodeToNodeMeshEnabled"] is True

    again = mine.up()
    assert (again.error, again.names("create"), again.names("update")) == ("", [], [])
    assert sorted(again.names("same")) == sorted(first.names("create"))

    assert "protect" in mine.destroy().error
    assert _there(cluster, _POOL)
    mine.unprotect()
    needed = {
        each["urn"].rpartition("::")[2]: tuple(each.get("dependencies", ()))
        for each in mine.exported()["deployment"]["resources"]
    }
    gone = mine.destroy()
    assert sorted(gone.names("delete")) == sorted(first.names("create"))
    assert _gone_too_early(gone, needed) == []
    assert not _there(cluster, _POOL)


def _gone_too_early(gone: Result, needed: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Names of those that were deleted while something that depends on them was still there."""
    deleted = [each.name for each in gone.steps]
    return [
        name
        for index, name in enumerate(deleted)
        for later in deleted[index:]
        if any(each.endswith(f"::{name}") for each in needed[later])
    ]


def test_the_mesh_goes_when_sessions_are_there(stack: MakeStack, cluster: KubeApiserver) -> None:
    """With reflectors the mesh stays on until every session is reported as established, and only then goes off."""
    register_nodes(cluster)
    mine = stack("route_reflectors")

    with mine.running() as run:
        for node in ("node-a", "node-c"):
            _asked_for(run, cluster, node)
        labelled = cluster.request("GET", "/api/v1/nodes/node-a")["metadata"]
        assert labelled["labels"]["route-reflector"] == "true"
        assert labelled["annotations"]["projectcalico.org/RouteReflectorClusterID"] == "1.0.0.1"
        report_sessions(cluster, "node-a", set(NODES))
        report_sessions(cluster, "node-c", {"node-a", "node-b"})
        wait_until(
            lambda: "network-caliconodestatus-sessions-of-node-a" in [each.name for each in run.monitor.steps],
            "one of the two reports",
            within_s=30,
        )
        assert not _there(cluster, _BGP)
        report_sessions(cluster, "node-c", set(NODES))
        done = run.finished()

    assert done.error == ""
    assert check(list(done.steps)) == []
    assert cluster.request("GET", _BGP)["spec"]["nodeToNodeMeshEnabled"] is False
    assert done.names("create")[-1] == "network-bgpconfiguration-default"
    _goes_in_reverse(mine, cluster)


def _asked_for(run: Run, cluster: KubeApiserver, node: str) -> None:
    """Wait until the program asks this node for its sessions; fail at once where it ended instead."""
    path = f"{_API}/caliconodestatuses/sessions-of-{node}"
    wait_until(lambda: _there(cluster, path) or run.ended, f"{path}, or the program's end")
    assert not run.ended, run.finished().error


def _goes_in_reverse(mine: Stack, cluster: KubeApiserver) -> None:
    """BGP's settings go before peers and nodes, which are kubelet's and stay without what was ours."""
    mine.unprotect()
    gone = mine.destroy().names("delete")
    node = cluster.request("GET", "/api/v1/nodes/node-a")

    assert gone.index("network-bgpconfiguration-default") < gone.index("network-bgppeer-node-peer-to-rr")
    assert gone.index("network-node-node-a") < gone.index("network-bgppeer-node-peer-to-rr")
    assert node.status == 200
    assert "route-reflector" not in node["metadata"].get("labels", {})


def test_sessions_that_never_come(stack: MakeStack, cluster: KubeApiserver) -> None:
    """An up whose sessions do not come ends in an error and leaves the mesh; the next one goes on from there."""
    register_nodes(cluster)
    mine = stack("route_reflectors")

    with mine.running() as run:
        _asked_for(run, cluster, "node-c")
        run.monitor.stop_waiting()
        done = run.finished()

    assert "did not become as it was waited for" in done.error
    assert not _there(cluster, _BGP)
    report_sessions(cluster, "node-a", set(NODES))
    report_sessions(cluster, "node-c", set(NODES))
    later = mine.up()
    assert (later.error, set(later.names("update"))) == (
        "",
        {"network-caliconodestatus-sessions-of-node-a", "network-caliconodestatus-sessions-of-node-c"},
    )
    assert cluster.request("GET", _BGP)["spec"]["nodeToNodeMeshEnabled"] is False


def test_a_change_is_one_update(any_stack: MakeAny, cluster: KubeApiserver) -> None:
    """A fact that changes is a change of the objects that follow from it: previewed, then applied in place."""
    mine = any_stack("single_subnet", defaultPolicy=False)
    assert mine.up().error == ""
    before = cluster.request("GET", _POOL)
    facts = mine.folder / "cluster.yaml"
    facts.write_text(facts.read_text("utf-8") + "natOutgoing: false\n", "utf-8")

    preview = mine.preview()
    assert (preview.error, preview.names("update")) == ("", ["network-ippool-default-ipv4-ippool"])
    assert cluster.request("GET", _POOL)["spec"]["natOutgoing"] is True

    done = mine.up()
    after = cluster.request("GET", _POOL)
    assert (done.error, done.names("update")) == ("", ["network-ippool-default-ipv4-ippool"])
    # a field that means the same as its absence is not declared, so apply takes it out
    assert after["spec"].get("natOutgoing", False) is False
    assert after["metadata"]["uid"] == before["metadata"]["uid"]


def test_drift_is_told_and_put_back_when_asked(any_stack: MakeAny, cluster: KubeApiserver) -> None:
    """What somebody else changed is told by field and manager; a refresh sees it, and with force it is put back."""
    mine = any_stack("single_subnet", defaultPolicy=False)
    assert mine.up().error == ""
    cluster.request("PATCH", _BGP, {"spec": {"asNumber": 64500}}, content_type="application/merge-patch+json")

    assert "somebody else set this field to another value" in mine.preview().error
    assert mine.refresh() == ["network-bgpconfiguration-default"]
    mine.config["force"] = ["BGPConfiguration/default"]
    assert mine.up().names("update") == ["network-bgpconfiguration-default"]
    assert cluster.request("GET", _BGP)["spec"]["asNumber"] == 64512


def test_what_is_there_already_is_adopted(any_stack: MakeAny, cluster: KubeApiserver) -> None:
    """Calico's own pool and settings, with the values that follow from the facts, are taken over and not made anew."""
    pool = {
        "apiVersion": "projectcalico.org/v3",
        "kind": "IPPool",
        "metadata": {"name": "default-ipv4-ippool"},
        "spec": {"cidr": "10.48.0.0/16", "blockSize": 26, "natOutgoing": True, "nodeSelector": "all()"},
    }
    made = cluster.request("POST", f"{_API}/ippools?fieldManager=calico-node", pool)
    assert made.status == 201, made

    done = any_stack("single_subnet", defaultPolicy=False).up()
    after = cluster.request("GET", _POOL)

    assert done.error == ""
    assert after["metadata"]["uid"] == made["metadata"]["uid"]
    assert {"calico-node", "muslin"} == {each["manager"] for each in after["metadata"]["managedFields"]}


def test_what_somebody_set_otherwise_is_told_at_preview(any_stack: MakeAny, cluster: KubeApiserver) -> None:
    """A field with another value and manager is an error before anything is written, and is taken over when asked."""
    there = {
        "apiVersion": "projectcalico.org/v3",
        "kind": "BGPConfiguration",
        "metadata": {"name": "default"},
        "spec": {"asNumber": 64500},
    }
    cluster.request("POST", f"{_API}/bgpconfigurations?fieldManager=tigera-operator/installation", there)
    mine = any_stack("single_subnet", defaultPolicy=False)

    for refused in (mine.preview(), mine.up()):
        assert "the operator owns this field and wants another value" in refused.error
        assert "BGPConfiguration/default  spec.asNumber" in refused.error
        assert refused.names("create") == []
    assert not _there(cluster, _POOL)

    mine.config["force"] = ["BGPConfiguration/default"]
    assert mine.up().error == ""
    assert cluster.request("GET", _BGP)["spec"]["asNumber"] == 64512


def test_shared_settings_stay_when_the_stack_goes(any_stack: MakeAny, cluster: KubeApiserver) -> None:
    """Of agents' settings only our fields are written, and only these go with the stack."""
    there = {
        "apiVersion": "projectcalico.org/v3",
        "kind": "FelixConfiguration",
        "metadata": {"name": "default"},
        "spec": {"logSeverityScreen": "Info"},
    }
    cluster.request("POST", f"{_API}/felixconfigurations?fieldManager=calico-node", there)
    mine = any_stack("multi_subnet", defaultPolicy=False)
    path = f"{_API}/felixconfigurations/default"

    assert mine.up().error == ""
    spec = cluster.request("GET", path)["spec"]
    assert spec["logSeverityScreen"] == "Info"
    assert spec["ipipMTU"] == 1480
    mine.unprotect()
    mine.destroy()
    left = cluster.request("GET", path)["spec"]
    assert "ipipMTU" not in left
    assert left["logSeverityScreen"] == "Info"


def test_an_object_becomes_shared_and_ours_again(any_stack: MakeAny, cluster: KubeApiserver) -> None:
    """Who says later that an object is another's, or ours, keeps it as it is: it is no new one to Pulumi."""
    mine = any_stack("single_subnet", defaultPolicy=False)
    path = f"{_API}/bgpconfigurations/default"
    assert mine.up().error == ""
    made = cluster.request("GET", path)

    for shared in (["BGPConfiguration/default"], []):
        mine.config["shared"] = shared
        assert mine.up().error == ""
        now = cluster.request("GET", path)
        assert (now.status, now["metadata"]["uid"]) == (200, made["metadata"]["uid"])
        assert now["spec"] == made["spec"]

    mine.unprotect()
    mine.destroy()
    assert not _there(cluster, path)


def test_a_reflector_that_is_gone_is_replaced(any_stack: MakeAny, cluster: KubeApiserver) -> None:
    """After a refresh, nothing is given back of a node that has left, which would make an empty one of its name."""
    register_nodes(cluster)
    mine = any_stack("route_reflectors", defaultPolicy=False, waitForSessions=False)
    assert mine.up().error == ""
    cluster.request("DELETE", "/api/v1/nodes/node-c")
    facts = mine.folder / "cluster.yaml"
    kept = [each for each in facts.read_text("utf-8").splitlines() if "node-c" not in each]
    facts.write_text("\n".join(kept).replace("198.51.100.2}", "198.51.100.2, roles: [reflector]}") + "\n", "utf-8")

    mine.refresh()
    assert mine.up().error == ""
    assert not _there(cluster, "/api/v1/nodes/node-c")
    assert cluster.request("GET", "/api/v1/nodes/node-d")["metadata"]["labels"] == {"route-reflector": "true"}


def test_objects_of_a_program_with_its_own_provider(any_stack: MakeAny, cluster: KubeApiserver) -> None:
    """Made by POST as Pulumi's manager, then applied under the reconciler's: no field is left with the first."""
    mine = any_stack("own_provider")
    assert mine.up().error == ""
    made = cluster.request("GET", _POOL)
    assert {(each["manager"], each["operation"]) for each in made["metadata"]["managedFields"]} == {
        ("pulumi-kubernetes", "Update")
    }

    mine.config["nat"] = "false"
    done = mine.up()
    after = cluster.request("GET", _POOL)

    assert (done.error, done.names("update")) == ("", ["pools-ippool-default-ipv4-ippool"])
    assert {(each["manager"], each["operation"]) for each in after["metadata"]["managedFields"]} == {
        ("muslin", "Apply")
    }
    assert after["metadata"]["uid"] == made["metadata"]["uid"]


def test_an_object_that_exists_without_upsert(any_stack: MakeAny, cluster: KubeApiserver) -> None:
    """A provider that does not adopt says so of an object that is there, and nothing is overwritten."""
    pool = {
        "apiVersion": "projectcalico.org/v3",
        "kind": "IPPool",
        "metadata": {"name": "default-ipv4-ippool"},
        "spec": {"cidr": "10.64.0.0/16"},
    }
    cluster.request("POST", f"{_API}/ippools", pool)
    done = any_stack("own_provider").up()

    assert "already exists" in done.error
    assert cluster.request("GET", _POOL)["spec"]["cidr"] == "10.64.0.0/16"


def test_a_password_that_is_known_later(any_stack: MakeAny, cluster: KubeApiserver) -> None:
    """A preview goes through with values that are not known yet; the password is nowhere but in the Secret."""
    cluster.request("POST", "/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-a"}})
    system = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system"}}
    cluster.request("POST", "/api/v1/namespaces", system)
    mine = any_stack("later_password")

    preview = mine.preview()
    assert preview.error == ""
    assert "network-secret-kube-system-bgp" in preview.names("create")
    assert not _there(cluster, "/api/v1/namespaces/kube-system/configmaps/first")

    done = mine.up()
    assert done.error == ""
    first = cluster.request("GET", "/api/v1/namespaces/kube-system/configmaps/first")
    password = f"made-of-{first['metadata']['uid']}"
    assert _there(cluster, "/api/v1/namespaces/kube-system/secrets/bgp")
    assert password not in str(mine.exported())
    assert password not in str(done.said)
    assert done.secret_outputs == {"password"}
    (secret,) = (each for each in mine.exported()["deployment"]["resources"] if each["urn"].endswith("system-bgp"))
    assert {path.partition(".")[0] for path in secret_paths(secret["inputs"])} in ({"stringData"}, {"data"})
    assert check(list(done.steps)) == []
    mine.unprotect()
    assert mine.destroy().error == ""
