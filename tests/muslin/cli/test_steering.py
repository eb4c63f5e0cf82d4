"""What operators tell a reconciler, typed as they would; and its history."""

from __future__ import annotations

import json

import pytest

from tests.muslin.cli.running import FILES, Cluster, Run

_MORE = {**FILES, "c.yaml": FILES["a.yaml"].replace("name: a", "name: c")}


def test_suspended_until_resumed(run: Run, cluster: Cluster) -> None:
    """Nothing is written in between, the status says by whom and why, and resuming applies what waits."""
    cluster.push()
    suspended = run("suspend", "--reason", "rack 7 moves", "--datastore", cluster.file)
    again = run("suspend", "--reason", "other", "--datastore", cluster.file)
    cluster.push(_MORE)
    status = run("status", "--datastore", cluster.file)
    gone = run("get", "np", "c", "-n", "shop", "--datastore", cluster.file)
    resumed = run("resume", "--datastore", cluster.file)
    twice = run("resume", "--datastore", cluster.file)
    cluster.push(_MORE)
    there = run("get", "np", "c", "-n", "shop", "--datastore", cluster.file)

    assert suspended.out == "Set default is suspended; undo it with `muslin resume`.\n"
    assert again.out == "Set default was suspended before; that reason stands.\n"
    assert (status.status, gone.status, there.status) == (1, 1, 0)
    assert "SUSPENDED by " in status.out
    assert ": rack 7 moves" in status.out
    assert (resumed.out, twice.out) == ("Set default goes on.\n", "Set default was not suspended.\n")


def test_a_command_to_a_set_of_which_nobody_has_heard_is_told(run: Run, cluster: Cluster) -> None:
    """Who mistypes the name in an emergency learns at once that no reconciler listens, and which ones there are."""
    cluster.push()
    right = run("suspend", "--reason", "fire", "--datastore", cluster.file)
    wrong = run("suspend", "--set", "defualt", "--reason", "fire", "--datastore", cluster.file)

    assert (right.status, right.err) == (0, "")
    assert wrong.status == 0
    assert "no reconciler of set defualt has reported to this datastore; there are default" in wrong.err


def test_a_tier_goes_when_confirmed(run: Run, cluster: Cluster) -> None:
    """It stays and is named with the command to type; after that command the next look removes it."""
    tier = "apiVersion: projectcalico.org/v3\nkind: Tier\nmetadata: {name: ops}\nspec: {order: 50}\n"
    cluster.push({**FILES, "t.yaml": tier})
    cluster.push(FILES)
    status = run("status", "--datastore", cluster.file)
    stays = run("get", "tier", "ops", "--datastore", cluster.file)
    said = run("confirm", "tier", "ops", "--datastore", cluster.file)
    again = run("confirm", "Tier", "ops", "--datastore", cluster.file)
    cluster.look()
    gone = run("get", "tier", "ops", "--datastore", cluster.file)

    assert "muslin confirm Tier ops" in status.out
    assert (stays.status, gone.status) == (0, 1)
    assert (said.out, again.out) == (
        "Set default: Tier ops may go.\n", "Set default: Tier ops was confirmed before.\n"
    )  # fmt: skip


def test_rollback_and_release(run: Run, cluster: Cluster) -> None:
    """The commit before is applied and the branch's is held, until it is released."""
    cluster.push()
    bad = cluster.push(_MORE)
    back = run("rollback", "--reason", "the shop is down", "--datastore", cluster.file)
    cluster.look()
    gone = run("get", "np", "c", "-n", "shop", "--datastore", cluster.file)
    status = run("status", "--datastore", cluster.file)
    released = run("release", "--datastore", cluster.file)
    cluster.look()
    there = run("get", "np", "c", "-n", "shop", "--datastore", cluster.file)

    assert back.out == "Set default goes back to the commit before; see `muslin status`.\n"
    assert (gone.status, there.status) == (1, 0)
    assert f"HELD {bad[:12]} is not in force" in status.out
    assert "the shop is down" in status.out
    assert released.out == "Set default: the held commit is tried again.\n"


