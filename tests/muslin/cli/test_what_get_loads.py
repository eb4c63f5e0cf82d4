"""`muslin get` of one object is quick because it loads little: which modules, is held here."""

from __future__ import annotations

import subprocess
import sys

import pytest

from muslin.cli.kinds import SHOWN_KINDS, kind_named
from muslin.resources.registry import KINDS
from tests.muslin.cli.calico import POOL, Calico

_HEAVY = (
    "pydantic",
    "pydantic_core",
    "rich",
    "ruamel",
    "aiohttp",
    "grpc",
    "google",
    "git",
    "sqlite3",
    "yaml",
    "importlib.metadata",
)


def _loaded(*arguments: str) -> tuple[set[str], str]:
    """Which of the heavy modules a run loads, and what it printed."""
    code = (
        "import sys\nfrom muslin.cli.main import main\n"
        f"try: main({list(arguments)!r})\nexcept SystemExit: pass\n"
        f"print([name for name in {_HEAVY!r} if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    *printed, last = ran.stdout.splitlines()
    return {name.strip("' ") for name in last.strip("[]").split(",")} - {""}, "\n".join(printed)


@pytest.mark.slow
def test_one_object_from_the_embedded_datastore(calico: Calico) -> None:
    """Neither models nor clients, nor anything for tables with colours; YAML only where YAML is printed."""
    calico.apply(POOL)
    as_table, table = _loaded("get", "pool", "pods")
    as_json, _ = _loaded("get", "pool", "pods", "-o", "json")
    as_yaml, text = _loaded("get", "pool", "pods", "-o", "yaml")

    assert (table.splitlines()[1].split()[0], "cidr: 10.48.0.0/16" in text) == ("pods", True)
    assert (as_table, as_json) == ({"sqlite3"}, {"sqlite3"})
    assert as_yaml == {"sqlite3", "yaml"}


@pytest.mark.parametrize(
    ("driver", "allowed"),
    [("muslin.datastore.etcd", {"grpc", "google"}), ("muslin.datastore.kubernetes", {"aiohttp", "pydantic_core"})],
)
def test_one_object_from_elsewhere(driver: str, allowed: set[str]) -> None:
    """With the verb and a driver only that driver's client is loaded, and no models."""
    code = f"import sys, muslin.cli.get, {driver}\nprint([name for name in {_HEAVY!r} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    loaded = {name.strip("' ") for name in ran.stdout.strip().strip("[]").split(",")} - {""}

    assert loaded - allowed - {"yaml", "importlib.metadata"} == set()


def test_the_table_of_kinds_is_that_of_the_registry() -> None:
    """It stands apart so that no model is loaded for it; a kind that is missing in it would be no kind for people."""
    ours = {name for name, shown in SHOWN_KINDS.items() if shown.api_version == "projectcalico.org/v3"}

    assert ours == set(KINDS)
    assert {name: SHOWN_KINDS[name].namespaced for name in ours} == {name: KINDS[name].namespaced for name in ours}
    wrong = {
        alias: name
        for name, info in KINDS.items()
        for alias in (name, info.plural, *info.aliases)
        if kind_named(alias).name != name
    }
    assert wrong == {}
