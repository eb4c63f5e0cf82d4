"""What a machine forbids is told with what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from muslin.errors import Failed
from muslin.lab import world
from muslin.lab.world import Refusal, problem_of


@pytest.mark.parametrize(
    ("refusal", "settings", "where", "fix"),
    [
        (
            Refusal.NO_USER_NAMESPACE,
            {"kernel/unprivileged_userns_clone": "0", "user/max_user_namespaces": "100"},
            "kernel.unprivileged_userns_clone = 0",
            "sysctl -w kernel.unprivileged_userns_clone=1",
        ),
        (Refusal.NO_USER_NAMESPACE, {"user/max_user_namespaces": "0"}, "max_user_namespaces = 0", "sysctl -w user.max"),
        (Refusal.NO_PROC, {"user/max_net_namespaces": "0"}, "user.max_net_namespaces = 0", "sysctl -w"),
        (
            Refusal.NO_PROC,
            {"kernel/apparmor_restrict_unprivileged_userns": "1"},
            "apparmor_restrict_unprivileged_userns = 1",
            "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        (Refusal.NO_USER_NAMESPACE, {}, "namespaces", "--privileged"),
        (Refusal.NO_PROC, {"user/max_user_namespaces": "100"}, "/proc", "systempaths=unconfined"),
        (Refusal.NO_SYSCTL, {}, "/proc/sys/net", "systempaths=unconfined"),
    ],
)
def test_each_refusal_has_its_place_and_fix(refusal: Refusal, settings: dict[str, str], where: str, fix: str) -> None:
    """The setting that forbids the lab is named, with the command that allows it."""
    problem = problem_of(refusal, settings)

    assert (where in problem.where, fix in problem.fix, refusal.value in problem.what) == (True, True, True)


def test_a_missing_program_is_named_before_anything_is_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without root, set-up can't install iproute2: the lab says that it is missing, and from which package it comes."""
    for program in ("unshare", "nsenter"):
        (tmp_path / program).touch(mode=0o755)
    monkeypatch.setattr(world, "environment", lambda: {"PATH": str(tmp_path)})

    with pytest.raises(Failed) as refused:
        world.way_in()

    (problem,) = refused.value.problems
    assert (problem.where, problem.fix) == ("PATH", "as root: apt-get install iproute2")
    assert "the program ip is missing" in problem.what
