"""What of a cluster's answers speaks against an installation of upstream Calico. A real server: tests/stacks."""

from __future__ import annotations

import dataclasses

import pytest

from muslin.kubernetes import errors as api
from muslin.pulumi.arguments import ReferenceNetworkArgs
from muslin.pulumi.looking_upstream_rules import Installing, Running, Upstream, findings
from muslin.pulumi.naming import WRITER
from muslin.resources.keys import Key

_TOLD, _AGENTS = Key("Installation", "default"), Key("DaemonSet", "calico-node", "kube-system")
_SECRET = Key("Secret", "calico-etcd-secrets", "kube-system")
_GONE = api.NotFound(404, "NotFound", "not found", "x")
_ARGS = ReferenceNetworkArgs({})
_BY_OPERATOR = Installing({_TOLD: {}}, frozenset(), by_operator=True, release=(3, 32))
_BY_MANIFESTS = Installing({_AGENTS: {}}, frozenset({_AGENTS}), by_operator=False, release=(3, 32), secret=_SECRET)


def _whats(
    seen: Upstream, installing: Installing = _BY_OPERATOR, args: ReferenceNetworkArgs = _ARGS
) -> tuple[list[str], list[str]]:
    wrong, missing = findings(seen, installing, args)
    return [each.what.partition(" (")[0] for each in wrong], [each.what for each in missing]


def test_a_cluster_that_takes_it() -> None:
    """Nothing is told where all is served, allowed and taken, of the release that is meant or a later one."""
    seen = Upstream("server", (), frozenset({_TOLD}), {_TOLD: None}, {_TOLD: {}}, operated=True)

    assert _whats(seen) == ([], [])
    for release in ((3, 32), (3, 40), (4, 0)):
        assert _whats(dataclasses.replace(seen, running=Running("Installation/default", "v", release))) == ([], [])


def test_what_may_still_come() -> None:
    """Definitions, upstream's manifest, a namespace and a newer release are missing, not wrong: see `depends_on`."""
    older = Running("DaemonSet/kube-system/calico-node", "v3.9.5", (3, 9))
    seen = Upstream("server", (), frozenset({_AGENTS}), {_AGENTS: _GONE, _SECRET: _GONE}, running=older)

    assert _whats(Upstream("server")) == ([], ["the cluster does not serve Installation"])
    assert _whats(seen, _BY_MANIFESTS) == (
        [],
        [
            "this is an older Calico: v3.9.5 runs, and the decisions are for 3.32",
            "upstream's DaemonSet calico-node is not there, of which only some fields are ours",
            "the namespace kube-system is not there",
        ],
    )


def test_the_operator_takes_back_what_is_patched() -> None:
    """Where it installs, its objects are not patched; telling it is fine."""
    seen = Upstream("server", (), frozenset({_AGENTS, _TOLD}), operated=True)

    assert _whats(seen, _BY_MANIFESTS)[0] == [
        "the operator installs Calico here: it would take back what is patched into a manifest's objects"
    ]
    assert _whats(seen)[0] == []


@pytest.mark.parametrize(
    ("manager", "force", "told"),
    [
        ("helm", (), ["somebody else set this field to another value"]),
        ("helm", ("Installation/default",), []),
        ("operator", (), []),
        ("tigera-operator/installation", (), []),
        ("operators-of-ours", (), ["somebody else set this field to another value"]),
    ],
)
def test_fields_of_others(manager: str, force: tuple[str, ...], told: list[str]) -> None:
    """What the operator wrote by itself is taken over; what anybody else set is told, unless it is forced."""
    cause = api.Cause("FieldManagerConflict", f'conflict with "{manager}" using operator.tigera.io/v1', ".spec.a")
    conflict = api.Conflict(409, "Conflict", "conflict", "installations/default", (cause,))
    seen = Upstream("server", (), frozenset({_TOLD}), {_TOLD: conflict})

    assert _whats(seen, args=ReferenceNetworkArgs({}, force=force))[0] == told


def test_all_that_is_wrong_at_once() -> None:
    """Rights, another stack and the server's own words come together."""
    invalid = api.Invalid(422, "Invalid", "invalid", "installations/default", (api.Cause("x", "spec.a is no b", "a"),))
    seen = Upstream(
        "server", (("Installation", "patch"),), frozenset({_TOLD}), {_TOLD: invalid}, {_TOLD: {WRITER: "other/dev"}}
    )

    assert _whats(seen)[0] == [
        "this user may not patch Installation objects",
        "the stack other/dev writes Installation/default already: one writer at a time",
        "spec.a is no b",
    ]
