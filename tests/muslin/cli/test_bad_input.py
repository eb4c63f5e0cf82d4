"""Wrong input at every door of the command line: what, where and fix, the right exit status, and no traceback."""

from __future__ import annotations

import os
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.muslin.cli.running import Cluster, Ran, Run
from tests.muslin.cli.test_cluster_files import EXAMPLE


def _told(ran: Ran, status: int, what: str) -> None:
    """Every problem has its three parts, the first says `what`, and nothing looks like a traceback."""
    lines = ran.err.splitlines()
    count = sum(line.startswith("error: ") for line in lines)

    assert (ran.status, re.search(what, lines[0]) is not None) == (status, True), ran.err
    assert (
        count
        == sum(line.startswith("  where: ") for line in lines)
        == sum(line.startswith("  fix:   ") for line in lines)
    )
    assert "Traceback" not in ran.err


_FACTS: dict[str, tuple[bytes | None, str]] = {
    "missing": (None, "can't be read: No such file"),
    "empty": (b"", "the file is empty"),
    "only a comment": (b"# nothing\n", "the file is empty|this is|must be|not an object"),
    "binary": (bytes(range(256)), "."),
    "huge": (b"a: " + b"x" * (5 << 20), "."),
    "no yaml": (b"nodes: [", "."),
    "a list": (b"- 1\n", "."),
    "a scalar": (b"42\n", "."),
    "deep": (b"[" * 5000, "."),
    "wrong kind": (b"apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: a}\n", "."),
    "two documents": (b"a: 1\n---\nb: 2\n", "there are 2 documents where one is meant"),
    "unknown blueprint": (
        EXAMPLE.read_bytes().replace(b"single_subnet", b"big_one"),
        "there is no blueprint 'big_one'",
    ),
}


@pytest.mark.parametrize("verb", ["explain", "render"])
@pytest.mark.parametrize("case", _FACTS)
def test_wrong_cluster_files(run: Run, tmp_path: Path, verb: str, case: str) -> None:
    """Whatever the file is, exit status 2 and the file's name."""
    content, what = _FACTS[case]
    file = tmp_path / "facts.yaml"
    if content is not None:
        file.write_bytes(content)
    ran = run(verb, file)

    _told(ran, 2, what)
    assert ran.out == ""
    assert str(file) in ran.err


def test_a_folder_instead_of_a_cluster_file(run: Run, tmp_path: Path) -> None:
    """A folder is told as such, a path that can't exist too."""
    _told(run("explain", tmp_path), 2, "can't be read: Is a directory")
    _told(run("explain", tmp_path / ("x" * 300)), 2, "can't be read: File name too long")
    _told(run("explain", "a\0b"), 2, "can't be read: embedded null byte")


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["explain", EXAMPLE, "--why", "colour"], "there is no decision 'colour'"),
        (["explain", EXAMPLE, "--blueprint", "x"], "there is no blueprint 'x'"),
        (["explain", EXAMPLE, "-o", "xml"], "invalid value for '-o' / '--output'"),
        (["explain"], "missing argument 'CLUSTER.YAML'"),
        (["render", EXAMPLE, "--group", "x"], "there is no group 'x'"),
        (["get", "ippool", "-o", "xml"], "unrecognized output format 'xml'"),
        (["get", "ippool", "-o", "go-template="], "need to specify a template"),
        (["get"], "no kind is given"),
        (["get", "ippool", "-n", "x"], "IPPool is not namespaced"),
        (["get", "ippool", "-A"], "IPPool is not namespaced"),
        (["get", "np", "-A", "-n", "x"], "cannot use both --namespace and --all-namespaces"),
        (["get", "np", "-A", "a"], "cannot use --all-namespace flag for getting a single resource"),
        (["get", "np", "-n", ""], "the namespace is empty"),
        (["get", "nopes"], "'nopes' is not a kind of resource"),
        (["status", "--drift", "-1"], "invalid value for '--drift'"),
        (["agent", "--datastore", "x"], "missing option '--node'"),
        (["agent", "--node", "N_1", "--datastore", "x"], "'N_1' can't be the name of a node"),
        (["agent", "--node", "n", "--datastore", "x", "--address", "here"], "'here' is not an address"),
        (["agent", "--node", "n", "--datastore", "x", "--address", "192.0.2.1"], "'192.0.2.1' has no length"),
        (["agent", "--node", "n", "--datastore", "x", "--label", "rack"], "'rack' is not a label"),
        (["agent", "--node", "n", "--datastore", "x", "--label", "a b=c"], "a b=c is not a label"),
        (["agent", "--node", "n", "--datastore", "x", "--label", "a=1", "--label", "a=2"], "given twice"),
        (["agent", "--node", "n", "--datastore", "x"], "the datastore x is not there"),
        (["agent", "--node", "n", "--config", "/nope"], "Error reading config file: /nope"),
        (["status", "--config", "/nope"], "Error reading config file: /nope"),
        (["get", "pool", "--log-level", "loud"], "unknown log level: loud"),
        (["patch", "pool", "pods", "-t", "magic", "-p", "{}"], "there is no type of patch 'magic'"),
        (["ipam", "shw"], "no such command 'shw'"),
        (["nodes"], "there is no verb 'nodes'"),
        (["--fast"], "no such option"),
    ],
)
def test_wrong_usage(run: Run, arguments: list[str], what: str) -> None:
    """Flags and arguments that are wrong: exit status 2, before anything is opened."""
    _told(run(*arguments), 2, what)


