"""`--help` of every verb is worth reading."""

from __future__ import annotations

import pytest

from tests.muslin.cli.running import Run

VERBS = (
    "init", "check", "explain", "render", "verify-install", "plan", "reconcile", "fetch", "status", "get", "node",
    "agent", "speaker", "crds", "schema", "create", "apply", "replace", "delete", "patch", "label", "validate",
    "version",
)  # fmt: skip
_BELOW = (
    "ipam show", "ipam check", "ipam release", "ipam configure", "ipam split", "node diags", "node checksystem",
    "datastore migrate lock", "datastore migrate unlock", "datastore migrate export", "datastore migrate import",
    "cluster diags",
)  # fmt: skip


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_example_and_exit_status(run: Run, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    """Help is on standard output, fits a terminal, and has an example of its own verb and the exit statuses."""
    monkeypatch.setenv("COLUMNS", "80")
    ran = run(verb, "--help")
    text = ran.out + (run(verb, "status", "--help").out if verb == "node" else "")

    assert (ran.status, ran.err) == (0, "")
    assert f"\n  muslin {verb} " in text
    assert "xit status" in text
    assert max(map(len, text.splitlines())) <= 84
    assert "\\b" not in text


@pytest.mark.parametrize("verb", _BELOW)
def test_so_has_every_verb_of_a_group(run: Run, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    """Under both names: an example of its own, the exit status, lines that fit a terminal."""
    monkeypatch.setenv("COLUMNS", "80")
    for before in ((), ("ctl",)):
        ran = run(*before, *verb.split(), "--help")

        assert (ran.status, ran.err) == (0, "")
        assert f"muslin {verb}" in ran.out.partition("\n\n")[2]
        assert "xit status" in ran.out
        assert max(map(len, ran.out.splitlines())) <= 84
