"""`muslin plan` says what a change does: against a datastore, between two commits, for people, reviews and programs."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from muslin import resources
from muslin.resources.base import Resource
from reconciler.combined import of_flags
from reconciler.commands import TRACKED
from reconciler.report_schema import PlanReport
from reconciler.selection import Selection
from tests.muslin.cli.running import FILES, Cluster, Run
from tests.reconciler.cases import policy
from tests.reconciler.repositories import git
from tests.support.clusters import namespace_profile, node, workload

_PEOPLE: list[Resource] = [
    node("node-a", "192.0.2.1/24"),
    node("node-b", "192.0.2.2/24"),
    namespace_profile("shop"),
    *(workload(f"client-{at}", f"10.48.0.{at + 1}", namespace="shop", labels={"app": "client"}) for at in range(3)),
    workload("b", "10.48.1.1", namespace="shop", on="node-b", labels={"app": "b"}),
]
_CLOSED = policy("b", action="Deny")


@pytest.fixture
def populated(cluster: Cluster) -> Cluster:
    """A cluster with three clients, and one pod that a policy of its first commit lets them reach."""
    for each in _PEOPLE:
        cluster.put(resources.dump(each), each.metadata.namespace)
    return cluster


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A working copy with two commits: `main`, and `closed` in which the pod's policy denies."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    for branch, content in (("main", FILES), ("closed", {**FILES, "b.yaml": _CLOSED})):
        if branch != "main":
            git(folder, "checkout", "--quiet", "-b", branch)
        for name, text in content.items():
            (folder / name).write_text(text)
        git(folder, "add", ".")
        git(folder, "commit", "--quiet", "-m", branch)
    (tmp_path / "people.yaml").write_text("\n---\n".join(json.dumps(resources.dump(each)) for each in _PEOPLE))
    return folder


def test_who_is_cut_off_is_told_before_a_push(run: Run, populated: Cluster) -> None:
    """The three clients that the policy let in, by their common label; how many agents must act; the digest."""
    populated.write({**FILES, "b.yaml": _CLOSED})
    ran = run("plan", populated.manifests, "--datastore", populated.file)

    assert (ran.status, ran.err) == (2, "")
    assert "What this does to the network (4 endpoints looked at):" in ran.out
    assert "Closes 3 pairs; agents end connections of 4 endpoints:" in ran.out
    assert "shop: app=client (3)   shop/b   everything       3   ingress" in ran.out
    assert "Agents that must act: at most 1 of 2." in ran.out
    assert "muslin approve" not in ran.out

    exact = run("plan", populated.manifests, "--datastore", populated.file, "--exact-agents")
    assert "Agents that must act: 1 of 2." in exact.out


def test_between_two_commits_no_datastore_is_asked(run: Run, repository: Path, tmp_path: Path) -> None:
    """Endpoints come from a file; the same is told, and each branch is named by its commit."""
    ran = run("plan", "--repo", repository, "--from", "main", "--to", "closed", "--endpoints", tmp_path / "people.yaml")

    assert (ran.status, ran.err) == (2, "")
    assert ran.out.startswith("From ")
    assert "Closes 3 pairs; agents end connections of 4 endpoints:" in ran.out

    same = run("plan", "--repo", repository, "--from", "main", "--to", "main")
    assert (same.status, same.out.splitlines()[-1]) == (0, "Nothing to change; 3 as declared.")


def test_a_probe_that_is_taken_out_is_told(run: Run, repository: Path) -> None:
    """Between two commits a review sees what will not be asked any more."""
    probe = "apiVersion: reconciler.muslin/v1alpha1\nkind: Probe\nmetadata: {name: served}\nspec:\n"
    probe += "  from: {namespace: shop, pod: client-1}\n  to: {address: 192.0.2.10}\n  protocol: ICMP\n"
    (repository / "probe.yaml").write_text(probe)
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "-m", "probe")
    git(repository, "checkout", "--quiet", "-b", "without")
    git(repository, "rm", "--quiet", "probe.yaml")
    git(repository, "commit", "--quiet", "-m", "no probe")
    ran = run("plan", "--repo", repository, "--from", "closed", "--to", "without")

    said = "served: shop/client-1 must reach 192.0.2.10 over ICMP"
    assert f"Probes that are not asked any more:\n  {said}\n" in ran.out
    assert ran.status == 2
    review = run("plan", "--repo", repository, "--from", "closed", "--to", "without", "-o", "markdown").out
    assert ":warning: Not asked any more: served: shop/client-1" in review


def test_head_is_what_is_checked_out_and_a_datastore_is_asked_without_from(
    run: Run, repository: Path, populated: Cluster
) -> None:
    """`--repo` alone plans the commit that is checked out; its id is in the digest that an approval quotes."""
    ran = run("plan", "--repo", repository, "--datastore", populated.file, "-o", "json")
    told = json.loads(ran.out)

    assert ran.status == 2
    assert told["commit"] == git(repository, "rev-parse", "closed")
    assert (told["origin"], told["effect"]["traffic"]["closed"]["pairs"]) == ("datastore", 3)
    shown = run("plan", "--repo", repository, "--datastore", populated.file).out
    assert f"To approve this plan and no other: muslin approve {told['digest']}\n" in shown


def test_json_is_as_its_schema_says(run: Run, repository: Path, populated: Cluster, tmp_path: Path) -> None:
    """Of plans with and without effect, against a datastore and offline; `--full` names everybody."""
    populated.write({**FILES, "b.yaml": _CLOSED})
    people = ("--endpoints", tmp_path / "people.yaml")
    for arguments in (
        (populated.manifests, "--datastore", populated.file),
        (populated.manifests, "--datastore", populated.file, "--full"),
        ("--repo", repository, "--from", "main", "--to", "closed", *people),
        ("--repo", repository, "--from", "main", "--to", "main"),
    ):
        PlanReport.model_validate_json(run("plan", *arguments, "-o", "json").out)

    full = json.loads(run("plan", populated.manifests, "--datastore", populated.file, "--full", "-o", "json").out)
    assert full["effect"]["agents"] == {"count": 1, "of": 2, "exact": False, "members": ["node-b"]}


def test_a_review_gets_markdown(run: Run, populated: Cluster) -> None:
    """A table of who is cut off, the fields as a difference, and the counts first."""
    populated.write({**FILES, "b.yaml": _CLOSED})
    ran = run("plan", populated.manifests, "--datastore", populated.file, "-o", "markdown")

    assert ran.out.splitlines()[2] == "**1 to change; 2 as declared.**"
    assert "| shop: app=client (3) | shop/b | everything | 3 | ingress |" in ran.out
    assert "```diff\n- spec.ingress[0].action: Allow\n+ spec.ingress[0].action: Deny\n```" in ran.out


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ((), "missing argument 'FOLDER', and there is no --repo"),
        ((".", "--repo", "."), "there is a folder and a repository"),
        ((".", "--from", "main"), "there is no repository"),
        ((".", "--endpoints", "x.yaml"), "takes its endpoints from there"),
        (("--repo", "REPOSITORY", "--from", "never"), "'never' is no commit of this repository"),
        (("--repo", "REPOSITORY", "--from", "../../etc"), "is no commit of this repository"),
        (("--repo", "REPOSITORY", "--from", "main", "--endpoints", "x.yaml"), "the file cannot be read"),
    ],
)
def test_wrong_use_is_told(run: Run, repository: Path, arguments: tuple[str, ...], what: str) -> None:
    """What does not go together, names that are none, and files that are not there."""
    ran = run("plan", *(str(repository) if each == "REPOSITORY" else each for each in arguments))

    assert (ran.status, what in ran.err) == (1, True)


def test_an_export_may_be_lists_and_must_be_objects(
    run: Run, repository: Path, populated: Cluster, tmp_path: Path
) -> None:
    """What `muslin get` prints is taken, also as a list; what is no object is refused with its file."""
    listed = tmp_path / "list.json"
    listed.write_text(json.dumps({"kind": "List", "items": [resources.dump(each) for each in _PEOPLE]}))
    asked = ("plan", "--repo", repository, "--from", "main", "--to", "closed", "--endpoints")
    assert "Closes 3 pairs" in run(*asked, listed).out

    given = []
    for kind in ("workloadendpoints", "profiles", "nodes"):
        file = tmp_path / f"{kind}.yaml"
        everywhere = ("-A",) if kind == "workloadendpoints" else ()
        file.write_text(run("get", kind, *everywhere, "-o", "yaml", "--datastore", populated.file).out)
        given += ["--endpoints", file]
    assert "Closes 3 pairs" in run(*asked[:-1], *given).out

    listed.write_text(json.dumps([{"kind": "WorkloadEndpoint"}]))
    ran = run(*asked, listed)
    assert (ran.status, "this is no object" in ran.err) == (1, True)


def test_an_export_of_kubectl_will_do(run: Run, repository: Path, tmp_path: Path) -> None:
    """Pods, namespaces and Kubernetes' own policies, as `kubectl get -A -o yaml` prints them, in one list."""

    def pod(name: str, app: str, address: str) -> dict[str, Any]:
        status = {"podIP": address, "podIPs": [{"ip": address}], "phase": "Running"}
        metadata = {"name": name, "namespace": "shop", "labels": {"app": app}}
        spec = {"nodeName": "node-a", "containers": [{"name": "c"}]}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status}

    items: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}},
        pod("client", "client", "10.48.0.1"),
        pod("b-1", "b", "10.48.0.2"),
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "host", "namespace": "shop"}, "spec": {
            "hostNetwork": True, "nodeName": "node-a", "containers": [{"name": "c"}]}},
    ]  # fmt: skip
    file = tmp_path / "kubernetes.json"
    asked = ("plan", "--repo", repository, "--from", "main", "--to", "closed", "--endpoints", file)
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    assert "shop/client   shop/b-1   everything       1   ingress" in run(*asked).out

    policy_of_kubernetes = {
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "out", "namespace": "shop"},
        "spec": {"podSelector": {}, "policyTypes": ["Egress"]},
    }  # fmt: skip
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": [*items, policy_of_kubernetes]}))
    assert "No traffic, session, prefix, address or MTU changes (2 endpoints looked at)." in run(*asked).out