def test_usage_errors_of_plan_are_one(run: Run, tmp_path: Path, cluster: Cluster) -> None:
    """2 would say that there are changes."""
    _told(run("plan"), 1, "missing argument 'FOLDER'")
    _told(run("plan", tmp_path / "nope", "--datastore", cluster.file), 1, "there is no folder")
    _told(run("plan", cluster.manifests / "a.yaml", "--datastore", cluster.file), 1, "there is no folder")
    _told(run("plan", cluster.manifests, "--datastore", tmp_path / "nope"), 1, "is not there")
    _told(run("plan", cluster.manifests, "--datastore", cluster.file, "--set", "A B"), 1, "is not a name for a set")
    _told(run("plan", cluster.manifests, "--datastore", cluster.file, "--max-deletes", "2"), 1, "invalid value")


def _no_datastore(kind: str, path: Path) -> None:
    if kind == "is not a file":
        path.mkdir()
    elif kind == "is empty":
        path.touch(0o600)
    elif kind == "does not begin as an SQLite":
        path.write_bytes(b"no database at all " * 100)
    elif kind == "belongs to another program":
        with closing(sqlite3.connect(path)) as database:
            database.execute("CREATE TABLE t (a)")
    elif kind == "may be written by other users":
        path.write_bytes(b"x")
        path.chmod(0o666)


@pytest.mark.parametrize("verb", [["get", "tiers"], ["status"], ["node", "status"], ["plan", "."]])
@pytest.mark.parametrize(
    "kind",
    [
        "is not there", "is not a file", "is empty", "does not begin as an SQLite", "belongs to another program",
        "may be written by other users",
    ],
)  # fmt: skip
def test_what_is_no_datastore(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: list[str], kind: str
) -> None:
    """Every verb that looks says what is wrong with the file, and makes or changes none."""
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    file = tmp_path / "d.db"
    _no_datastore(kind, file)
    before = file.read_bytes() if file.is_file() else None
    ran = run(*verb, "--datastore", file)

    _told(ran, 1 if verb[0] == "plan" else 2, kind)
    assert (file.read_bytes() if file.is_file() else None) == before


