"""`muslin status --why`: from what waits to the cause, each cause told once."""

from __future__ import annotations

from typing import Any

import pytest

from muslin.cli.why import causes
from tests.muslin.cli.running import FILES, Cluster, Run

_SEEN = {"seen": "c" * 40, "accepted": "c" * 40, "applied": "c" * 40}


@pytest.mark.parametrize(
    ("status", "lines"),
    [
        (_SEEN, []),
        ({}, ["nothing has been fetched: start `muslin fetch` with the same --mirror"]),
        (
            {"fetch": {"standing": "Unreachable", "message": "refused"}},
            [
                "the repository is not fetched: Unreachable",
                "  because refused",
                "  what is in force stays in force and is repaired",
            ],
        ),
        (
            {"fetch": {"standing": "NotVerified", "message": "NotSigned: commit c is not signed"}},
            [
                "its newest commit is not followed: NotVerified",
                "  because NotSigned: commit c is not signed",
                "  what is in force stays in force and is repaired",
            ],
        ),
        (
            _SEEN
            | {
                "failed": [{"object": "Tier security", "what": "refused", "where": "the store", "fix": "ask"}],
                "waiting": [
                    {"object": "NetworkPolicy shop/a", "for": "Tier security"},
                    {"object": "NetworkPolicy shop/b", "for": "Tier security"},
                    {"object": "HostEndpoint h", "for": "NetworkPolicy shop/a"},
                ],
            },
            [
                "Tier security could not be written",
                "  because refused (the store)",
                "    fix: ask",
                "  NetworkPolicy shop/a waits for it",
                "    HostEndpoint h waits for it",
                "  NetworkPolicy shop/b waits for it",
            ],
        ),
        (
            _SEEN | {"waiting": [{"object": "B b", "for": "A a"}, {"object": "A a", "for": "B b"}]},
            [],
        ),
        (
            _SEEN | {"waiting": [{"object": "B b", "for": "A a"}]},
            ["A a is not there yet", "  B b waits for it"],
        ),
        (
            _SEEN
            | {
                "gates": [{"gate": "SESSIONS", "standing": "NotAvailable", "why": ["node1 does not report"]}],
                "gated": ["BGPConfiguration default"],
            },
            [
                "gate SESSIONS: NotAvailable",
                "  because node1 does not report",
                "  fix: start the agents that must report; or look yourself, and start once with --no-gates",
                "  BGPConfiguration default waits behind it",
            ],
        ),
        (
            _SEEN
            | {
                "gates": [{"gate": "SESSIONS", "standing": "Closed", "why": ["node1: 1 of 2 Established"]}],
                "gated": ["BGPConfiguration default"],
            },
            [
                "gate SESSIONS: Closed",
                "  because node1: 1 of 2 Established",
                "  BGPConfiguration default waits behind it",
            ],
        ),
        (
            _SEEN | {"suspended": {"by": "ada@host", "at": "2026-01-02T03:04:05Z", "reason": "rack 7 moves"}},
            [
                "nothing is written: suspended by ada@host at 2026-01-02T03:04:05Z",
                "  because rack 7 moves",
                "  fix: `muslin resume`",
            ],
        ),
        (
            _SEEN | {"held": 7, "problems": "x", "failed": [3], "gates": [{"why": 5}], "gated": {"a": 1}},
            ["gate : "],
        ),
    ],
)
def test_causes(status: dict[str, Any], lines: list[str]) -> None:
    """Chains end at what failed, what is closed, or who stopped it; a circle or nonsense ends as well."""
    assert list(causes(status)) == lines


def test_a_held_commit_is_followed_to_the_line_at_fault(run: Run, cluster: Cluster) -> None:
    """The verb prints the chain, exit status 1; and one line where all is well."""
    cluster.push()
    well = run("status", "--why", "--datastore", cluster.file)
    cluster.push({**FILES, "wrong.yaml": FILES["a.yaml"].replace("name: a", "name: x").replace("order", "odrer")})
    ill = run("status", "--why", "--datastore", cluster.file)

    assert well.out.splitlines()[0].startswith("Set default: as the branch says, at ")
    assert well.status == 0
    lines = ill.out.splitlines()
    assert lines[0] == "Set default: not as the branch says"
    assert lines[3:5] == [
        "    because unknown field 'odrer' (wrong.yaml:7:3  spec.odrer)",
        "      fix: did you mean order?",
    ]
    assert ill.status == 1


def test_control_characters_of_others_do_not_reach_the_terminal(cluster: Cluster, run: Run) -> None:
    """What stands in a status is escaped."""
    value = {
        "apiVersion": "reconciler.muslin/v1alpha1",
        "kind": "ReconcilerStatus",
        "metadata": {"name": "odd"},
        "status": _SEEN | {"failed": [{"object": "X\x1b[31m", "what": "\x07"}]},
    }
    cluster.put(value)
    ran = run("status", "--why", "--set", "odd", "--datastore", cluster.file)

    assert "\x1b" not in ran.out
    assert "X\\x1b[31m could not be written" in ran.out