def test_a_plan_of_folders_is_named_as_the_reconciler_of_them_names_it(
    run: Run, repository: Path, populated: Cluster, tmp_path: Path
) -> None:
    """Whoever reads folders and filters plans another commit than who reads all: the digest is the reconciler's."""
    head, select = git(repository, "rev-parse", "closed"), Selection.of(exclude=["b.yaml"])
    git(tmp_path, "clone", "--quiet", "--bare", str(repository), str(tmp_path / "mirror"))
    git(tmp_path / "mirror", "update-ref", TRACKED, head)
    asked = ("plan", "--repo", repository, "--exclude", "b.yaml", "--datastore", populated.file, "-o", "json")
    told = json.loads(run(*asked).out)

    async def of_the_reconciler() -> str | None:
        source = of_flags(tmp_path / "mirror", select)
        try:
            return (await source.head()).commit
        finally:
            await source.close()

    assert told["commit"] == asyncio.run(of_the_reconciler()) != head
    assert told["digest"].startswith("sha256:")
    assert [(each["action"], each["key"]) for each in told["steps"]] == [("delete", "NetworkPolicy shop/b")]


def test_a_removal_that_concerns_too_many_endpoints_is_told_as_held(run: Run, populated: Cluster) -> None:
    """The plan asks who needs what goes, as the reconciler does, and with the same budget."""
    populated.write({name: text for name, text in FILES.items() if name != "b.yaml"})
    asked = ("plan", populated.manifests, "--datastore", populated.file)

    assert "hold this commit" not in run(*asked).out
    held = "The reconciler would hold this commit: the commit removes what 1 endpoints (at most 0) need (TooMuchEffect)"
    assert held in run(*asked, "--max-endpoints", "0").out


