"""docs/blueprints.md: its table is the catalogue, its commands run, its pieces of facts are facts."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from blueprints.catalogue import BLUEPRINTS
from blueprints.composition import PARTS
from muslin.yaml import load as read_yaml
from tests.blueprints.clusters import facts
from tests.muslin.cli.running import Run

_DOCS = Path(__file__).parents[2] / "docs"
_PAGE = (_DOCS / "blueprints.md").read_text("utf-8")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", _PAGE, re.MULTILINE | re.DOTALL)


def test_its_table_is_the_catalogue() -> None:
    """Every part with what it speaks of."""
    rows = re.findall(r"^\| `(\w+)` \| ([\w ]+) \|", _PAGE, re.MULTILINE)

    assert dict(rows) == {name: part.aspect.value for name, part in PARTS.items()}


def test_its_commands_run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder with the example's facts."""
    (tmp_path / "cluster.yaml").write_text((_DOCS / "cluster.yaml").read_text("utf-8"))
    monkeypatch.chdir(tmp_path)
    commands = [line for block in _blocks("sh") for line in block.splitlines()]

    assert commands
    assert [Run(capsys)(*shlex.split(line)[1:]).status for line in commands] == [0] * len(commands)


def test_its_facts_are_facts() -> None:
    """Each piece belongs into a cluster's file, and is taken by the blueprint."""
    pieces: dict[str, Any] = {}
    for block in _blocks("yaml"):
        pieces |= read_yaml(block.encode(), "blueprints.md")[0].value
    decided = BLUEPRINTS["single_subnet"](facts(**pieces), None, None)

    assert set(pieces) == {"overrides", "running"}
    assert [each.name for each in decided.procedures] == ["MTU 1500 to 1480", "pool 10.44.0.0/16 to 10.48.0.0/16"]