def test_the_variable_is_named_where_it_was_wrong(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The place is the variable and not the flag that nobody gave."""
    monkeypatch.setenv("MUSLIN_DATASTORE", "/nowhere/at/all")
    ran = run("status")

    _told(ran, 2, "is not there")
    assert "where: MUSLIN_DATASTORE" in ran.err


def test_a_path_that_no_system_has(run: Run) -> None:
    """A name that is too long, or holds a NUL, is told like every other."""
    _told(run("status", "--datastore", "x" * 5000), 2, "File name too long")
    _told(run("status", "--datastore", "a\0b"), 2, "a.*b")


def test_a_folder_that_cannot_be_written(run: Run, tmp_path: Path) -> None:
    """Rendering where a file stands in the way of a folder: exit status 1, that is no fault of the input."""
    (tmp_path / "out").write_text("in the way")

    _told(run("render", EXAMPLE, "--out", tmp_path / "out"), 1, "can't be written: (Not a directory|File exists)")


def test_names_from_files_cannot_steer_a_terminal(run: Run, cluster: Cluster) -> None:
    """Control characters and undecodable names of files are escaped in messages."""
    cluster.write({"a.yaml": 'kind: "\\e[31mred"\n'})
    (cluster.manifests / os.fsdecode(b"\xff\x1b.yaml")).write_text("kind: [")
    ran = run("plan", cluster.manifests, "--datastore", cluster.file)

    assert ran.status == 1
    assert "\x1b" not in ran.err
    assert ran.err.encode()


def test_a_fault_of_ours_is_told_as_such(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody foresaw: one line of what and where, and the traceback only on demand."""

    def broken(path: str, blueprint: str | None) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("muslin.cli.explain.decide", broken)
    ran = run("explain", EXAMPLE)

    _told(ran, 1, "a fault of this program: ZeroDivisionError: oh")
    monkeypatch.setenv("MUSLIN_TRACEBACK", "1")
    from muslin.cli.main import main  # noqa: PLC0415 - beside its only use

    with pytest.raises(ZeroDivisionError):
        main(["explain", str(EXAMPLE)])


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["reconcile"], "one of the arguments --mirror --sources is required"),
        (["reconcile", "--mirror", "m", "--datastore", "d", "--interval", "nan"], "nan is not a number of seconds"),
        (["reconcile", "--mirror", "m", "--datastore", "d", "--max-deletes", "-1"], "-1 is not between 0 and 1"),
        (["reconcile", "--mirror", "m", "--datastore", "/nowhere/d", "--once"], "its folder must exist"),
        (["reconcile", "--mirror", "m", "--config", "/nope", "--once"], "Error reading config file: /nope"),
        (["fetch", "--repository", "r", "--mirror", "m", "--timeout", "0"], "0 is not a number of seconds above 0"),
        (["fetch", "--repository", "r", "--mirror", "m", "--max-bytes", "x"], "x is not a number of bytes above 0"),
        (["speaker"], "required: --socket"),
    ],
)
def test_wrong_usage_of_processes(run: Run, arguments: list[str], what: str) -> None:
    """Verbs that read their own arguments refuse wrong ones with exit status 2, too."""
    ran = run(*arguments)

    assert (ran.status, ran.out, what in ran.err, "Traceback" in ran.err) == (2, "", True, False), ran.err


def _open_to_all(file: Path) -> bool:
    """Whether every user may read a file."""
    folders = all(folder.stat().st_mode & 0o001 for folder in file.parents)
    return folders and bool(file.stat().st_mode & 0o004)


def test_what_this_user_may_not_read(run: Run, cluster: Cluster, tmp_path: Path) -> None:
    """A file, a folder and a datastore that are closed to the user are told as such, with the right exit status."""
    facts = tmp_path / "facts.yaml"
    facts.write_bytes(EXAMPLE.read_bytes())
    if os.geteuid() == 0 and not _open_to_all(EXAMPLE):
        pytest.skip(f"other users can't reach {EXAMPLE.parent}")
    verbs = (
        ("explain", facts),
        ("render", EXAMPLE, "--out", tmp_path / "out"),
        ("status", "--datastore", cluster.file),
        ("plan", cluster.manifests, "--datastore", cluster.file),
    )
    before = [run(*verb).status for verb in verbs]  # also loads every module, before files are out of reach
    user = os.geteuid()
    tmp_path.chmod(0)
    try:
        if user == 0:
            os.seteuid(65534)  # root may read everything
        after = [run(*verb) for verb in verbs]
    finally:
        os.seteuid(user)
        tmp_path.chmod(0o700)

    assert before == [0, 0, 0, 0]
    assert [ran.status for ran in after] == [2, 1, 2, 1]
    for ran in after:
        _told(ran, ran.status, "Permission denied")
