"""Fixtures of tests that bring labs up."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from muslin.errors import Failed
from muslin.lab.world import way_in


@pytest.fixture(scope="session")
def possible() -> None:
    """Skips, with the reason, where a lab can't live."""
    try:
        way_in()
    except Failed as refusal:
        pytest.skip(str(refusal))


@pytest.fixture
def folder(possible: None) -> Iterator[Path]:
    """A short folder that an ordinary user may use: pytest's own are the test runner's only."""
    path = Path(tempfile.mkdtemp(prefix="lab"))
    yield path
    shutil.rmtree(path, ignore_errors=True)
