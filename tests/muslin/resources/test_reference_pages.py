"""The reference pages say what the models say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.reference_pages import pages

_FOLDER = Path(__file__).parents[3] / "docs" / "reference"


def test_the_pages_are_those_of_the_models(request: pytest.FixtureRequest) -> None:
    """`pytest --update-expected` of this file writes them anew after a change of a model."""
    made = pages()
    if request.config.getoption("--update-expected"):
        _FOLDER.mkdir(exist_ok=True)
        for old in _FOLDER.glob("*.md"):
            old.unlink()
        for name, text in made.items():
            (_FOLDER / name).write_text(text, "utf-8")
    found = {path.name: path.read_text("utf-8") for path in _FOLDER.glob("*.md")}

    assert sorted(found) == sorted(made)
    assert [name for name in made if found[name] != made[name]] == []
