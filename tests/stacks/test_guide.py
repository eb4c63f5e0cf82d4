"""docs/pulumi.md, typed as it stands: by the small engine here, by Pulumi's own command line where it is installed."""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from muslin.pulumi.configuration import KEYS
from tests.stacks.command_line import environment, missing
from tests.stacks.engine.shell import Shell
from tests.stacks.guide import commands, sections
from tests.stacks.reconciling import reconciled
from tests.support.kube_apiserver import KubeApiserver

_ROOT = Path(__file__).parents[2]
_PAGE = (_ROOT / "docs" / "pulumi.md").read_text("utf-8")
_API = "/apis/projectcalico.org/v3"
_OBJECTS = tuple(
    f"{_API}/{path}"
    for path in ("ippools/default-ipv4-ippool", "bgpconfigurations/default", "globalnetworkpolicies/default-deny")
)

Pulumi = Callable[[str, Path], tuple[int, str]]


def _uids(server: KubeApiserver) -> list[str | None]:
    return [server.request("GET", path).get("metadata", {}).get("uid") for path in _OBJECTS]


def _follow(server: KubeApiserver, home: Path, pulumi: Pulumi) -> None:
    """Type every command of the page; no object is made anew from the first `up` to the last step."""
    shutil.copytree(_ROOT / "stacks", home / "stacks")
    folder, made, handed_over = home, None, False
    variables = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(_ROOT),
        "DATASTORE_TYPE": "kubernetes",
        "KUBECONFIG": str(server.kubeconfig),
    }
    for heading, lines in sections().items():
        for line in lines:
            if line.startswith("cd "):
                folder /= line.removeprefix("cd ")
                continue
            if line.startswith("pulumi "):
                status, said = pulumi(line, folder)
            else:
                done = subprocess.run(
                    shlex.split(line),
                    cwd=folder,
                    env=variables,
                    capture_output=True,
                    text=True,
                    timeout=60,
                    check=False,
                )
                status, said = done.returncode, done.stdout + done.stderr
            # before the hand-over plan tells that all is Pulumi's; after it the reconciler has been here first
            assert status == (2 if line.startswith("muslin plan") and not handed_over else 0), (
                f"{heading}: {line}: {said}"
            )
            if line == "pulumi up --yes" and made is None:
                made = _uids(server)
            if made is not None and heading != "In the end":
                assert made == _uids(server), f"{heading}: {line}"
            if line == "muslin adopt dev.json":
                handed_over = True
                pushed = reconciled(server, folder / "../files")
                assert not [each for each in pushed.steps if each.writes]
    assert made is not None
    assert None not in made
    assert _uids(server) == [None, None, None]


@pytest.mark.engines
def test_the_guide_with_the_small_engine(cluster: KubeApiserver, tmp_path: Path) -> None:
    """Every command of the page, in its order, against a real Kubernetes API."""
    _follow(cluster, tmp_path, Shell(cluster).run)


@pytest.mark.engines
@pytest.mark.skipif(bool(missing()), reason=missing())
def test_the_guide_with_pulumi(cluster: KubeApiserver, tmp_path: Path) -> None:
    """The same with Pulumi's own command line, its language host and its provider."""
    variables = environment(cluster, tmp_path)

    def pulumi(line: str, folder: Path) -> tuple[int, str]:
        done = subprocess.run(
            [*shlex.split(line), "--non-interactive"],
            cwd=folder, env=variables, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    _follow(cluster, tmp_path, pulumi)


def test_there_are_commands_to_type() -> None:
    """The reader of commands finds the guide's: a page without any would pass otherwise."""
    assert {"pulumi preview", "muslin adopt dev.json", "muslin adopt --back dev"} <= set(commands())


def test_the_page_names_every_key_of_the_configuration() -> None:
    """The table is what a program can be told, no more and no less."""
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", _PAGE, flags=re.MULTILINE)

    assert {key for row in rows for key in re.findall(r"\w+", row)} == set(KEYS)


def test_the_program_on_the_page_uses_what_there_is() -> None:
    """Its imports exist, and it is Python."""
    (program,) = re.findall(r"^```python\n(.*?)^```", _PAGE, flags=re.MULTILINE | re.DOTALL)
    module = ast.parse(program)
    names = {alias.name for node in ast.walk(module) if isinstance(node, ast.ImportFrom) for alias in node.names}
    import muslin.pulumi  # noqa: PLC0415 - what the page says

    assert names <= set(muslin.pulumi.__all__)
