"""A change in stages as a person meets it: in the plan, in the status, and in the word that lets a stage end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from blueprints.catalogue import BLUEPRINTS
from muslin.cli.stages import stage_lines
from tests.muslin.cli.running import Cluster, Run
from tests.reconciler.staged import NAMES, facts, pod
from tests.support.memory_git import MemorySource

_ALLOWED = [word for name in BLUEPRINTS for word in ("--blueprint", name)]


@pytest.fixture
def running(tmp_path: Path) -> Cluster:
    """A cluster of four nodes in a mesh, with a pod."""
    made = Cluster(tmp_path)
    made.source = MemorySource(frozenset(BLUEPRINTS))
    made.push(facts())
    for number, name in enumerate(NAMES, 1):
        spec = {"bgp": {"ipv4Address": f"192.0.2.{number}/24"}}
        made.put({"apiVersion": "projectcalico.org/v3", "kind": "Node", "metadata": {"name": name}, "spec": spec})
    made.put(pod("web", "n1")[1], "shop")
    return made


def test_a_plan_tells_every_stage(run: Run, running: Cluster) -> None:
    """What each writes, what people do and what ends it; what all of them do to sessions; JSON has the same."""
    running.write(facts("n1", "n2"))
    words = ("plan", running.manifests, *_ALLOWED, "--datastore", running.file)
    text, value = run(*words), json.loads(run(*words, "-o", "json").out)

    assert (text.status, text.err) == (2, "")
    for line in (
        "In 4 stages, each when the one before has ended:",
        "  > 1. set the reflectors aside (a node that gets a cluster ID leaves the mesh in that moment",
        "       for people: kubectl drain n1 --ignore-daemonsets --delete-emptydir-data",
        "       until no pods but those of DaemonSets run on n1, n2",
        "    4. turn the mesh off",
        "       write BGPConfiguration default",
        "BGP sessions, each end counted:",
    ):
        assert line in text.out, text.out
    assert (value["course"]["stage"], value["course"]["of"], value["steps"]) == (1, 4, [])
    assert any(value["effect"]["sessions"].values())


def test_the_status_tells_people_what_to_do(run: Run, running: Cluster) -> None:
    """The stage, what ends it, the commands, who is in the way; the word for that stage is taken, and no other."""
    running.push(facts("n1", "n2"))
    status, why = (run("status", *more, "--datastore", running.file) for more in ((), ("--why",)))
    other = run("confirm", "stage", 2, "--datastore", running.file)
    word = run("confirm", "stage", 1, "--datastore", running.file)
    running.look()
    after = json.loads(run("status", "-o", "json", "--datastore", running.file).out)["reconcilers"][0]

    assert (status.status, why.status) == (1, 1)
    for ran, indent in ((status, "  "), (why, "  ")):
        for line in (
            "stage 1 of 4, mesh to reflectors: set the reflectors aside, since 2026-01-02T03:04:05.000Z",
            "  until no pods but those of DaemonSets run on n1, n2",
            "  this is for people to do:",
            "    kubectl drain n2 --ignore-daemonsets --delete-emptydir-data",
            "  when it is so and is not seen here: muslin confirm stage 1",
        ):
            assert f"{indent}{line}\n" in ran.out, ran.out
    assert "shop/web runs on n1" in status.out
    assert "because shop/web runs on n1" in why.out
    assert (other.status, "Stage 2 does not wait to be confirmed" in other.err) == (1, True)
    assert word.out == "Set default: Stage 1 may end.\n"
    assert after["stage"]["name"] == "make the reflectors"
    assert after["stage"]["people"] is False


def test_what_nobody_reports_a_person_may_say() -> None:
    """Where sessions are not available, the word to go on is named."""
    gates = [{"gate": "Sessions before the end", "standing": "NotAvailable", "why": ["n1 does not report"]}]
    stage = {"number": 3, "of": 4, "name": "make the reflectors", "procedure": "mesh to reflectors", "until": ["x"]}
    told = list(stage_lines({"stage": stage, "gates": gates}, ""))

    assert told == [
        "stage 3 of 4, mesh to reflectors: make the reflectors", "  until x",
        "  when it is so and is not seen here: muslin confirm stage 3",
    ]  # fmt: skip
    assert list(stage_lines({"stage": stage, "gates": []}, "")) == told[:2]
    assert list(stage_lines({}, "")) == []


def test_what_cannot_be_done_live_is_said_with_the_safe_way(run: Run, running: Cluster) -> None:
    """By the plan before the push, and by the status after it."""
    running.write(facts(podRange="10.60.0.0/16"))
    plan = run("plan", running.manifests, *_ALLOWED, "--datastore", running.file)
    running.push(facts(podRange="10.60.0.0/16"))
    status = run("status", "--datastore", running.file)

    assert "The reconciler would hold this commit" in plan.out
    for ran in (plan, status):
        assert "the running pool has the range 10.48.0.0/16, which can't be changed to 10.60.0.0/16" in ran.out
        assert "NotLive" in ran.out
        assert "fix:" in ran.out
