"""From Pulumi to git and back, by `muslin adopt`, without one object recreated."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from blueprints.emit import render
from muslin.cli.blueprint import decide
from muslin.cli.main import main
from reconciler.plan import Action, Why
from tests.stacks.conftest import MakeStack
from tests.stacks.engine.deployment import Stack
from tests.stacks.reconciling import reconciled
from tests.support.kube_apiserver import KubeApiserver

pytestmark = pytest.mark.engines

_API = "/apis/projectcalico.org/v3"
_POOL = f"{_API}/ippools/default-ipv4-ippool"
_OBJECTS = (_POOL, f"{_API}/bgpconfigurations/default", f"{_API}/globalnetworkpolicies/default-deny")
_NAMED = "pulumi.com/patchFieldManager"

Muslin = Callable[..., tuple[int, str]]


@pytest.fixture
def muslin(cluster: KubeApiserver, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Muslin:
    """`muslin("adopt", ...)`: exit status, and all that was printed; the cluster is the datastore."""
    monkeypatch.setenv("DATASTORE_TYPE", "kubernetes")
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))

    def run(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out + said.err

    return run


def _uids(server: KubeApiserver) -> list[str]:
    return [str(server.request("GET", path)["metadata"]["uid"]) for path in _OBJECTS]


def _files(mine: Stack, folder: Path) -> Path:
    """What the repository declares: the same facts, rendered."""
    for name, text in render(decide(str(mine.folder / "cluster.yaml"), None)).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return folder


def test_to_git_and_back(stack: MakeStack, cluster: KubeApiserver, muslin: Muslin, tmp_path: Path) -> None:
    """Unmarked is refused; marked goes over; the reconciler takes over without a change; and back again."""
    mine = stack("single_subnet")
    assert mine.up().error == ""
    uids, files = _uids(cluster), _files(mine, tmp_path / "files")
    exported, marked = tmp_path / "test.json", tmp_path / "test.marked.json"

    blocked = reconciled(cluster, files)
    assert {each.why for each in blocked.blocked} == {Why.OWNED_BY_PULUMI}
    assert len(blocked.blocked) == 3
    assert not blocked.steps

    exported.write_text(json.dumps(mine.state.exported()), "utf-8")
    status, said = muslin("adopt", str(exported))
    assert status == 2
    assert "would be deleted with the stack" in said
    assert f"pulumi stack import --stack test --file {marked}" in said
    mine.state.take(json.loads(marked.read_text("utf-8")))
    exported.write_text(json.dumps(mine.state.exported()), "utf-8")

    status, said = muslin("adopt", str(exported))
    assert (status, "3 of 3 have changed hands" in said) == (0, True)
    assert "pulumi destroy --stack test" in said
    for path in _OBJECTS:
        metadata = cluster.request("GET", path)["metadata"]
        assert _NAMED not in metadata.get("annotations", {})
        assert "stacks.muslin/writer" not in metadata.get("annotations", {})
        assert {each["manager"] for each in metadata["managedFields"]} == {"muslin/default"}
    assert "3 had already" in muslin("adopt", str(exported))[1]

    taken = reconciled(cluster, files)
    assert {(each.action, each.writes) for each in taken.steps} == {(Action.ADOPT, False)}
    dropped = mine.destroy()
    assert {each.action for each in dropped.steps if each.type.startswith("kubernetes:")} == {"retain"}
    assert _uids(cluster) == uids

    status, said = muslin("adopt", "--back", "test")
    assert (status, "3 of 3 are no longer the reconciler's" in said) == (0, True)
    assert cluster.request("GET", _POOL)["metadata"]["annotations"][_NAMED] == "muslin"
    assert {each.why for each in reconciled(cluster, files).blocked} == {Why.OWNED_BY_PULUMI}
    again = mine.up()
    assert (again.error, len(again.names("create"))) == ("", 3)
    assert _uids(cluster) == uids
    assert "owns nothing here" in muslin("adopt", "--back", "test")[1]


def test_each_side_can_change_what_it_took_over(
    stack: MakeStack, cluster: KubeApiserver, muslin: Muslin, tmp_path: Path
) -> None:
    """After hand-over a commit changes and removes fields; after the way back, so does the program; no field stays."""
    mine = stack("single_subnet", retain=True, protectPools=False)
    assert mine.up().error == ""
    uids, files, exported = _uids(cluster), _files(mine, tmp_path / "files"), tmp_path / "test.json"
    exported.write_text(json.dumps(mine.state.exported()), "utf-8")
    assert muslin("adopt", str(exported))[0] == 0
    reconciled(cluster, files)
    mine.destroy()

    facts = mine.folder / "cluster.yaml"
    former = facts.read_text("utf-8")
    facts.write_text(former + "natOutgoing: false\nasNumber: 64520\n", "utf-8")
    reconciled(cluster, _files(mine, files))
    assert "natOutgoing" not in cluster.request("GET", _POOL)["spec"]
    assert cluster.request("GET", _OBJECTS[1])["spec"]["asNumber"] == 64520
    assert not reconciled(cluster, files).steps
    for path in _OBJECTS:
        assert _managers(cluster, path) == {"muslin/default"}

    assert muslin("adopt", "--back", "test")[0] == 0
    mine.config = {}
    assert mine.up().error == ""
    facts.write_text(former, "utf-8")
    done = mine.up()
    assert done.error == ""
    assert cluster.request("GET", _POOL)["spec"]["natOutgoing"] is True
    assert cluster.request("GET", _OBJECTS[1])["spec"]["asNumber"] == 64512
    assert _uids(cluster) == uids
    for path in _OBJECTS:
        assert "muslin/default" not in _managers(cluster, path)


def _managers(server: KubeApiserver, path: str) -> set[str]:
    return {each["manager"] for each in server.request("GET", path)["metadata"]["managedFields"]}


def test_reflectors_to_git_and_back(stack: MakeStack, cluster: KubeApiserver, muslin: Muslin, tmp_path: Path) -> None:
    """Of Nodes and agents' settings only our fields go over, and they stay as they are at every step."""
    for name in ("node-a", "node-c"):
        cluster.request("POST", "/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
    mine = stack("route_reflectors", waitForSessions=False, retain=True, protectPools=False)
    assert mine.up().error == ""
    files, exported = _files(mine, tmp_path / "files"), tmp_path / "test.json"
    exported.write_text(json.dumps(mine.state.exported()), "utf-8")

    assert muslin("adopt", str(exported))[0] == 0
    assert not [each for each in reconciled(cluster, files).steps if each.writes]
    mine.destroy()
    _reflects(cluster, pulumis=False)
    assert not reconciled(cluster, files).steps

    felix = f"{_API}/felixconfigurations/default"
    patch = {"spec": {"logSeverityScreen": "Debug"}}
    cluster.request("PATCH", f"{felix}?fieldManager=muslin", patch, content_type="application/merge-patch+json")
    assert muslin("adopt", "--back", "test")[0] == 0
    assert mine.up().error == ""
    _reflects(cluster, pulumis=True)
    assert cluster.request("GET", felix)["spec"]["logSeverityScreen"] == "Debug"


def _reflects(server: KubeApiserver, *, pulumis: bool) -> None:
    node = server.request("GET", "/api/v1/nodes/node-a")["metadata"]
    assert node["labels"]["route-reflector"] == "true"
    assert node["annotations"]["projectcalico.org/RouteReflectorClusterID"] == "1.0.0.1"
    assert (_NAMED in node["annotations"]) is pulumis
    assert server.request("GET", f"{_API}/felixconfigurations/default")["spec"]["ipipMTU"] == 1480


def test_by_the_name_of_a_stack(
    stack: MakeStack, cluster: KubeApiserver, muslin: Muslin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given a name, pulumi on the PATH is asked to export, and to import the mark, before anything changes hands."""
    mine = stack("own_provider")
    assert mine.up().error == ""
    state = tmp_path / "state.json"
    state.write_text(json.dumps(mine.state.exported()), "utf-8")
    pulumi = tmp_path / "bin" / "pulumi"
    pulumi.parent.mkdir()
    pulumi.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n'
        f'case "$2" in export) cat {state};; import) cat > {state}.new; mv {state}.new {state};; esac\n',
        "utf-8",
    )
    pulumi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{pulumi.parent}:{os.environ['PATH']}")

    status, said = muslin("adopt", "test")
    pool = cluster.request("GET", _POOL)["metadata"]

    assert (status, "1 of 1 have changed hands" in said) == (0, True)
    assert [line.split()[1] for line in (tmp_path / "asked").read_text("utf-8").splitlines()] == [
        "export", "import", "export",
    ]  # fmt: skip
    assert [(each["manager"], each["operation"]) for each in pool["managedFields"]] == [("muslin/default", "Apply")]
    assert all(each.get("retainOnDelete") for each in _kubernetes(json.loads(state.read_text("utf-8"))))


def _kubernetes(state: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for each in state["deployment"]["resources"] if each["type"].startswith("kubernetes:")]


def test_objects_of_any_program_are_left_alone(cluster: KubeApiserver, tmp_path: Path) -> None:
    """An object that Pulumi made without our components is known by its manager, and left to it."""
    pool = {
        "apiVersion": "projectcalico.org/v3",
        "kind": "IPPool",
        "metadata": {"name": "default-ipv4-ippool"},
        "spec": {"cidr": "10.64.0.0/16"},
    }
    cluster.request("POST", f"{_API}/ippools?fieldManager=pulumi-kubernetes", pool)
    (tmp_path / "pool.yaml").write_text(json.dumps({**pool, "spec": {"cidr": "10.48.0.0/16"}}), "utf-8")
    taken = reconciled(cluster, tmp_path)

    assert ([each.why for each in taken.blocked], taken.steps) == ([Why.OWNED_BY_PULUMI], ())
    assert cluster.request("GET", _POOL)["spec"]["cidr"] == "10.64.0.0/16"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("x", "this is no exported stack of Pulumi"),
        ('{"version": 2, "deployment": {"resources": []}}', "version 2 of an exported stack is not known"),
        ('{"version": 3, "deployment": {"resources": []}}', "the stack has no objects of projectcalico.org/v3"),
    ],
)
def test_files_that_are_none(muslin: Muslin, tmp_path: Path, content: str, said: str) -> None:
    """What is no exported stack is wrong input, told before the cluster is asked."""
    file = tmp_path / "state.json"
    file.write_text(content, "utf-8")
    status, printed = muslin("adopt", str(file))

    assert (status, said in printed) == (2, True)


def test_no_pulumi_to_ask(muslin: Muslin, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name where there is no pulumi is told, with the file that would do instead."""
    monkeypatch.setenv("PATH", "/nowhere")
    status, printed = muslin("adopt", "prod")

    assert (status, "there is no pulumi on the PATH to ask" in printed) == (2, True)
