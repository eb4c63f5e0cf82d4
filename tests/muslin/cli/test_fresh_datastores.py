"""An embedded datastore that is not there yet: what makes it, and what says how."""

from __future__ import annotations

from pathlib import Path

import pytest

from muslin.datastore import configuration
from tests.muslin.cli.calico import POOL, Calico
from tests.muslin.cli.running import Run


@pytest.fixture
def calico(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Calico:
    """Verbs for which no datastore is set."""
    monkeypatch.delenv("MUSLIN_DATASTORE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    return Calico(run, tmp_path, {}, monkeypatch)


@pytest.mark.parametrize("verb", ["apply", "create"])
@pytest.mark.parametrize("empty", [False, True])
def test_who_creates_objects_gets_a_datastore(calico: Calico, verb: str, *, empty: bool) -> None:
    """`apply` and `create` make the file that was named (an empty one is filled), and say so once."""
    file = calico.folder / "new.db"
    if empty:
        file.touch(0o600)
    ran = calico(verb, "-f", calico.write(POOL), "--datastore", file)
    again = calico("apply", "-f", calico.write(POOL), "--datastore", file)

    assert (ran.status, ran.err) == (0, f"note: {file} was not there: a new datastore was made\n")
    assert file.stat().st_mode & 0o777 == 0o600
    assert (again.status, again.err) == (0, "")
    assert calico("get", "pool", "pods", "--datastore", file).out.splitlines()[-1].split() == [
        "pods", "10.48.0.0/16", "all()"
    ]  # fmt: skip


@pytest.mark.parametrize("verb", [["get", "pools"], ["replace", "-f", "-"], ["delete", "pool", "x"], ["ipam", "show"]])
def test_who_needs_what_is_there_is_told_how_to_make_one(
    calico: Calico, verb: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is made: an empty datastore must not be mistaken for the cluster's."""
    file = calico.folder / "a file.db"
    if "-f" in verb:
        verb = [*verb[:-1], str(calico.write(POOL))]
    ran = calico(*verb, "--datastore", file)
    monkeypatch.setenv("MUSLIN_DATASTORE", str(file))
    by_variable = calico(*verb)

    assert (ran.status, by_variable.status) == (2, 2)
    assert f"error: the datastore {file} is not there" in ran.err
    assert f"`muslin apply --datastore '{file}' -f FILE` makes one" in ran.err
    assert "where: MUSLIN_DATASTORE" in by_variable.err
    assert "`muslin apply -f FILE` makes one" in by_variable.err
    assert not file.exists()


@pytest.mark.parametrize("verb", ["apply", "create"])
def test_a_datastore_that_nobody_named_is_not_made(calico: Calico, verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who forgot to say which datastore is told so, instead of getting a new one in the usual place."""
    usual = calico.folder / "usual.db"
    assert configuration.settings_of.__kwdefaults__ is not None
    monkeypatch.setitem(configuration.settings_of.__kwdefaults__, "default_datastore", str(usual))
    ran = calico(verb, "-f", calico.write(POOL))

    assert ran.status == 2
    assert f"no datastore is named, and {usual} is not there" in ran.err
    assert "fix:   name one: --datastore FILE" in ran.err
    assert not usual.exists()
