"""The example of `docs/plan.md` is run: its files are written, its command typed, its output compared."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from muslin import resources
from tests.muslin.cli.running import Run
from tests.reconciler.repositories import git
from tests.support.clusters import namespace_profile, node, workload

_PAGE = (Path(__file__).parents[3] / "docs/plan.md").read_text("utf-8")
_PEOPLE = [
    node("node-a", "192.0.2.1/24"),
    node("node-b", "192.0.2.2/24"),
    namespace_profile("shop"),
    namespace_profile("ops", {"team": "operators"}),
    *(workload(f"web-{at}", f"10.48.0.{at}", namespace="shop", labels={"app": "web"}) for at in (1, 2, 3)),
    workload("db-1", "10.48.1.1", on="node-b", namespace="shop", labels={"app": "db"}),
    workload("exporter", "10.48.0.9", namespace="ops"),
]


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", _PAGE, re.MULTILINE | re.DOTALL)


def _without_ids(text: str) -> str:
    """Ids of commits and digests depend on who commits when."""
    return re.sub(r"[0-9a-f]{12,}", "...", text)


def test_the_example_is_what_happens(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two commits with the page's two policies, and its five pods: the page's output, but for ids."""
    monkeypatch.chdir(tmp_path)
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    for branch, text in zip(("main", "metrics"), _blocks("yaml"), strict=True):
        if branch != "main":
            git(tmp_path, "checkout", "--quiet", "-b", branch)
        file = tmp_path / text.partition("\n")[0].removeprefix("# ")
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        git(tmp_path, "add", ".")
        git(tmp_path, "commit", "--quiet", "-m", branch)
    (tmp_path / "pods.yaml").write_text("\n---\n".join(json.dumps(resources.dump(each)) for each in _PEOPLE))
    (example,) = _blocks("console")
    command, _, expected = example.partition("\n")
    ran = run(*command.removeprefix("$ muslin ").split())

    assert ran.err == ""
    assert _without_ids(ran.out) == _without_ids(expected)
