"""The command as a process: what only shows there."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.muslin.cli.running import Cluster, buffered, real
from tests.muslin.cli.test_cluster_files import EXAMPLE
from tests.muslin.cli.test_help import VERBS

pytestmark = pytest.mark.slow


def test_version() -> None:
    """One line, for scripts."""
    ran = real("--version")

    assert (ran.returncode, ran.stdout) == (0, "muslin 0.1.0\n")


def test_the_verbs_are_listed_without_loading_them() -> None:
    """Bare usage is 2, `--help` is 0, and neither imports a verb."""
    code = "import sys; from muslin.cli.main import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    code += (
        "print([m for m in sys.modules if m.split('.')[0] in ('runtime', 'reconciler', 'pydantic', 'rich', 'sqlite3')])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert ran.stdout.splitlines()[-1] == "[]"
    assert [verb in ran.stdout for verb in VERBS] == [True] * len(VERBS)
    assert real().returncode == 2


def test_the_speaker_loads_no_models() -> None:
    """The process that reads strangers' bytes stays small: no pydantic, no SQLite, no git, no rich."""
    code = (
        "import sys; from muslin.cli.main import main\ntry: main(['speaker', '--help'])\nexcept SystemExit: pass\n"
        "print([m for m in sys.modules if m in ('pydantic', 'rich', 'sqlite3', 'git', 'yaml', 'pyroute2')])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert ran.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("arguments", [["explain", str(EXAMPLE)], ["get", "tiers"], ["fetch", "--help"]])
def test_a_reader_that_is_gone(cluster: Cluster, arguments: list[str]) -> None:
    """`muslin ... | head -1`: exit status 1 and not a word, whatever prints."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ran = subprocess.run(
            [sys.executable, "-m", "muslin.cli.main", *arguments],
            stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
            env={**buffered(), "MUSLIN_DATASTORE": str(cluster.file)},
        )  # fmt: skip
    finally:
        os.close(writing)

    assert (ran.returncode, ran.stderr) == (1, "")


@pytest.mark.parametrize("arguments", [["render", str(EXAMPLE)], ["fetch", "--help"]])
def test_a_full_disk(arguments: list[str]) -> None:
    """Output that can't be written is a failure and is told, once."""
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "muslin.cli.main", *arguments],
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False, env=buffered(),
        )  # fmt: skip

    assert ran.returncode == 1
    assert ran.stderr.startswith("error: the system refused: No space left on device\n")
    assert ran.stderr.count("error") == 1


def test_closed_output_and_an_encoding_that_lacks_a_character(cluster: Cluster) -> None:
    """Neither a closed standard output nor a Greek terminal is a reason to fail."""
    cluster.put(
        {"apiVersion": "projectcalico.org/v3", "kind": "Tier", "metadata": {"name": "gr\u00fcn"}, "spec": {"order": 1}}
    )
    command = [sys.executable, "-m", "muslin.cli.main", "get", "tiers", "--datastore", str(cluster.file)]
    closed = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *command], capture_output=True, text=True, timeout=60, check=False
    )
    greek = real(*command[3:], env={"PYTHONIOENCODING": "iso8859-7"})

    assert (closed.returncode, closed.stderr) == (0, "")
    assert (greek.returncode, "gr\\xfcn" in greek.stdout) == (0, True)


def test_interrupt_is_quiet(tmp_path: Path) -> None:
    """Ctrl-C while a verb reads: one word, exit status 130, no traceback."""
    fifo = tmp_path / "facts.yaml"
    os.mkfifo(fifo)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a child inherits that a signal is ignored
    with (
        subprocess.Popen(
            [sys.executable, "-m", "muslin.cli.main", "explain", str(fifo)], stderr=subprocess.PIPE, text=True
        ) as process,
        fifo.open("w"),
    ):  # opening waits for the reader: the verb is at work
        signal.signal(signal.SIGINT, before)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)

    assert (process.returncode, err.strip()) == (130, "stopped")


def test_no_control_codes_in_a_pipe(cluster: Cluster) -> None:
    """Tables and plans in a pipe are plain text."""
    cluster.write({})
    outputs = [
        real("explain", EXAMPLE).stdout,
        real("plan", cluster.manifests, "--datastore", cluster.file, "--allow-empty").stdout,
    ]

    assert [("\x1b" in text, bool(text)) for text in outputs] == [(False, True)] * 2


def test_reasons_can_be_read_at_80_columns(tmp_path: Path) -> None:
    """On a terminal of 80 columns every word of every reason is there, on lines that fit."""
    log = tmp_path / "log"
    explain = shlex.join([sys.executable, "-m", "muslin.cli.main", "explain", str(EXAMPLE)])
    command = f"stty cols 80 && NO_COLOR=1 {explain}"
    ran = subprocess.run(
        ["script", "-qec", command, str(log)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "TERM": "dumb"},
    )  # fmt: skip
    lines = ran.stdout.replace("\r", "").splitlines()[1:-1]
    begins = lines[0].index("BECAUSE")
    reasons = " ".join(line[begins:].strip() for line in lines)

    assert ran.returncode == 0
    assert max(map(len, lines)) <= 80
    assert (
        "within one subnet every node is the next hop of its pods' addresses, so packets travel as they are" in reasons
    )