def test_what_closes_a_host_is_not_told_as_no_change(run: Run, repository: Path, tmp_path: Path) -> None:
    """A new host endpoint shuts the host but for failsafe ports: nothing is computed of it, and that is said."""
    host = {
        "apiVersion": "projectcalico.org/v3", "kind": "HostEndpoint", "metadata": {"name": "eth0"},
        "spec": {"node": "node-a", "interfaceName": "*"},
    }  # fmt: skip
    git(repository, "checkout", "--quiet", "-b", "hosts", "main")
    (repository / "host.yaml").write_text(json.dumps(host))
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "-m", "hosts")
    asked = ("plan", "--repo", repository, "--from", "main", "--to", "hosts", "--endpoints", tmp_path / "people.yaml")

    for output in ("text", "markdown"):
        told = run(*asked, "-o", output).out
        assert "No traffic, session, prefix, address or MTU changes that can be told" in told
        assert "Not judged: what it does to hosts, and to what they forward" in told
    (left,) = json.loads(run(*asked, "-o", "json").out)["effect"]["notJudged"]
    assert (left["reason"], left["objects"]) == ("HostPolicy", ["HostEndpoint eth0"])


def test_second_working_copies_and_annotated_tags_are_read(run: Run, repository: Path, tmp_path: Path) -> None:
    """A worktree has its own HEAD and the other's branches; a tag with a message of its own means its commit."""
    git(repository, "tag", "--annotate", "--message", "first", "v1", "main")
    git(repository, "worktree", "add", "--quiet", str(tmp_path / "second"), "main")
    wanted = run("plan", "--repo", repository, "--from", "main", "--to", "closed")

    assert run("plan", "--repo", tmp_path / "second", "--from", "HEAD", "--to", "closed") == wanted
    assert run("plan", "--repo", repository, "--from", "v1", "--to", "closed") == wanted


def test_a_clone_that_lacks_a_commit_is_told_with_the_way_to_get_it(run: Run, repository: Path, tmp_path: Path) -> None:
    """Pipelines clone one commit deep: the plan says what to fetch, and nothing of a mirror that nobody has."""
    clone = tmp_path / "clone"
    former = git(repository, "rev-parse", "main").strip()
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{repository}", str(clone))
    ran = run("plan", "--repo", clone, "--from", former, "--to", "HEAD")

    assert (ran.status, ran.out) == (1, "")
    assert f"git does not give object {former}" in ran.err
    assert "fix:   fetch what is missing: `git fetch --unshallow`" in ran.err
