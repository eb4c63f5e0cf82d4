"""Ten realistic clusters: what is decided and written for each, to be read as a diff when it changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from blueprints.catalogue import BLUEPRINTS, decide
from blueprints.composition import parts_of
from blueprints.decision import Blueprint
from blueprints.emit import DECISIONS_FILE, render
from blueprints.facts import load
from muslin.yaml import load as read_yaml

_FOLDER = Path(__file__).parent / "golden"
_CLUSTERS = sorted(path.name for path in _FOLDER.iterdir())


def _shown(blueprint: Blueprint) -> str:
    """Answers first, then stages, then the files."""
    answers = "".join(f"{each.name}: {each.chosen}\n" for each in blueprint.decisions)
    stages = "".join(
        f"stage {index} of {each.name}: {stage.name}; until {'; '.join(map(str, stage.until))}\n"
        for each in blueprint.procedures
        for index, stage in enumerate(each.stages, 1)
    )
    texts = {path: text for path, text in render(blueprint).items() if path != DECISIONS_FILE}
    files = "".join(f"\n---- {path}\n{_without_comments(text)}" for path, text in texts.items())
    return answers + stages + files


def _without_comments(text: str) -> str:
    return "".join(f"{line}\n" for line in text.splitlines() if not line.strip().startswith("#"))


@pytest.mark.parametrize("cluster", _CLUSTERS)
def test_what_follows_is_as_it_was_read(cluster: str, request: pytest.FixtureRequest) -> None:
    """The answers and files of expected.txt, byte for byte."""
    document = read_yaml((_FOLDER / cluster / "cluster.yaml").read_bytes(), "cluster.yaml")[0]
    actual = _shown(decide(load(document.value, document.places, "cluster.yaml")))
    expected = _FOLDER / cluster / "expected.txt"
    if request.config.getoption("--update-expected", default=False):
        expected.write_text(actual)

    assert expected.read_text() == actual


def test_there_are_ten() -> None:
    """And each names its own blueprint, every installed one among them."""
    named = {
        part
        for cluster in _CLUSTERS
        for part in parts_of(
            read_yaml((_FOLDER / cluster / "cluster.yaml").read_bytes(), "cluster.yaml")[0].value["blueprint"]
        )
    }

    assert len(_CLUSTERS) == 10
    assert named == set(BLUEPRINTS)