def test_there_is_nothing_to_take_back(run: Run, cluster: Cluster) -> None:
    """Another set has no commit in force; the first commit of one has none before it."""
    nothing = run("rollback", "--reason", "x", "--set", "other", "--datastore", cluster.file)
    first = run("rollback", "--reason", "x", "--datastore", cluster.file)

    assert (nothing.status, nothing.err) == (
        1, "Set other has no commit in force: there is nothing to take back.\n"
    )  # fmt: skip
    assert (first.status, first.err) == (1, "Set default knows no earlier commit: name one with --to.\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("approve", "sha256:12"), "copy it whole from `muslin plan`"),
        (("approve", "yes"), "copy it whole from `muslin plan`"),
        (("rollback", "--reason", "x", "--to", "HEAD~1"), "give all 40 hexadecimal digits"),
        (("rollback", "--reason", " "), "write a sentence"),
        (("suspend", "--reason", "x" * 501), "write a sentence"),
        (("suspend",), "--reason"),
    ],
)
def test_wrong_input(run: Run, cluster: Cluster, arguments: tuple[str, ...], words: str) -> None:
    """Exit status 2, what to write instead, and nothing is told to the reconciler."""
    ran = run(*arguments, "--datastore", cluster.file)

    assert ran.status == 2
    assert words in ran.err
    assert run("get", "reconcilercontrol", "--datastore", cluster.file).out.splitlines()[1:] == []


def test_approve_is_remembered(run: Run, cluster: Cluster) -> None:
    """Who approved what stands in the datastore; twice is once."""
    digest = f"sha256:{'a' * 64}"
    once = run("approve", digest, "--datastore", cluster.file)
    twice = run("approve", digest, "--datastore", cluster.file)
    shown = run("get", "reconcilercontrol", "default", "-o", "json", "--datastore", cluster.file)

    assert (once.out, twice.out) == ("Set default: approved.\n", "Set default: it was approved before.\n")
    approved = json.loads(shown.out)["spec"]["approved"]
    assert approved["digest"] == digest
    assert "@" in approved["by"]


def test_history_of_a_set_that_has_none(run: Run, cluster: Cluster) -> None:
    """It is no failure to have done nothing yet."""
    ran = run("history", "--set", "other", "--datastore", cluster.file)

    assert (ran.status, ran.out) == (0, "Nothing is remembered of set other.\n")


def test_history_as_table_and_for_programs(run: Run, cluster: Cluster) -> None:
    """The latest last, with author and commit; control characters of a commit's author do no harm."""
    records = [
        {"at": "2026-01-02T03:04:05.000Z", "reconcile": "r-1", "event": "Applied", "message": "3 create",
         "commit": "c" * 40, "who": "Ada\x1b[31m <ada@example.com>"},
        {"at": "2026-01-02T03:05:05.000Z", "reconcile": "r-2", "event": "DriftRepaired", "message": "put back",
         "object": "IPPool pods"},
    ]  # fmt: skip
    value = {"apiVersion": "reconciler.muslin/v1alpha1", "kind": "ReconcilerHistory", "metadata": {"name": "default"}}
    cluster.put({**value, "spec": {"records": records}})
    table = run("history", "--datastore", cluster.file)
    one = run("history", "--object", "IPPool pods", "-o", "json", "--datastore", cluster.file)
    latest = run("history", "--limit", "1", "--datastore", cluster.file)

    lines = table.out.splitlines()
    assert lines[0].split() == ["AT", "EVENT", "COMMIT", "WHO", "WHAT"]
    assert "cccccccccccc   Ada\\x1b[31m <ada@example.com>   3 create" in lines[1]
    assert json.loads(one.out) == {"version": 1, "set": "default", "records": [records[1]]}
    assert [line.split()[1] for line in latest.out.splitlines()[1:]] == ["DriftRepaired"]
