"""DESIGN.md's table of processes, as far as the program's text shows it: who starts programs, who loads what."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_STARTS = frozenset(
    {
        "create_subprocess_exec", "create_subprocess_shell", "system", "popen", "fork", "forkpty", "posix_spawn",
        "posix_spawnp", "execv", "execve", "execvp", "execvpe", "execl", "execle", "execlp", "execlpe", "spawnv",
        "spawnve", "spawnl", "spawnlp", "Popen", "ProcessPoolExecutor",
    }
)  # fmt: skip
"""Names by which Python starts a program or another process."""
_MODULES = frozenset({"subprocess", "multiprocessing", "pty"})
_CHILDREN, _SOURCE = "reconciler/children.py", "reconciler/source.py"


def _starts(path: Path) -> Iterator[str]:
    """Every way to start a program that a module names; most texts lack the words, and need no parser."""
    text = path.read_text("utf-8")
    if not any(word in text for word in _STARTS | _MODULES):
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute) and node.attr in _STARTS:
            yield node.attr
        elif isinstance(node, ast.Import):
            yield from _MODULES & {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            yield from _MODULES & {(node.module or "").partition(".")[0]}
            yield from _STARTS & {alias.name for alias in node.names}


def _modules(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((_ROOT / folder).rglob("*.py"))]


def test_only_the_fetcher_starts_programs() -> None:
    """Agent, speaker, reconciler and all that they are made of name no way to start one; the fetcher names one."""
    shipped = _modules("runtime", "reconciler", "blueprints", "muslin/datastore", "muslin/ipam", "muslin/semantics")
    found = {str(path.relative_to(_ROOT)): sorted(_starts(path)) for path in shipped}

    assert {name: ways for name, ways in found.items() if ways} == {_CHILDREN: ["create_subprocess_exec"]}


def test_only_the_source_uses_gitpython() -> None:
    """The library that executes `git version` and `git cat-file` is imported in one module, when it is first needed."""
    users = [
        str(path.relative_to(_ROOT))
        for path in _modules("runtime", "reconciler", "blueprints", "muslin")
        if "git" in (text := path.read_text("utf-8"))
        for node in ast.walk(ast.parse(text))
        if (isinstance(node, ast.Import) and any(alias.name.partition(".")[0] == "git" for alias in node.names))
        or (isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "git")
    ]

    assert set(users) == {_SOURCE}


@pytest.mark.parametrize(
    ("process", "strangers"),
    [
        ("runtime.bgp.main", ("runtime.dataplane", "runtime.cni", "muslin.datastore", "reconciler")),
        ("reconciler.process", ("runtime", "reconciler.fetcher", "reconciler.children", "git")),
        ("reconciler.fetch_process", ("runtime", "muslin.datastore.embedded", "blueprints", "sqlite3", "git")),
        (
            "reconciler.webhook_process",
            ("runtime", "muslin.datastore", "blueprints", "reconciler.children", "sqlite3", "git"),
        ),
    ],
)
def test_a_process_does_not_load_what_it_may_not_use(process: str, strangers: tuple[str, ...]) -> None:
    """The speaker has no kernel, the reconciler no fetcher, the fetcher no datastore, the webhook none of them."""
    program = f"import sys, {process}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=_ROOT)
    loaded = done.stdout.split()

    assert [name for name in loaded for each in strangers if name == each or name.startswith(f"{each}.")] == []
