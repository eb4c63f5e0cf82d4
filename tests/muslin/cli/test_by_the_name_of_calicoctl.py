"""Called calicoctl we do as it does: exit status, words of usage errors, flags before the verb, the version gate."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from muslin.cli.version_gate import CALICO_VERSION
from muslin.datastore.embedded import EmbeddedDatastore
from muslin.datastore.initialize import ensure_initialized
from tests.muslin.cli.calico import POOL, TIER, Calico
from tests.muslin.cli.running import buffered


def _named(name: str, folder: Path, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Our program as a process, by another name."""
    link = folder / name
    if not link.exists():
        (folder / "muslin").write_text(
            f"#!{sys.executable}\nimport sys\nfrom muslin.cli.main import main\nsys.exit(main())\n"
        )
        (folder / "muslin").chmod(0o755)
        link.symlink_to("muslin")
    root = str(Path(__file__).parents[3])
    return subprocess.run(
        [str(link), *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False, input="",
        env={**buffered(), "PYTHONPATH": root, "COLUMNS": "80", **environment},
    )  # fmt: skip


@pytest.mark.slow
def test_a_symlink_named_calicoctl(calico: Calico) -> None:
    """Exit status 1 and the reference's line; `muslin` says 2 and `error:` for the same."""
    wrong = calico.write(TIER.replace("order", "ordre"))
    ctl = _named("calicoctl", calico.folder, "apply", "-f", wrong)
    muslin = _named("muslin", calico.folder, "apply", "-f", wrong)

    assert (ctl.returncode, ctl.stderr.splitlines()[0]) == (
        1, "field in document is not recognized or is in the wrong location: ordre",
    )  # fmt: skip
    assert (muslin.returncode, muslin.stderr.splitlines()[0]) == (2, "error: unknown field 'ordre'")


def test_a_plugin_of_kubectl(calico: Calico) -> None:
    """`kubectl muslin` finds a program named kubectl-muslin; it is `muslin`, and says so in its help."""
    ran = _named("kubectl-muslin", calico.folder, "get", "--help")

    assert (ran.returncode, ran.stdout.startswith("Usage: kubectl muslin get ")) == (0, True)


def test_standard_input_of_a_real_process(calico: Calico) -> None:
    """Nothing on standard input is an empty file of that name."""
    ran = _named("calicoctl", calico.folder, "create", "-f", "-")

    assert (ran.returncode, ran.stderr.splitlines()[0]) == (1, "No resources specified in file -")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["gett"], 'unknown command "gett" for "muslin ctl"'),
        (["get", "--fast"], "unknown flag: --fast"),
        (["get", "-z"], "unknown shorthand flag: 'z' in -z"),
        (["apply", "-f"], "flag needs an argument: 'f' in -f"),
        (["apply", "--filename"], "flag needs an argument: --filename"),
        (["patch", "pool"], "accepts 2 arg(s), received 1"),
        (["datastore", "migrate", "import"], 'required flag(s) "filename" not set'),
        (["ipam", "shw"], 'unknown command "shw" for "muslin ctl ipam"'),
        (["get", "nopes"], "resource type 'nopes' is not supported"),
        (["get", "pool", "-o", "xml"], "unrecognized output format 'xml'"),
        (["get", "pool", "-o", "custom-columns="], "need to specify at least one column"),
        (
            ["get", "pool", "-l", "loud"],
            "unknown log level: loud, expected one of: panic, fatal, error, ",
        ),
        (["get", "pool", "-A"], "IPPool is not namespaced"),
        (["get", "np", "a", "-A"], "cannot use --all-namespace flag for getting a single resource"),
        (["get", "np", "-A", "-n", "x"], "cannot use both --namespace and --all-namespaces flags at the same time"),
        (["get", "pool", ""], "resource name may not be empty"),
        (["get", "pool", "-c", "/nope"], "Error reading config file: /nope"),
        (["version", "--poll", "often"], "Invalid poll duration specified: often"),
        (["cluster", "diags", "--since", "5d"], "invalid time unit in --since: 5d"),
        (["datastore", "migrate", "import", "-f", "/nope"], "Error while reading migration file: open /nope: "),
    ],
)
def test_wrong_usage(calico: Calico, arguments: list[str], line: str) -> None:
    """Exit status 1; the first line is the reference's, place and fix follow."""
    ran = calico.ctl(*arguments)

    assert ran.status == 1
    assert ran.err.startswith(line), ran.err
    assert "\n  where: " in ran.err
    assert "\n  fix:   " in ran.err


def test_bare_calls_show_help(calico: Calico) -> None:
    """As the reference's library does, with exit status 0."""
    for arguments in ((), ("ipam",), ("datastore", "migrate"), ("get", "--help")):
        ran = calico.ctl(*arguments)
        assert (ran.status, "Usage:" in ran.out, ran.err) == (0, True, "")


def test_global_flags_stand_before_or_after_the_verb(calico: Calico, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both places mean the same, for calicoctl and for us."""
    file = os.environ["MUSLIN_DATASTORE"]
    calico.apply(TIER)
    monkeypatch.delenv("MUSLIN_DATASTORE")
    config = calico.write(
        "apiVersion: projectcalico.org/v3\nkind: CalicoAPIConfig\n"
        f"spec: {{datastoreType: embedded, embeddedPath: {file}}}\n", "c.cfg",
    )  # fmt: skip
    for arguments in (
        ("--config", config, "get", "tier", "sec"),
        ("get", "-c", config, "tier", "sec"),
        ("--datastore", file, "get", "tier", "sec"),
        ("-l", "debug", "--context", "x", "get", "tier", "sec", "--datastore", file, "--allow-version-mismatch"),
    ):
        assert calico(*arguments).out.splitlines() == ["NAME   ORDER", "sec    10"]
        assert calico.ctl(*arguments).status == 0


def _say_version(version: str) -> None:
    async def say() -> None:
        store = EmbeddedDatastore.open(os.environ["MUSLIN_DATASTORE"])
        try:
            await ensure_initialized(store, version=version, cluster_type=["k8s", "bgp"])
        finally:
            await store.close()

    asyncio.run(say())


def test_the_version_gate(calico: Calico) -> None:
    """Another release of the cluster stops calicoctl, is overridden by its flag, and only warns as `muslin`."""
    _say_version("v3.20.1")
    stopped, patched = calico.ctl("get", "tiers"), calico.ctl("patch", "tier", "default", "-p", "{}")
    allowed = calico.ctl("get", "tiers", "--allow-version-mismatch")
    warned = calico("get", "tiers")

    assert (stopped.status, stopped.err.splitlines()[:4]) == (1, [
        "version mismatch.", f"Client Version:   {CALICO_VERSION}", "Cluster Version:  3.20.1",
        "Use --allow-version-mismatch to override.",
    ])  # fmt: skip
    assert patched.err == stopped.err
    assert (allowed.status, allowed.err) == (0, "")
    assert (warned.status, warned.err.startswith("warning: the cluster says that it runs Calico 3.20.1")) == (0, True)


@pytest.mark.parametrize("version", [CALICO_VERSION, CALICO_VERSION[1:], f"{CALICO_VERSION}-12-gabcdef", ""])
def test_the_gate_lets_the_same_release_pass(calico: Calico, version: str) -> None:
    """With or without `v`, whatever stands behind a dash, and a cluster that does not say."""
    _say_version(version)

    assert calico.ctl("get", "tiers").status == 0


def test_validate_and_version_pass_no_gate(calico: Calico) -> None:
    """They work against every cluster; `version` shows both."""
    _say_version("v3.20.1")
    ran = calico.ctl("version")

    assert calico.ctl("validate", "-f", calico.write(POOL)).status == 0
    assert ran.out.splitlines()[0] == f"Client Version:    {CALICO_VERSION}"
    assert ran.out.splitlines()[2:] == ["Cluster Version:   v3.20.1", "Cluster Type:      k8s,bgp"]


def test_version_without_a_cluster(calico: Calico, monkeypatch: pytest.MonkeyPatch) -> None:
    """--client asks nobody; otherwise it is an error after our own version."""
    monkeypatch.setenv("MUSLIN_DATASTORE", "/nowhere")
    ran = calico.ctl("version")

    assert calico.ctl("version", "--client").status == 0
    assert (ran.status, ran.err.startswith("Unable to retrieve Cluster Version or Type: ")) == (1, True)
